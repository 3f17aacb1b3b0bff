"""What machines ask: /healthz, /readyz, /metrics."""

from __future__ import annotations

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

import web
from cikg.access import tokens
from cikg.access.accounts import Scope
from cikg.graph import Graph
from cikg.settings import Settings
from web import store

CANARY = "canary-secret-0123456789"


@pytest.fixture(scope="module")
def own(settings: Settings) -> Settings:
    return settings.model_copy(update={"secret_key": SecretStr(CANARY), "openai_api_key": SecretStr(CANARY)})


def test_a_living_process_says_so_whatever_is_away(settings: Settings) -> None:
    away = {
        "secret_key": SecretStr(CANARY),
        "neo4j_uri": "bolt://127.0.0.1:9",
        "redis_url": SecretStr("redis://127.0.0.1:9"),
    }
    app = web.create_app(settings.model_copy(update=away))
    client = app.test_client()
    assert client.get("/healthz").json == {"status": "ok"}
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json == {"status": "not ready", "parts": {"Neo4j": False, "schema": False, "Redis": False}}
    families = {each.name: each for each in text_string_to_metric_families(client.get("/metrics").text)}
    assert {sample.value for sample in families["cikg_up"].samples} == {0.0}
    store.close(app)


def test_what_serves_is_ready(app: Flask) -> None:
    answer = app.test_client().get("/readyz")
    assert answer.json == {"status": "ok", "parts": {"Neo4j": True, "schema": True, "Redis": True}}


def test_requests_are_measured_by_names_of_ours(app: Flask) -> None:
    client = app.test_client()
    for path in ("/healthz", "/healthz", "/no/such/page", "/api/v1/datasets/absent", "/d/absent"):
        client.get(path)
    text = client.get("/metrics").text
    families = {each.name: each for each in text_string_to_metric_families(text)}
    counts = {
        (sample.labels["endpoint"], sample.labels["status"]): sample.value
        for sample in families["cikg_http_request_seconds"].samples
        if sample.name.endswith("_count")
    }
    assert counts["probes.alive", "200"] >= 2
    assert counts["none", "404"] >= 1
    assert counts["api.datasets_dataset", "401"] >= 1
    assert {"cikg_up", "process_resident_memory_bytes", "cikg_llm_calls"} & set(families) >= {"cikg_up"}
    assert "no/such" not in text
    assert CANARY not in text


def test_metrics_are_for_this_machine_and_for_readers(app: Flask, graph: Graph) -> None:
    client = app.test_client()
    far = {"REMOTE_ADDR": "192.0.2.7"}
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", environ_overrides=far).status_code == 401
    assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 401, "a proxy's word is none"
    text = tokens.create(graph, None, "prometheus", [Scope.READ], actor="tests")[1]
    shown = client.get("/metrics", environ_overrides=far, headers={"Authorization": f"Bearer {text}"})
    assert shown.status_code == 200
    assert shown.mimetype == "text/plain"

"""What machines ask: /healthz, /readyz, /metrics."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

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


@pytest.fixture
def mute() -> Iterator[int]:
    """A port where a server takes every connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield server.getsockname()[1]


def test_a_mute_neo4j_holds_up_nothing(settings: Settings, mute: int) -> None:
    """Its connections fail after 15 s, for which nobody waits: neither for their own, nor for another's."""
    own = {"secret_key": SecretStr(CANARY), "neo4j_uri": f"bolt://127.0.0.1:{mute}"}
    app = web.create_app(settings.model_copy(update=own))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: app.test_client().get("/metrics"), range(24)))
    assert {answer.status_code for answer in answers} == {200}
    assert app.test_client().get("/readyz").json["parts"] == {"Neo4j": False, "schema": False, "Redis": True}
    assert not app.extensions["cikg.graph"].graph.done(), "all this took less than one connection takes to fail"
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
    assert set(families) >= {"cikg_up", "process_resident_memory_bytes", "cikg_llm_calls"}
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

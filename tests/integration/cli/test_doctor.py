"""`cikg doctor` and `cikg login`: what is wrong, without the secrets that are set, and a way into the dashboard."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from flask import Flask

from cikg.cli import doctor
from cikg.embedded.diagnosis import Finding, Verdict
from cikg.settings import Settings

Cikg = Callable[..., subprocess.CompletedProcess[str]]
CANARY = "canary-key-0123456789"


@pytest.mark.parametrize("options", [["--json"], []], ids=["json", "table"])
def test_the_doctor_hides_secrets_and_fails_where_a_check_does(
    here: Cikg, settings: Settings, options: list[str]
) -> None:
    done = here("doctor", *options, CIKG_SECRET_KEY=CANARY, OPENAI_API_KEY=CANARY)
    assert settings.neo4j_password is not None and settings.redis_url is not None
    said = done.stdout + done.stderr
    secrets = (CANARY, settings.neo4j_password.get_secret_value(), settings.redis_url.get_secret_value())
    assert [secret for secret in secrets if secret in said] == []
    assert done.returncode == 2, "no worker runs"
    if not options:
        assert "ok   Neo4j: " in said and "FAIL worker: no worker answers" in said and "(hidden)" in said
        return
    found = json.loads(done.stdout)
    verdicts = {each["check"]: each["verdict"] for each in found["findings"]}
    assert (verdicts["Neo4j"], verdicts["Redis"], verdicts["worker"]) == ("ok", "ok", "fail")
    shown = {row["setting"]: (row["value"], row["from"]) for row in found["settings"]}
    assert shown["CIKG_NEO4J_URI"] == (settings.neo4j_uri, "environment")
    for name in ("CIKG_NEO4J_PASSWORD", "CIKG_REDIS_URL", "CIKG_SECRET_KEY", "OPENAI_API_KEY"):
        assert shown[name] == ("(hidden)", "environment")


def test_doubts_are_no_failures(here: Cikg, monkeypatch: pytest.MonkeyPatch) -> None:
    doubt = Finding("home", Verdict.WARN, "/data has only 1.0 GB free", "Free at least 2 GB")
    monkeypatch.setattr(doctor, "examine", lambda *_: [doubt])
    done = here("doctor")
    assert done.returncode == 0
    assert done.stdout.startswith("warn home: /data has only 1.0 GB free\n     Free at least 2 GB.\n")


def test_a_printed_link_logs_in(here: Cikg, app: Flask) -> None:
    plain = here("login", CIKG_WEB_PORT="8000")
    data = json.loads(here("login", "--json", CIKG_WEB_PORT="8000").stdout)
    assert data["seconds"] == 15 * 60
    for link in (plain.stdout.strip(), data["link"]):
        assert link.startswith("http://127.0.0.1:8000/login/")
        client = app.test_client()
        assert client.get("/").status_code == 401
        client.get(urlsplit(link).path)
        assert client.get("/").status_code == 200

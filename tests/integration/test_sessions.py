"""Sessions, headers and methods: what every answer of the dashboard carries, and what it refuses."""

from __future__ import annotations

import re

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient
from pydantic import SecretStr

from cikg.access.sessions import one_time_token
from cikg.graph import Graph
from cikg.settings import Settings
from tests import dashboard, planted


@pytest.fixture(scope="module")
def own(settings: Settings) -> Settings:
    secrets = {"secret_key": SecretStr("integration-test-key-0123456789"), "openai_api_key": SecretStr("canary-key")}
    return settings.model_copy(update=secrets | {"web_port": 8000})


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def client(app: Flask, own: Settings) -> FlaskClient:
    return dashboard.operator(app, own)


def test_every_answer_carries_the_headers(client: FlaskClient, stranger: FlaskClient) -> None:
    answers = [
        client.get("/"),
        stranger.get("/"),
        client.get("/nowhere"),
        client.get("/healthz"),
        client.post("/logout"),
    ]
    answers += [client.get("/", headers={"Host": "evil.example"})]
    with client.get("/static/style.css") as style:
        answers.append(style)
        assert "max-age" in style.headers["Cache-Control"]
    nonces = set()
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in answer.headers
        nonces.add(re.findall(r"nonce-([\w-]+)", policy)[0])
    assert len(nonces) == len(answers)
    assert "canary-key" not in "".join(answer.text for answer in answers[:-1])


def test_a_link_logs_in_once_and_begins_a_new_session(app: Flask, own: Settings) -> None:
    token = one_time_token(own)
    first, second = app.test_client(), app.test_client()
    first.get("/")
    with first.session_transaction() as session:
        session["planted"] = "by someone else"  # a fixed session must not survive
    answer = first.get(f"/login/{token}")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    with first.session_transaction() as session:
        assert "planted" not in session
    assert first.get("/").status_code == 200
    assert second.get(f"/login/{token}").status_code == 401
    assert second.get("/").status_code == 401
    assert second.get("/login/wrong").status_code == 401


def test_a_tampered_or_ended_session_is_refused(app: Flask, own: Settings) -> None:
    client, copy = app.test_client(), app.test_client()
    client.get(f"/login/{one_time_token(own)}")
    kept = client.get_cookie("cikg")
    assert kept is not None
    copy.set_cookie("cikg", kept.value[:-3] + "AAA")
    assert copy.get("/").status_code == 401
    copy.set_cookie("cikg", kept.value)
    assert copy.get("/").status_code == 200
    token = re.findall(r'name="csrf_token" value="([^"]+)"', client.get("/").text)[0]
    assert client.post("/logout").status_code == 400
    assert client.get("/").status_code == 200
    assert client.post("/logout", data={"csrf_token": token}).status_code == 302
    assert client.get("/").status_code == 401
    assert copy.get("/").status_code == 401  # the server forgot it, so a stolen copy is worth nothing


def test_a_foreign_host_is_refused(client: FlaskClient) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost@evil.example"):
        assert client.get("/", headers={"Host": host}).status_code == 400
    assert client.get("/", headers={"Host": "localhost:1234"}).status_code in (200, 401)


def test_undocumented_methods_are_refused(client: FlaskClient) -> None:
    for method in ("TRACE", "PUT", "DELETE"):
        answer = client.open("/", method=method)
        assert answer.status_code == 405
    assert client.post("/logout", data=b"x" * 2_000_000).status_code == 413


def forms(app: Flask, dataset: str) -> dict[str, str]:
    """Where the pages' forms are sent: endpoint -> address."""
    values = {"dataset": dataset, "identifier": "extraction", "action": "cancel", "name": "ann", "token": "x"}
    with app.test_request_context():
        found = {
            rule.endpoint: url_for(rule.endpoint, **{name: values.get(name, "x") for name in rule.arguments})
            for rule in app.url_map.iter_rules()
            if "POST" in (rule.methods or ()) and not rule.rule.startswith("/api/")
        }
    assert len(found) >= 20
    return found


def test_nothing_is_changed_without_the_pages_token(
    client: FlaskClient, app: Flask, graph: Graph, dataset: str
) -> None:
    """Another site can make a browser send its session with any form, but cannot know the token."""
    planted.write(graph, dataset)
    for address in forms(app, dataset).values():
        answer = client.post(address, headers={"Origin": "http://evil.example"})
        assert answer.status_code == 400, address
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert client.get("/").status_code == 200  # logging out was among them


def test_a_viewer_sends_only_the_forms_about_themselves(app: Flask, own: Settings, graph: Graph, dataset: str) -> None:
    planted.write(graph, dataset)
    viewer = dashboard.viewer(app, own, graph, dataset)
    token = dashboard.form_token(viewer.get("/settings").text)
    themselves = {"session.enter", "session.end", "settings.create_token", "settings.revoke_token", "settings.password"}
    others = forms(app, dataset)
    assert themselves < set(others)
    for endpoint in set(others) - themselves:
        assert viewer.post(others[endpoint], data={"csrf_token": token}).status_code == 403, endpoint

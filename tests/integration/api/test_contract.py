"""What every operation of the API keeps: who may ask, validators, cursors, keys, limits, problems, the log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from pydantic import SecretStr

import web
from cikg.access import accounts, audit, tokens
from cikg.access.accounts import Role, Scope
from cikg.graph import Graph
from cikg.settings import Settings
from tests.dashboard import form_token, operator
from tests.integration.api.conftest import Call
from web import api, store
from web.api.operation import OPERATIONS
from web.login import BEARER

api.load()


def limited(graph: Graph, *scopes: Scope) -> str:
    return tokens.create(graph, None, "limited", scopes, actor="tests")[1]


def test_an_error_is_a_problem_that_says_cause_and_cure(call: Call) -> None:
    answer = call("GET", "/datasets/absent")
    assert answer.mimetype == "application/problem+json"
    assert answer.json == {
        "type": "urn:cikg:problem:not_found",
        "title": "Not Found",
        "status": 404,
        "detail": "there is no dataset 'absent'",
        "code": "not_found",
        "cure": "GET /api/v1/datasets lists all of them",
        "instance": "/api/v1/datasets/absent",
        "errors": [],
    }


def test_a_token_that_may_little_neither_sees_nor_makes_nor_revokes_others(
    call: Call, graph: Graph, dataset: str
) -> None:
    accounts.add(graph, dataset, Role.EDITOR, None, "tests")
    of_ann, text = tokens.create(graph, dataset, "ann's", [Scope.READ, Scope.WRITE], actor="tests")
    shown = [each["id"] for each in call("GET", "/tokens", bearer=text).json["items"]]
    assert shown == [of_ann], "its own account's"
    identifier, text = tokens.create(graph, None, "a day", [Scope.READ], actor="tests", days=1)
    shown = [each["id"] for each in call("GET", "/tokens?limit=500", bearer=text).json["items"]]
    assert (identifier in shown, of_ann in shown) == (True, False)
    for bearer in (text, tokens.create(graph, dataset, "ann's", [Scope.WRITE, Scope.READ], actor="tests")[1]):
        assert call("POST", "/tokens", json={"name": "without end"}, bearer=bearer).status_code == 403
        assert call("DELETE", f"/tokens/{identifier}", bearer=bearer).status_code == 403
    assert call("DELETE", f"/tokens/{identifier}").status_code == 204, "an admin's token may"


def test_strangers_and_wrong_tokens_are_refused(call: Call, graph: Graph) -> None:
    identifier, text = tokens.create(graph, None, "soon gone", [Scope.READ], actor="tests")
    assert call("GET", "/me", bearer=text).json == {
        "name": "token:operator/soon gone",
        "account": None,
        "scopes": ["read"],
    }
    wrong = [None, "", "nonsense", text[:-1] + ("A" if text[-1] != "A" else "B"), text.replace(identifier, "0" * 12)]
    tokens.revoke(graph, identifier, "tests")
    for bearer in [*wrong, text]:
        answer = call("GET", "/me", bearer=bearer)
        assert (answer.status_code, answer.json["code"]) == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].lower().startswith(BEARER)
        assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize("made", [each for each in OPERATIONS if not each.public], ids=lambda each: each.name)
def test_every_operation_asks_for_its_scope(call: Call, graph: Graph, made: api.operation.Operation) -> None:
    """Before anything else: neither the body nor the dataset is looked at."""
    others = [scope for scope in Scope if scope is not made.scope]
    path = made.rule.replace("<", "").replace(">", "").replace("key:", "")
    assert call(made.method, path, bearer=limited(graph, *others)).status_code == 403
    assert call(made.method, path, bearer=None).status_code == 401


def test_a_token_does_no_more_than_its_account_may(call: Call, graph: Graph, dataset: str) -> None:
    name = f"{dataset}@example.org"
    accounts.add(graph, name, Role.EDITOR, None, "tests")
    text = tokens.create(graph, name, "work", [Scope.READ, Scope.WRITE], actor="tests")[1]
    assert call("GET", "/me", bearer=text).json["scopes"] == ["read", "write"]
    accounts.set_role(graph, name, Role.VIEWER, "tests")
    assert call("GET", "/me", bearer=text).json["scopes"] == ["read"]
    accounts.remove(graph, name, "tests")
    accounts.add(graph, name, Role.ADMIN, None, "tests")
    assert call("GET", "/me", bearer=text).status_code == 401, "it does not come back with the name"


def test_what_is_made_or_changed_is_answered(call: Call, dataset: str) -> None:
    made = call("POST", "/accounts", json={"name": dataset, "role": "editor"})
    assert (made.status_code, made.json["name"], made.json["role"]) == (201, dataset, "editor"), made.text
    assert (made.json["has_password"], made.json["tokens"]) == (False, 0)
    changed = call("PATCH", f"/accounts/{dataset}", json={"role": "viewer", "password": "correct horse battery"})
    assert (changed.status_code, changed.json) == (200, made.json | {"role": "viewer", "has_password": True})
    assert call("PATCH", f"/accounts/{dataset}-absent", json={}).status_code == 404
    assert call("DELETE", f"/accounts/{dataset}").status_code == 204


def test_an_unchanged_answer_is_not_made_again(call: Call, graph: Graph, planted_dataset: str) -> None:
    path = f"/datasets/{planted_dataset}/users/0"
    first = call("GET", path)
    known = {"If-None-Match": first.headers["ETag"]}
    again = call("GET", path, headers=known)
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert "no-cache" in again.headers["Cache-Control"]
    graph.execute("MATCH (d:Dataset {uid: $d}) SET d.version = d.version + 1", d=planted_dataset)
    assert call("GET", path, headers=known).status_code == 200
    assert call("GET", path, headers=known).headers["ETag"] != first.headers["ETag"]
    jobs = call("GET", "/jobs")
    assert call("GET", "/jobs", headers={"If-None-Match": jobs.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize(
    ("kind", "count"), [("users", 41), ("items", 13), ("entities", 3), ("intents", 2), ("interests", 2)]
)
def test_a_list_comes_whole_in_pages(call: Call, planted_dataset: str, kind: str, count: int) -> None:
    path, found, pages = f"/datasets/{planted_dataset}/{kind}?limit=2", [], 0
    while path:
        answer = call("GET", path.removeprefix("/api/v1"))
        found += [row["id"] for row in answer.json["items"]]
        pages += 1
        path = answer.headers["Link"].partition("<")[2].partition(">")[0] if "Link" in answer.headers else ""
        if path:
            assert parse_qs(urlsplit(path).query) == {"limit": ["2"], "cursor": [answer.json["next"]]}
        else:
            assert answer.json["next"] is None
    assert found == sorted(set(found))
    assert (len(found), pages) == (count, -(-count // 2))


def test_a_page_begins_where_the_last_ended_whatever_came_between(
    call: Call, graph: Graph, planted_dataset: str
) -> None:
    first = call("GET", f"/datasets/{planted_dataset}/items?limit=3").json
    graph.execute("MERGE (i:Item {uid: $d + ':0000'}) SET i.id = '0000', i.dataset = $d", d=planted_dataset)
    second = call("GET", f"/datasets/{planted_dataset}/items?limit=3&cursor={first['next']}").json
    graph.execute("MATCH (i:Item {uid: $d + ':0000'}) DELETE i", d=planted_dataset)
    assert second["items"][0]["id"] > first["items"][-1]["id"]
    assert not {row["id"] for row in first["items"]} & {row["id"] for row in second["items"]}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"users": ["0"], "users": ["1"]}', 400),
        (b'{"users": ["0"], "limit": NaN}', 400),
        (b'{"users": ["0"], "limit": 1e999}', 400),
        (b'{"users": ["\\ud800"]}', 400),
        (b'{"users": ["0"], "limit": 9223372036854775808}', 400),
        (b'{"users": ["0"], "limit": 9223372036854775807}', 422),
        (b"[" * 100_000 + b"]" * 100_000, 400),
        (b"\xff", 400),
        (b"", 400),
        (b'"{}"', 422),
        (b'{"users": ["0"], "more": 1}', 422),
        (b'{"users": []}', 422),
        (b'{"users": "' + b"x" * 1_000_000 + b'"}', 413),
    ],
    ids=lambda value: value[:30].decode("latin-1") if isinstance(value, bytes) else str(value),
)
def test_a_body_that_cannot_be_read_is_refused(call: Call, planted_dataset: str, body: bytes, status: int) -> None:
    path = f"/datasets/{planted_dataset}/recommendations"
    answer = call("POST", path, data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    if status == 422:
        assert answer.json["errors"][0]["location"].startswith("body")


def test_only_json_is_taken(call: Call, planted_dataset: str) -> None:
    path = f"/datasets/{planted_dataset}/recommendations"
    assert call("POST", path, data="users=0").status_code == 415
    assert call("TRACE", path).status_code == 405
    answer = call("DELETE", path)
    assert (answer.status_code, answer.mimetype) == (405, "application/problem+json")
    assert "POST" in answer.headers["Allow"]


def test_a_session_may_ask_but_changes_need_its_token(app: Flask, settings: Settings, planted_dataset: str) -> None:
    browser = operator(app, settings)
    assert browser.get("/api/v1/me").json["name"] == "operator"
    body = {"users": ["0"]}
    path = f"/api/v1/datasets/{planted_dataset}/recommendations"
    assert browser.post(path, json=body).status_code == 400
    assert browser.post(path, json=body, headers={"Origin": "https://evil.example"}).status_code == 400
    value = form_token(browser.get("/").text)
    answer = browser.post(path, json=body, headers={"X-CSRFToken": value})
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers
    shown = browser.get("/api/v1/me", headers={"Authorization": "Bearer wrong"})
    assert shown.status_code == 401, "a token that is shown counts before the session"


@pytest.fixture
def slow(settings: Settings) -> Iterator[Flask]:
    """An app that lets a caller ask three times a minute."""
    own = {"secret_key": SecretStr("api-test-key-0123456789"), "api_rate_limit": "3 per minute"}
    made = web.create_app(settings.model_copy(update=own))
    yield made
    store.close(made)


def test_a_flood_is_stopped_for_its_caller_alone(slow: Flask, graph: Graph, dataset: str) -> None:
    def ask(bearer: str) -> tuple[int, str | None]:
        answer = slow.test_client().get("/api/v1/me", headers={"Authorization": f"Bearer {bearer}"})
        return answer.status_code, answer.headers.get("X-RateLimit-Remaining")

    one, other = (tokens.create(graph, None, f"{dataset}-{name}", [Scope.READ], actor="t")[1] for name in "ab")
    assert [ask(one) for _ in range(4)] == [(200, "2"), (200, "1"), (200, "0"), (429, "0")]
    answer = slow.test_client().get("/api/v1/me", headers={"Authorization": f"Bearer {one}"})
    assert answer.json["code"] == "too_many_requests"
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert ask(other) == (200, "2")
    with ThreadPoolExecutor(4) as pool:
        wrong = [status for status, _ in pool.map(lambda number: ask(f"wrong {number}"), range(8))]
    assert wrong.count(401) <= 3
    assert wrong.count(429) >= 5, "wrong tokens count together, by address"


def test_without_redis_limits_hold_and_a_promise_is_not_made(settings: Settings, graph: Graph) -> None:
    """A Redis that does not answer costs neither the API nor its limits; only an Idempotency-Key needs it."""
    own = {
        "secret_key": SecretStr("api-test-key-0123456789"),
        "redis_url": SecretStr("redis://127.0.0.1:9/0"),
    }
    app = web.create_app(settings.model_copy(update=own | {"api_rate_limit": "4 per minute"}))
    headers = {"Authorization": f"Bearer {limited(graph, Scope.READ)}"}
    client = app.test_client()
    assert client.get("/api/v1/me", headers=headers).status_code == 200
    kept = client.post("/api/v1/tokens", json={"name": "x"}, headers=headers | {"Idempotency-Key": "1"})
    assert (kept.status_code, kept.json["code"]) == (503, "service_unavailable")
    assert client.get("/readyz").status_code == 503
    assert {client.get("/api/v1/me", headers=headers).status_code for _ in range(6)} == {200, 429}
    store.close(app)


def test_changes_are_logged_and_reads_are_not(call: Call, graph: Graph, planted_dataset: str) -> None:
    before = audit.read(graph, 1)[0].id
    call("GET", "/datasets")
    call("POST", f"/datasets/{planted_dataset}/recommendations", json={"users": ["0"]})
    call("POST", f"/datasets/{planted_dataset}/jobs/absent/pause")
    path = f"/datasets/{planted_dataset}/jobs/extraction/pause"
    assert call("POST", path).json["state"] == "paused"
    made = call("POST", "/tokens", json={"name": "logged"}).json
    entries = [entry for entry in audit.read(graph, 50) if entry.id > before and entry.actor == "token:operator/tests"]
    assert [(entry.action, entry.target) for entry in entries] == [
        ("token.create", made["id"]),
        ("jobs.pause", f"/api/v1{path}"),
    ]
    assert made["token"] not in json.dumps([vars(entry) for entry in entries])
    shown = call("GET", "/audit?limit=1&action=jobs.pause").json["items"][0]
    assert (shown["id"], shown["target"]) == (entries[1].id, entries[1].target)


def test_host_names_of_others_are_not_served(app: Flask) -> None:
    assert app.test_client().get("/api/v1/me", headers={"Host": "evil.example"}).status_code == 400

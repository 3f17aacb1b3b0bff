"""The console's page: off unless it is switched on, for those who may, and never more than reading."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

import web
from cikg.access import accounts, audit, tokens
from cikg.access.accounts import Role, Scope
from cikg.graph import Graph
from cikg.settings import Settings
from tests import planted
from tests.dashboard import form_token, operator, viewer
from tests.integration.graph.test_console import ATTACKS, NOT_CYPHER
from web import store

DATASET = "test-console-page"
PATH = f"/d/{DATASET}/cypher"


def site(settings: Settings, **own: object) -> Flask:
    return web.create_app(settings.model_copy(update={"secret_key": SecretStr("console-test-key-0123456"), **own}))


@pytest.fixture(scope="module")
def app(graph: Graph, settings: Settings) -> Iterator[Flask]:
    planted.write(graph, DATASET)
    made = site(settings, console=True, console_seconds=10.0)
    yield made
    store.close(made)


@pytest.fixture
def client(app: Flask, settings: Settings) -> FlaskClient:
    return operator(app, settings)


def ask(client: FlaskClient, cypher: str, action: str = "ask", **fields: str) -> TestResponse:
    return client.post(
        PATH, data={"csrf_token": form_token(client.get(PATH).text), "cypher": cypher, "action": action, **fields}
    )


def test_it_is_off_unless_switched_on(settings: Settings, graph: Graph) -> None:
    planted.write(graph, DATASET)
    app = site(settings)
    client = operator(app, settings)
    assert "Cypher" not in client.get(f"/d/{DATASET}").text
    assert client.get(PATH).status_code == 403
    text = tokens.create(graph, None, "console", [Scope.QUERY], actor="tests")[1]
    answer = client.post("/api/v1/query", json={"cypher": "RETURN 1"}, headers={"Authorization": f"Bearer {text}"})
    assert (answer.status_code, answer.json["code"]) == (403, "console_off")
    store.close(app)


def test_it_needs_a_permission_of_its_own(app: Flask, settings: Settings, graph: Graph, dataset: str) -> None:
    client = viewer(app, settings, graph, dataset)
    assert client.get(f"/d/{DATASET}").status_code == 200
    assert "Cypher" not in client.get(f"/d/{DATASET}").text
    assert client.get(PATH).status_code == 403
    accounts.set_role(graph, dataset, Role.EDITOR, "tests")
    assert client.get(PATH).status_code == 200
    assert f'href="{PATH}"' in client.get(f"/d/{DATASET}").text


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_answered_with_403_and_code(app: Flask, graph: Graph, name: str) -> None:
    text = tokens.create(graph, None, "attacker", [Scope.QUERY], actor="tests")[1]
    answer = app.test_client().post(
        "/api/v1/query", json={"cypher": ATTACKS[name]}, headers={"Authorization": f"Bearer {text}"}
    )
    expected = (400, "bad_request") if name in NOT_CYPHER else (403, "query_not_read_only")
    assert (answer.status_code, answer.json["code"]) == expected


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"cypher": "RETURN 1", "seconds": 0}, 400, "bad_request"),
        ({"cypher": "RETURN 1", "seconds": 1e9}, 400, "bad_request"),
        ({"cypher": "RETURN 1", "seconds": -1}, 400, "bad_request"),
        ({"cypher": "RETURN 1", "limit": 0}, 422, "unprocessable_content"),
        ({"cypher": "RETURN $x"}, 400, "bad_request"),
        ({"cypher": "UNWIND range(1, 1000000000) AS x RETURN count(x * x)", "seconds": 0.5}, 504, "query_timed_out"),
        ({"cypher": "x" * 1_000_001}, 413, "request_entity_too_large"),
        ({"cypher": "x" * 100_001}, 422, "unprocessable_content"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_limits_are_said(app: Flask, graph: Graph, body: dict[str, object], status: int, code: str) -> None:
    text = tokens.create(graph, None, "limits", [Scope.QUERY], actor="tests")[1]
    answer = app.test_client().post("/api/v1/query", json=body, headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == status
    assert answer.json["code"] in (code, code.replace("content", "entity"))


def test_rows_and_picture(client: FlaskClient) -> None:
    text = "MATCH (u:User {dataset: $dataset, id: $user})-[r:HAS_INTEREST]->(i) RETURN u, r, i, 1500 AS n, null AS none"
    page = ask(client, text, parameters=json.dumps({"user": planted.QUIRK})).text
    assert f'href="/d/{DATASET}/interests/garden"' in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert ">1,500<" in page
    picture = json.loads(page.split('id="graph-data">')[1].split("</script>")[0])
    assert {node["label"] for node in picture["nodes"]} == {"User", "Interest"}
    assert [edge["type"] for edge in picture["edges"]] == ["HAS_INTEREST"]


def test_files_hold_what_the_page_does_and_no_formula(client: FlaskClient) -> None:
    text = "UNWIND ['=HYPERLINK(1)', '＋1', 'plain, \"text\"'] AS name RETURN name, [1, 2] AS list, null AS none"
    answer = ask(client, text, "csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows == [
        ["name", "list", "none"],
        ["'=HYPERLINK(1)", "[1, 2]", ""],
        ["'＋1", "[1, 2]", ""],
        ['plain, "text"', "[1, 2]", ""],
    ]
    assert json.loads(ask(client, text, "json").text)["rows"][0] == ["=HYPERLINK(1)", [1, 2], None]


def test_it_says_that_more_rows_were_left_out(client: FlaskClient) -> None:
    text = "MATCH (i:Interest {dataset: $dataset}) RETURN i.id AS id ORDER BY id LIMIT $limit"
    cut, whole = (json.loads(ask(client, text, "json", limit=limit).text) for limit in ("1", "2"))
    assert (cut["rows"], cut["truncated"]) == ([["garden"]], True)
    assert (whole["rows"], whole["truncated"]) == ([["garden"], ["sea"]], False)


def test_a_plan_is_shown_and_nothing_is_run(client: FlaskClient) -> None:
    page = ask(client, "MATCH (u:User {dataset: $dataset}) RETURN count(u)", "explain").text
    assert "NodeIndexSeek" in page
    assert "NodeByLabelScan" not in page
    assert 'id="rows"' not in page


def test_what_is_wrong_stands_beside_the_statement(client: FlaskClient) -> None:
    page = ask(client, "CREATE (n:Evil)").text
    assert "the statement may only read the graph" in page
    assert "CREATE (n:Evil)</textarea>" in page
    assert "not valid JSON" in ask(client, "RETURN 1", parameters="{").text
    assert "does not accept" in ask(client, "MATCH (n RETURN n").text


def test_the_library_fills_the_editor_and_is_asked(client: FlaskClient) -> None:
    page = client.get(f"{PATH}?question=intents_of_user").text
    assert "MATCH" in page.split("<textarea")[1].split("</textarea>")[0]
    assert "&#34;user&#34;: &#34;&#34;" in page.split('id="parameters"')[1].split("</textarea>")[0]


def test_who_asked_what_is_logged(client: FlaskClient, graph: Graph) -> None:
    ask(client, "RETURN 'logged' AS word")
    newest = audit.read(graph, 1)[0]
    assert (newest.actor, newest.action, newest.target) == ("operator", "console.ask", DATASET)
    assert newest.detail == {"cypher": "RETURN 'logged' AS word"}


def test_a_form_of_another_site_is_refused(client: FlaskClient) -> None:
    assert client.post(PATH, data={"cypher": "RETURN 1"}).status_code == 400


def test_statements_are_kept(app: Flask, client: FlaskClient, graph: Graph, dataset: str) -> None:
    text = tokens.create(graph, None, "keeper", [Scope.QUERY, Scope.READ], actor="tests")[1]
    headers = {"Authorization": f"Bearer {text}"}
    body = {"cypher": "RETURN $x AS kept", "purpose": "A test", "parameters": {"x": 1}}
    made = app.test_client().put(f"/api/v1/queries/{dataset}", json=body, headers=headers)
    assert made.json == {
        **body,
        "name": dataset,
        "author": "token:operator/keeper",
        "changed_at": made.json["changed_at"],
    }
    assert dataset in {row["name"] for row in app.test_client().get("/api/v1/queries", headers=headers).json["items"]}
    assert "RETURN $x AS kept" in client.get(f"{PATH}?kept={dataset}").text
    assert app.test_client().delete(f"/api/v1/queries/{dataset}", headers=headers).status_code == 204
    assert app.test_client().get(f"/api/v1/queries/{dataset}", headers=headers).status_code == 404
    bad = app.test_client().put("/api/v1/queries/Not%20A%20Name", json=body, headers=headers)
    assert bad.status_code == 400


def test_a_statement_is_kept_taken_up_and_forgotten(client: FlaskClient, graph: Graph, dataset: str) -> None:
    cypher = "MATCH (item:Item {dataset: $dataset}) RETURN count(item) AS items LIMIT $most"
    wrong = ask(client, cypher, "keep", name="No Name", purpose="")
    assert "cannot name a statement" in wrong.text
    assert "count(item) AS items" in wrong.text, "what was written is not lost"
    kept = ask(client, cypher, "keep", name=dataset, purpose="How many items", parameters='{"most": 7}')
    assert f"?kept={dataset}" in kept.text
    editor = client.get(f"{PATH}.json?kept={dataset}").json
    assert (editor["cypher"], json.loads(editor["parameters"]), editor["purpose"]) == (
        cypher,
        {"most": 7},
        "How many items",
    )
    changed = ask(client, "RETURN 2", "keep", name=dataset, purpose="")
    assert changed.text.count(f"?kept={dataset}") == 1, "another of the same name takes its place"
    client.post(f"{PATH}/forget", data={"csrf_token": form_token(changed.text), "name": dataset})
    assert dataset not in client.get(PATH).text
    actions = [entry.action for entry in audit.read(graph, 20) if entry.actor == "operator"]
    assert actions[:1] == ["console.forget"]
    assert actions.count("console.keep") >= 2

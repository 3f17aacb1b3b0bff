"""Forms that no page of ours would send: what is wrong is said, and neither guessed nor done."""

from __future__ import annotations

import re

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cikg.access import audit, tokens
from cikg.graph import Graph
from cikg.settings import Settings
from tests import planted
from tests.dashboard import form_token, operator

DATASET = "test-wrong-forms"
LONG = "9" * 5_000


@pytest.fixture(scope="module")
def client(app: Flask, own: Settings, graph: Graph) -> FlaskClient:
    planted.write(graph, DATASET)
    planted.write_runs(graph, DATASET)
    graph.execute(
        "MATCH (a:Intent {uid: $d + ':gardens'}), (b:Intent {uid: $d + ':the sea'}) "
        "MERGE (a)-[pair:SAME_AS]->(b) SET pair += {state: 'proposed', method: 'exact', score: 0.95, history: ['x']}",
        d=DATASET,
    )
    return operator(app, own)


def post(client: FlaskClient, path: str, **fields: object) -> TestResponse:
    return client.post(path, data={"csrf_token": form_token(client.get("/settings").text), **fields})


def told(answer: TestResponse) -> str:
    """What the page says, without its frame."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2]).split()).replace("&#39;", "'")


@pytest.mark.parametrize(
    ("page", "fields", "status", "sentence"),
    [
        ("models", {"seed": LONG}, 400, "cannot be the seed"),
        ("models", {"seed": "-1"}, 400, "Give a whole number from 0 to"),
        ("models", {"trials": "1e3"}, 400, "'1e3' cannot be the number of trials"),
        ("models", {"method": "absent"}, 404, "absent"),
        ("jobs-start", {"job": "user_interests", "limit": "1O"}, 400, "'1O' cannot be the number of subjects"),
        ("jobs-start", {"job": "user_interests", "limit": "-5"}, 400, "'-5' cannot be the number of subjects"),
        ("jobs-start", {"job": "user_interests", "budget": f"{LONG} calls"}, 400, "is no budget"),
        ("jobs-start", {"job": "absent"}, 404, "absent"),
        ("jobs-start", {}, 400, "This request cannot be read"),
        ("merges", {"intent": "gardens", "into": "the sea", "verdict": "perhaps"}, 404, "no verdict 'perhaps'"),
        ("merges", {"intent": "gardens", "into": "the sea", "verdict": "proposed"}, 404, "no verdict 'proposed'"),
        ("merges/accept", {"threshold": "nan"}, 400, "cannot be the minimum similarity"),
        ("users/0/corrections", {"verdict": "perhaps", "piece": "intent:gardens"}, 404, "no verdict 'perhaps'"),
        ("users/0/corrections", {"verdict": "wrong", "piece": "name:gardens"}, 404, "'name' cannot be corrected"),
        ("users/0/corrections", {"verdict": "wrong", "piece": "intent:absent"}, 400, "absent"),
        ("jobs/extraction/explode", {}, 400, "there is no action 'explode'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_wrong_is_said_and_nothing_is_done(
    *, client: FlaskClient, graph: Graph, page: str, fields: dict[str, str], status: int, sentence: str
) -> None:
    def state() -> object:
        nodes = "MATCH (n {dataset: $d}) RETURN n.uid AS uid, n.state AS state ORDER BY uid"
        edges = "MATCH ({dataset: $d})-[e]->() RETURN properties(e) AS e, elementId(e) AS id ORDER BY id"
        return graph.execute(nodes, d=DATASET), graph.execute(edges, d=DATASET), audit.read(graph, 1)

    before = state()
    answer = post(client, f"/d/{DATASET}/{page}", **fields)
    assert (answer.status_code, sentence.lower() in told(answer).lower()) == (status, True), told(answer)
    assert state() == before


def test_a_mistyped_budget_is_told_where_it_was_typed(client: FlaskClient, graph: Graph, dataset: str) -> None:
    planted.write(graph, dataset)
    planted.write_runs(graph, dataset, "paused")
    graph.execute("MATCH (s:Subject {uid: $d + ':extraction/0'}) SET s.state = 'planned'", d=dataset)
    plan = post(client, f"/d/{dataset}/jobs-start", job="user_interests", limit="7", budget="5 apples")
    assert (plan.status_code, 'name="budget"' in plan.text, 'value="5 apples"' in plan.text) == (400, True, True)
    assert '<input type="hidden" name="limit" value="7">' in plan.text
    assert "model stand-in: answers by rule" in told(plan), "nobody takes it for a language model"
    run = post(client, f"/d/{dataset}/jobs/extraction/resume", budget="5 apples")
    assert (run.status_code, 'value="5 apples"' in run.text, "is no budget" in told(run)) == (400, True, True)
    (row,) = client.get(f"/d/{dataset}/costs.json").json["runs"]
    assert row["model"] == "stand-in"


def test_days_that_are_no_number_make_no_token_without_end(client: FlaskClient, graph: Graph, dataset: str) -> None:
    for days in ("soon", "0", "-1", "1.5", "nan", "3651", LONG):
        answer = post(client, "/settings/tokens", name=dataset, scope="read", days=days)
        assert (answer.status_code, "cannot be the number of days" in told(answer)) == (400, True), days
    assert dataset not in {token.name for token in tokens.listed(graph, 10_000)}


ODD = ["", LONG, "\0", "x'}) DETACH DELETE n //", "interest:", "NaN"]


def test_no_form_meets_an_error_of_ours(client: FlaskClient, app: Flask) -> None:
    """Every form that is sent anywhere, with each field odd in turn."""
    values = {"dataset": DATASET, "identifier": "0", "action": "absent", "name": "absent.account", "token": "absent"}
    names = (
        "verdict piece reason intent into job limit budget method seed k sentence threshold by cypher parameters role "
        "password present scope days path format page state to core test_share answer:x several"
    )
    usual = {"verdict": "wrong", "piece": "intent:absent", "intent": "a", "into": "b", "job": "no", "method": "no"}
    value = form_token(client.get("/settings").text)
    for rule in app.url_map.iter_rules():
        if "POST" not in (rule.methods or ()) or rule.rule.startswith("/api/") or rule.endpoint == "session.end":
            continue
        with app.test_request_context():
            address = url_for(rule.endpoint, **{name: values.get(name, "x") for name in rule.arguments})
        for odd in ODD:
            given = {"csrf_token": value, **dict.fromkeys(names.split(), odd)}
            for form in (given, given | usual):
                answer = client.post(address, data=form)
                assert answer.status_code < 500, (rule.rule, odd[:20], told(answer))

"""Corrections from the pages of users and items, as browsers without JavaScript send them."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cikg.access import audit
from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.schema import uid
from cikg.serving.counterfactual import Served
from cikg.serving.publish import publish
from cikg.serving.ranking import known_items
from cikg.settings import Settings
from tests import planted
from tests.dashboard import form_token, operator, viewer

READER = "3"


@pytest.fixture
def client(app: Flask, own: Settings, graph: Graph, dataset: str) -> FlaskClient:
    """An editor before a planted dataset whose model is ready."""
    planted.write(graph, dataset)
    snapshot = take(graph, dataset, own)
    model = planted.Neighbours(snapshot)
    publish(graph, snapshot, model, k=5)
    app.extensions["cikg.served"].models[uid(dataset, model.run_id)] = Served(snapshot, model, known_items(snapshot))
    return operator(app, own)


def send(client: FlaskClient, address: str, **fields: str | list[str]) -> TestResponse:
    token = form_token(client.get("/settings").text)
    return client.post(f"{address}/corrections", data={"csrf_token": token, **fields})


def test_what_is_left_out_can_be_kept_out_and_taken_back(client: FlaskClient, graph: Graph, dataset: str) -> None:
    address = f"/d/{dataset}/users/{READER}"
    before = client.get(f"{address}.json").json
    question = client.get(f"{address}?without=interest:garden")
    assert '<input type="hidden" name="piece" value="interest:garden">' in question.text
    supposed = [item["item"] for item in client.get(f"{address}.json?without=interest:garden").json["what_if"]["items"]]
    done = send(client, address, piece="interest:garden", verdict="wrong", reason="a <b>present</b>")
    assert (done.status_code, done.location) == (303, address)
    after = client.get(f"{address}.json").json
    assert [item["item"] for item in after["recommendations"]] == supposed[:5]
    assert (after["interests"], after["intents"], after["outdated"]) == ([], [], False)
    assert [(one["kind"], one["id"], one["by"]) for one in after["corrections"]] == [("interest", "garden", "operator")]
    page = client.get(address).text
    assert "marked wrong by operator: <q>a &lt;b&gt;present&lt;/b&gt;</q>" in page
    assert ">Undo<" in page
    send(client, address, piece="interest:garden", verdict="stands")
    assert client.get(f"{address}.json").json == before
    entries = [(entry.action, entry.detail.get("reason")) for entry in audit.read(graph, 50) if dataset in entry.target]
    assert entries == [("corrections.stands", None), ("corrections.wrong", "a <b>present</b>")]


def test_of_two_claims_both_are_kept_or_none(client: FlaskClient, graph: Graph, dataset: str) -> None:
    address = f"/d/{dataset}/users/{READER}"
    before = client.get(f"{address}.json").json
    refused = send(client, address, piece=["interest:garden", "interest:sea"], verdict="wrong")
    assert refused.status_code == 400
    assert client.get(f"{address}.json").json == before
    assert not [entry for entry in audit.read(graph, 50) if dataset in entry.target]


def test_a_question_of_what_if_starts_from_what_was_corrected(client: FlaskClient, dataset: str) -> None:
    address = f"/d/{dataset}/users/{READER}"
    send(client, address, piece="interest:garden", verdict="wrong")
    listed = [item["item"] for item in client.get(f"{address}.json").json["recommendations"]]
    asked = client.get(f"{address}.json?with=interest:sea").json["what_if"]
    assert {change["before"] for change in [*asked["items"], *asked["gone"]]} >= set(range(1, len(listed) + 1))
    again = client.get(f"{address}?without=interest:garden")
    assert "that was corrected" in again.text
    assert 'value="wrong"' not in again.text, "what has no answer is not asked for again"


def test_a_list_made_before_says_so_and_is_made_again(
    client: FlaskClient, app: Flask, graph: Graph, dataset: str
) -> None:
    """The model's files were elsewhere when the correction was made."""
    address = f"/d/{dataset}/users/{READER}"
    ready = app.extensions["cikg.served"].models
    kept = dict(ready)
    ready.clear()
    assert send(client, address, piece="interest:garden", verdict="wrong").status_code == 303
    assert "Something was corrected after this list was made" in client.get(address).text
    assert send(client, address, verdict="again").status_code == 404, "there is no model that could"
    ready.update(kept)
    assert send(client, address, verdict="again").status_code == 303
    logged = audit.read(graph, 20, action="corrections.again")
    assert f"{dataset}:{READER}" in [entry.target for entry in logged]
    page = client.get(f"{address}.json").json
    assert not page["outdated"]
    assert all(item["interest"] is None for item in page["recommendations"])


def test_an_item_does_not_offer_what_a_person_says(client: FlaskClient, graph: Graph, dataset: str) -> None:
    graph.execute(
        "MATCH (i:Item {uid: $d + ':sea-1'}), (n:Intent {uid: $d + ':gardens'}) "
        "CREATE (i)-[:SATISFIES {round: 1, evidence: ['sea-1']}]->(n)",
        d=dataset,
    )
    address = f"/d/{dataset}/items/sea-1"
    assert [row["name"] for row in client.get(f"{address}.json").json["intents"]] == ["gardens"]
    assert send(client, address, piece="intent:gardens", verdict="wrong").status_code == 303
    page = client.get(f"{address}.json").json
    assert (page["intents"], [one["name"] for one in page["corrections"]]) == ([], ["gardens"])
    assert send(client, address, piece="intent:gardens", verdict="stands").status_code == 303
    assert client.get(f"{address}.json").json["corrections"] == []


def test_what_makes_no_sense_is_refused(client: FlaskClient, dataset: str) -> None:
    address = f"/d/{dataset}/users/{READER}"
    for fields, status in (
        ({"piece": "interest:sea", "verdict": "wrong"}, 400),
        ({"piece": "item:sea-1", "verdict": "wrong"}, 404),
        ({"piece": "interest:garden", "verdict": "perhaps"}, 404),
        ({"piece": "interest:garden", "verdict": "wrong", "reason": "x" * 501}, 400),
        ({"piece": "interest:garden"}, 400),
    ):
        assert send(client, address, **fields).status_code == status, fields
    assert client.get(f"{address}.json").json["corrections"] == []
    assert client.post(f"{address}/corrections", data={"verdict": "again"}).status_code == 400, "no token of the form"


def test_a_viewer_reads_what_was_corrected_and_is_offered_no_change(
    client: FlaskClient, app: Flask, own: Settings, graph: Graph, dataset: str
) -> None:
    address = f"/d/{dataset}/users/{READER}"
    send(client, address, piece="intent:gardens", verdict="wrong")
    reader = viewer(app, own, graph, dataset)
    page = reader.get(address).text
    assert "marked wrong by operator" in page
    assert ">Undo<" not in page
    assert 'value="wrong"' not in reader.get(f"/d/{dataset}/users/4?without=interest:garden").text

"""Lists for newcomers and searches in a user's order, over a planted shelf and a model that was trained on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cikg.access import tokens
from cikg.access.accounts import Scope
from cikg.graph import Graph
from cikg.settings import Settings
from tests import planted_tastes
from tests.integration.api.conftest import Call

DATASET = "test-newcomers"
PATH = f"/datasets/{DATASET}"


@pytest.fixture(scope="module", autouse=True)
def shelf(graph: Graph, settings: Settings) -> Iterator[None]:
    planted_tastes.write(graph, DATASET)
    planted_tastes.fit(graph, DATASET, settings)
    yield
    graph.execute("MATCH (n {dataset: $d}) DETACH DELETE n", d=DATASET)


def topics(items: list[dict[str, str]]) -> list[str]:
    return [each["item"].partition("-")[0] for each in items]


def test_a_sentence_brings_what_it_says_and_why(call: Call) -> None:
    answer = call("POST", f"{PATH}/newcomers/from-sentence", json={"sentence": "I love ghosts and dragons"})
    assert answer.status_code == 200, answer.json
    taste, items = answer.json["taste"], answer.json["items"]
    assert [each["id"] for each in taste["exact"]] == ["ghosts"]
    assert [each["id"] for each in taste["related"]] == ["stories about ghosts"]
    assert (taste["unknown"], taste["calls"]) == (["dragons"], 2)
    assert taste["tokens"] > 0
    assert [each["rank"] for each in items] == list(range(1, 11))
    assert topics(items).count("ghosts") >= 9
    assert items[0]["intents"][0] == {"id": "ghosts", "name": "ghosts"}
    assert "dragons" not in str(call("GET", "/audit").json), "who asked is logged, and not what was said"


def test_intents_can_be_sent_without_asking(call: Call) -> None:
    path = f"{PATH}/newcomers/from-intents"
    both = call("POST", path, json={"intents": ["ghosts", "chess"], "limit": 20}).json
    assert both["taste"] is None
    assert {*topics(both["items"])} - {"almanac"} == {"ghosts", "chess"}
    one = call("POST", path, json={"intents": ["chess", "chess"], "limit": 10}).json["items"]
    assert topics(one).count("chess") >= 9
    missing = call("POST", path, json={"intents": ["dragons"]})
    assert (missing.status_code, missing.json["code"]) == (404, "not_found")
    assert call("POST", path, json={"intents": []}).status_code == 422


def test_asking_needs_a_role_and_the_rest_does_not(call: Call, graph: Graph) -> None:
    reader = tokens.create(graph, None, "newcomers", [Scope.READ], actor="tests")[1]
    refused = call("POST", f"{PATH}/newcomers/from-sentence", json={"sentence": "ghosts"}, bearer=reader)
    assert refused.status_code == 403
    allowed = call("POST", f"{PATH}/newcomers/from-intents", json={"intents": ["ghosts"]}, bearer=reader)
    assert allowed.status_code == 200


@pytest.mark.parametrize("sentence", ["zzz qqq", "   ", "?!?!"])
def test_a_sentence_without_intents_is_a_400_with_a_cure(call: Call, sentence: str) -> None:
    answer = call("POST", f"{PATH}/newcomers/from-sentence", json={"sentence": sentence})
    assert (answer.status_code, answer.json["code"]) == (400, "bad_request")


def test_a_search_is_put_in_the_users_order(call: Call) -> None:
    orders = {}
    for reader in (0, 3):  # ghosts and revenge; whales and railways
        found = call("GET", f"{PATH}/users/r{reader}/search?q=tale&limit=12").json
        assert found["run"].startswith("ikgr-")
        own = planted_tastes.tastes(reader)
        assert sum(topic in (*own, "almanac") for topic in topics(found["items"])) >= 11, "sixty books have the word"
        for hit in found["items"]:
            assert [each["id"].split()[-1] in hit["item"] for each in hit["intents"]] == [True] * len(hit["intents"])
            assert bool(hit["intents"]) == (hit["item"].partition("-")[0] in own)
        orders[reader] = [hit["item"] for hit in found["items"]]
    assert orders[0] != orders[3]
    text = call("GET", f"{PATH}/users/r0/search?q=tale&limit=12&weight=0").json["items"]
    assert [hit["found"] for hit in text] == [hit["rank"] for hit in text] == list(range(1, 13))
    assert call("GET", f"{PATH}/users/nobody/search?q=tale").status_code == 404
    assert call("GET", f"{PATH}/users/r0/search?q=%3F!").status_code == 400
    assert call("GET", f"{PATH}/users/r0/search?q=xylophone").json["items"] == []


def test_without_a_model_it_says_how_to_train_one(call: Call, planted_dataset: str) -> None:
    for method, path, body in (
        ("POST", "newcomers/from-sentence", {"sentence": "gardens"}),
        ("POST", "newcomers/from-intents", {"intents": ["gardens"]}),
        ("GET", "users/0/search?q=garden", None),
    ):
        answer = call(method, f"/datasets/{planted_dataset}/{path}", json=body)
        assert answer.status_code == 404
        assert "cikg train ikgr" in answer.json["cure"]

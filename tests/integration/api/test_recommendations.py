from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.serving.publish import publish
from cikg.settings import Settings
from tests import planted
from tests.integration.api.conftest import Call


def test_the_missing_book_and_why(call: Call, planted_dataset: str) -> None:
    for reader in ("0", "25", planted.QUIRK):
        path = f"/datasets/{planted_dataset}/users/{quote(reader, safe='').replace('%2F', '~2F')}/recommendations"
        answer = call("GET", f"{path}?limit=3").json
        first = answer["items"][0]
        assert (answer["user"], answer["run"], answer["method"]) == (reader, "neighbours-1", "neighbours")
        assert first["item"] == planted.missing(reader)
        assert first["interest"]["id"] == planted.readers()[reader]
        assert [item["rank"] for item in answer["items"]] == [1, 2, 3]
        assert call("GET", f"{path}/{first['item']}").json == first


def test_many_at_once(call: Call, planted_dataset: str) -> None:
    body = {"users": ["3", "absent", "30", "3"], "limit": 1}
    answer = call("POST", f"/datasets/{planted_dataset}/recommendations", json=body).json
    assert answer["unknown"] == ["absent"]
    assert [(each["user"], each["items"][0]["item"]) for each in answer["items"]] == [
        (reader, planted.missing(reader)) for reader in ("3", "30")
    ]
    one = call("GET", f"/datasets/{planted_dataset}/users/3/recommendations?limit=1").json
    assert answer["items"][0] == one


def test_what_is_not_recommended_has_no_reason(call: Call, planted_dataset: str) -> None:
    answer = call("GET", f"/datasets/{planted_dataset}/users/0/recommendations/absent")
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    missed = call("GET", f"/datasets/{planted_dataset}/users/133/recommendations")
    assert missed.status_code == 404
    assert "Did you mean" in missed.json["cure"]


def test_a_reason_is_of_the_item_whatever_is_published_meanwhile(
    call: Call, graph: Graph, planted_dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read in two steps, the list of the second may be another model's."""
    served = {"d": planted_dataset, "m": graph.many("served_model", dataset=planted_dataset)[0]["model"]}
    read = Graph.many

    def many(self: Graph, name: str, /, **parameters: Any) -> list[Any]:
        found = read(self, name, **parameters)
        if name in ("recommended", "served_to"):
            graph.execute("MATCH (d:Dataset {uid: $d}) SET d.published = null", d=planted_dataset)
        return found

    monkeypatch.setattr(Graph, "many", many)
    item = planted.missing("3")
    answer = call("GET", f"/datasets/{planted_dataset}/users/3/recommendations/{item}")
    monkeypatch.undo()
    graph.execute("MATCH (d:Dataset {uid: $d}) SET d.published = $m", **served)
    assert (answer.status_code, answer.json["item"]) == (200, item)


def test_a_new_publication_is_seen_at_once(call: Call, graph: Graph, settings: Settings, dataset: str) -> None:
    """Another length or model makes another validator, whatever this process has answered before."""
    planted.write(graph, dataset)
    snapshot = take(graph, dataset, settings)
    path, seen = f"/datasets/{dataset}/users/0/recommendations?limit=50", {}
    for run, length in (("one", 2), ("one", 4), ("two", 4), ("one", 4)):
        publish(graph, snapshot, planted.Neighbours(snapshot, run), k=length)
        answer = call("GET", path)
        assert (answer.json["run"], len(answer.json["items"])) == (run, length)
        assert call("GET", path).data == answer.data
        seen[answer.headers["ETag"]] = run
    assert len(seen) == 4


def test_what_stands_between_a_reader_and_an_interest(call: Call, planted_dataset: str) -> None:
    query = "source_kind=User&source=0&target_kind=Interest&target=sea"
    paths = call("GET", f"/datasets/{planted_dataset}/paths?{query}").json["items"]
    assert paths
    lengths = [len(path["edges"]) for path in paths]
    assert lengths == sorted(lengths)
    for path in paths:
        assert [path["nodes"][0]["id"], path["nodes"][-1]["id"]] == ["0", "sea"]
        assert len(path["edges"]) == len(path["nodes"]) - 1 == 3, "almanac, another reader, their interest"
        assert [(edge["type"], edge["forward"]) for edge in path["edges"]] == [
            ("INTERACTED", True),
            ("INTERACTED", False),
            ("HAS_INTEREST", True),
        ]
    same = call("GET", f"/datasets/{planted_dataset}/paths?{query.replace('sea', 'garden')}").json["items"]
    assert len(same[0]["edges"]) == 1
    nowhere = query.replace("target_kind=Interest&target=sea", "target_kind=User&target=nobody")
    assert call("GET", f"/datasets/{planted_dataset}/paths?{nowhere}").status_code == 404
    itself = "source_kind=User&source=0&target_kind=User&target=0"
    assert call("GET", f"/datasets/{planted_dataset}/paths?{itself}").status_code == 200


def test_neighbours_come_by_type_and_pruned_ones_when_asked(call: Call, graph: Graph, dataset: str) -> None:
    planted.write(graph, dataset)
    path = f"/datasets/{dataset}/nodes/user/0/neighbours"
    found = call("GET", path).json["items"]
    assert {row["type"] for row in found} == {"INTERACTED", "HAS_INTEREST", "POSSESSES"}
    books = call("GET", f"{path}?type=INTERACTED&limit=500").json["items"]
    assert len(books) == planted.BOOKS
    assert all(row["outgoing"] and row["kind"] == "Item" for row in books)
    graph.execute(
        "MATCH (:User {uid: $u})-[h:HAS_INTEREST]->() SET h.pruned_by = 'tests', h.pruned_reason = 'why not'",
        u=f"{dataset}:0",
    )
    graph.execute("MATCH (d:Dataset {uid: $d}) SET d.version = d.version + 1", d=dataset)
    assert not call("GET", f"{path}?type=HAS_INTEREST").json["items"]
    (pruned,) = call("GET", f"{path}?type=HAS_INTEREST&pruned=true").json["items"]
    assert (pruned["pruned_by"], pruned["pruned_reason"]) == ("tests", "why not")


def test_search_finds_names_and_ids(call: Call, planted_dataset: str) -> None:
    hits = call("GET", f"/datasets/{planted_dataset}/search?q=garden bo").json
    assert {hit["id"] for hit in hits["items"] if hit["kind"] == "Item"} == {f"garden-{number}" for number in range(6)}
    assert call("GET", f"/datasets/{planted_dataset}/search?q=sea-3").json["items"][0]["id"] == "sea-3"
    assert call("GET", f"/datasets/{planted_dataset}/search?q=").status_code == 422
    first = call("GET", f"/datasets/{planted_dataset}/search?q=garden bo&limit=1").json
    assert first == {"items": hits["items"][:1], "truncated": True}

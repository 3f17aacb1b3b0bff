from __future__ import annotations

from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.serving.publish import publish
from cikg.settings import Settings
from tests import planted
from tests.integration.api.conftest import Call


def test_a_correction_shows_everywhere_and_is_taken_back(
    call: Call, graph: Graph, settings: Settings, dataset: str
) -> None:
    planted.write(graph, dataset)
    snapshot = take(graph, dataset, settings)
    publish(graph, snapshot, planted.Neighbours(snapshot), k=3)
    user = f"/datasets/{dataset}/users/3"
    paths = [user, f"{user}/recommendations", f"{user}/corrections", f"/datasets/{dataset}/interests/garden"]
    before = {path: call("GET", path) for path in paths}
    assert before[f"{user}/corrections"].json == {"items": []}
    body = {"kind": "interest", "id": "garden", "reason": "a present"}
    done = call("POST", f"{user}/corrections", json=body)
    assert done.status_code == 200
    assert done.json["items"] == [
        {"kind": "interest", "id": "garden", "name": "gardens", "by": "token:operator/tests", "reason": "a present"}
    ]
    assert call("POST", f"{user}/corrections", json=body).json == done.json
    for path, answer in before.items():
        now = call("GET", path, headers={"If-None-Match": answer.headers["ETag"]})
        assert (path, now.status_code) == (path, 200), "nobody is told that nothing changed"
        assert now.json != answer.json
    assert call("GET", user).json["interests"] == []
    now = call("GET", f"{user}/recommendations").json
    assert (now["items"][0]["interest"], now["outdated"]) == (None, True), "no file of the model is here to heed it"
    lists = call("POST", f"/datasets/{dataset}/recommendations", json={"users": ["3", "4"]}).json["items"]
    assert [each["outdated"] for each in lists] == [True, False]
    taken = call("DELETE", f"{user}/corrections/interest/garden")
    assert taken.json == {"items": []}
    for path, answer in before.items():
        since = {"outdated": True} if path.endswith("/recommendations") else {}
        assert call("GET", path).json == answer.json | since


def test_publishing_the_served_model_again_is_seen(call: Call, graph: Graph, settings: Settings, dataset: str) -> None:
    planted.write(graph, dataset)
    snapshot = take(graph, dataset, settings)
    publish(graph, snapshot, planted.Neighbours(snapshot), k=3)
    user = f"/datasets/{dataset}/users/3"
    call("POST", f"{user}/corrections", json={"kind": "interest", "id": "garden"})
    stale = call("GET", f"{user}/recommendations")
    assert stale.json["outdated"]
    publish(graph, snapshot, planted.Neighbours(snapshot), k=3)
    fresh = call("GET", f"{user}/recommendations", headers={"If-None-Match": stale.headers["ETag"]})
    assert (fresh.status_code, fresh.json["outdated"]) == (200, False)
    publish(graph, snapshot, planted.Neighbours(snapshot), k=3)
    same = call("GET", f"{user}/recommendations", headers={"If-None-Match": fresh.headers["ETag"]})
    assert same.status_code == 304, "nothing is different"


def test_what_is_not_there_is_said(call: Call, planted_dataset: str) -> None:
    of = f"/datasets/{planted_dataset}"
    assert call("GET", f"{of}/users/nobody/corrections").status_code == 404
    assert call("GET", f"{of}/items/nothing/corrections").status_code == 404
    absent = call("POST", f"{of}/users/3/corrections", json={"kind": "interest", "id": "sea"})
    assert (absent.status_code, "nobody says" in absent.json["detail"]) == (400, True)
    assert call("POST", f"{of}/items/sea-1/corrections", json={"kind": "intent", "id": "gardens"}).status_code == 400
    assert call("DELETE", f"{of}/users/3/corrections/item/sea-1").status_code == 404
    assert call("POST", f"{of}/users/3/corrections", json={"kind": "item", "id": "sea-1"}).status_code == 422


def test_an_item_is_corrected_likewise(call: Call, graph: Graph, dataset: str) -> None:
    planted.write(graph, dataset)
    graph.execute(
        "MATCH (i:Item {uid: $d + ':sea-1'}), (n:Intent {uid: $d + ':gardens'}) "
        "CREATE (i)-[:SATISFIES {round: 1}]->(n)",
        d=dataset,
    )
    path = f"/datasets/{dataset}/items/sea-1/corrections"
    assert call("POST", path, json={"kind": "intent", "id": "gardens"}).json["items"][0]["name"] == "gardens"
    assert call("GET", path).json["items"][0]["reason"] == ""
    assert call("DELETE", f"{path}/intent/gardens").json == {"items": []}

"""Commands that wait for a worker, over the API: shown, followed, cancelled, and not mistaken for jobs."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from cikg.access import audit, tokens
from cikg.access.accounts import Scope
from cikg.extraction import commands
from cikg.graph import Graph
from cikg.settings import Settings
from tests import planted
from tests.integration.api.conftest import Call


@pytest.fixture
def queued(graph: Graph, settings: Settings, dataset: str) -> list[str]:
    """Three commands of a dataset, the oldest first."""
    planted.write(graph, dataset)
    given = (["train", "ease"], ["publish", "ease-1", "--k", "5"], ["cluster"])
    runs = [commands.enqueue(graph, settings, [*words, "--dataset", dataset]) for words in given]
    return [run.partition(":")[2] for run in runs]


def test_commands_are_listed_and_shown(call: Call, dataset: str, queued: list[str]) -> None:
    first = call("GET", f"/datasets/{dataset}/commands?limit=2").json
    rest = call("GET", f"/datasets/{dataset}/commands?limit=2&cursor={first['next']}").json
    listed = [*first["items"], *rest["items"]]
    assert [each["run"] for each in listed] == queued[::-1]
    assert [each["command"] for each in listed] == ["cluster", "publish ease-1", "train ease"]
    assert {(each["state"], each["attempts"], each["queue"]) for each in listed[:2]} == {("planned", 0, "graph")}
    one = call("GET", f"/datasets/{dataset}/commands/{queued[1]}").json
    assert one["arguments"] == ["publish", "ease-1", "--k", "5", "--dataset", dataset]
    assert (one["said"], one["progress"], one["finished_at"]) == (None, None, None)
    assert {name: one[name] for name in listed[1]} == listed[1]


def test_a_command_is_followed_to_its_end(call: Call, graph: Graph, dataset: str, queued: list[str]) -> None:
    path = f"/datasets/{dataset}/commands/{queued[0]}"

    def becomes(**properties: object) -> None:
        graph.execute("MATCH (run:Run {uid: $run}) SET run += $own", run=f"{dataset}:{queued[0]}", own=properties)

    becomes(state="running", progress="epoch 3 of 40", attempts=1, lease="a worker")
    under_way = call("GET", path).json
    assert (under_way["state"], under_way["progress"], under_way["attempts"]) == ("running", "epoch 3 of 40", 1)
    becomes(state="done", said=json.dumps({"run": "ease-1"}), finished_at=datetime.now(UTC))
    ended = call("GET", path).json
    assert (ended["state"], json.loads(ended["said"])) == ("done", {"run": "ease-1"})
    assert ended["finished_at"]
    refused = call("POST", f"{path}/cancel")
    assert (refused.status_code, refused.json["code"]) == (409, "conflict")


def test_a_cancelled_command_is_not_taken_up(
    call: Call, graph: Graph, settings: Settings, dataset: str, queued: list[str]
) -> None:
    path = f"/datasets/{dataset}/commands/{queued[2]}"
    reader = tokens.create(graph, None, dataset, [Scope.READ], actor="tests")[1]
    assert call("POST", f"{path}/cancel", bearer=reader).status_code == 403
    answer = call("POST", f"{path}/cancel")
    assert (answer.status_code, answer.json["state"]) == (200, "cancelled"), answer.text
    assert answer.json["error"].startswith("cancelled by token:")
    run = f"{dataset}:{queued[2]}"
    commands.carry_out(graph, settings, run)
    assert call("GET", path).json["attempts"] == 0
    (entry,) = [each for each in audit.read(graph, 1_000) if dataset in each.target and "cancel" in each.action]
    assert (entry.action, entry.detail) == ("commands.cancel", {"run": run})
    assert call("POST", f"{path}/cancel").status_code == 409
    again = call("POST", f"{path}/retry")
    assert (again.status_code, again.json["state"]) == (202, "planned"), again.text
    assert again.json["run"] != queued[2]
    assert again.json["arguments"] == answer.json["arguments"]
    assert call("POST", f"/datasets/{dataset}/commands/{queued[0]}/retry").status_code == 409, "it waits"


def test_trainings_and_clusterings_are_asked_for_once(call: Call, graph: Graph, dataset: str) -> None:
    planted.write(graph, dataset)
    runs, cluster = f"/datasets/{dataset}/runs", f"/datasets/{dataset}/interests"
    first = call("POST", runs, json={})
    assert (first.status_code, first.json["state"]) == (202, "planned"), first.text
    assert first.json["arguments"] == ["train", "mixture", "--dataset", dataset]
    assert call("GET", f"/datasets/{dataset}/commands/{first.json['run']}").json == first.json
    again = call("POST", runs, json={"method": "mixture"})
    assert again.json["run"] == first.json["run"], "it waits already"
    other = call("POST", runs, json={"method": "ease", "seed": 3, "seeds": 2})
    assert other.json["arguments"] == ["train", "ease", "--dataset", dataset, "--seed", "3", "--seeds", "2"]
    tuned = call("POST", runs, json={"method": "lightgcn", "trials": 20})
    assert tuned.json["arguments"] == ["train", "lightgcn", "--dataset", dataset, "--tune", "20"]
    grouped = call("POST", cluster, json={"clusters": 12})
    assert grouped.json["arguments"] == ["cluster", "--dataset", dataset, "--clusters", "12"]
    listed = {row["command"] for row in call("GET", f"/datasets/{dataset}/commands").json["items"]}
    assert listed == {"cluster", "train ease", "train lightgcn", "train mixture"}
    planted.write_training(graph, dataset, "ease-1", "ease", 0.3)
    assert call("POST", f"{runs}/ease-1/evaluation").json["arguments"] == ["evaluate", "ease-1"]
    assert call("POST", f"{runs}/absent/evaluation").status_code == 404
    call("POST", f"/datasets/{dataset}/commands/{first.json['run']}/cancel")
    assert call("POST", runs, json={}).json["run"] != first.json["run"], "that one has ended"
    logged = [(each.action, each.detail) for each in audit.read(graph, 1_000) if each.target.endswith(runs)]
    assert ("models.train", {"method": "ease", "seed": 3, "seeds": 2, "trials": 0}) in logged


def test_pairs_are_looked_for_and_judged_and_vectors_made(call: Call, graph: Graph, dataset: str) -> None:
    planted.write(graph, dataset)
    merges, embeddings = f"/datasets/{dataset}/merges", f"/datasets/{dataset}/embeddings"
    looked = call("POST", merges, json={})
    assert looked.status_code == 202, looked.text
    assert looked.json["arguments"][:4] == ["intents", "propose", "--dataset", dataset]
    absent = call("POST", merges, json={"embedding": "lexical_64"})
    assert (absent.status_code, "no embedding 'lexical_64'" in absent.json["detail"]) == (404, True)
    assert call("GET", embeddings).json == {"items": []}
    assert call("POST", embeddings).json["arguments"] == ["embed", "--dataset", dataset]
    graph.execute("MATCH (d:Dataset {uid: $d}) SET d.embeddings = ['Intent/lexical_64']", d=dataset)
    assert call("GET", embeddings).json["items"] == [
        {"kind": "Intent", "embedding": "lexical_64", "dimension": 64},
    ]
    near = call("POST", merges, json={"embedding": "lexical_64", "threshold": 0.7}).json["arguments"]
    assert near[-6:] == ["--method", "vector", "--threshold", "0.7", "--embedding", "lexical_64"]
    likeliest = call("POST", f"{merges}/acceptance", json={"threshold": 0.95})
    assert (likeliest.status_code, likeliest.json["state"]) == (202, "planned"), likeliest.text
    who = likeliest.json["arguments"][5]
    assert likeliest.json["arguments"] == [
        "intents", "review", "--dataset", dataset, "--actor", who, "--accept-from", "0.95"
    ]  # fmt: skip
    assert call("POST", f"{merges}/acceptance", json={"threshold": 0.95}).json["run"] == likeliest.json["run"]
    for refused in ({}, {"threshold": 0}, {"threshold": 1.5}):
        assert call("POST", f"{merges}/acceptance", json=refused).status_code == 422
    (entry,) = {str(each.detail) for each in audit.read(graph, 1_000) if each.target.endswith(f"{merges}/acceptance")}
    assert entry == "{'threshold': 0.95}"
    pair = {"intent": "gardens", "into": "the sea"}
    assert call("POST", f"{merges}/verdicts", json={**pair, "verdict": "rejected"}).status_code == 200
    listed = call("GET", f"{merges}?state=rejected").json["items"]
    assert [(each["intent"], each["into"], each["state"]) for each in listed] == [("gardens", "the sea", "rejected")]
    assert call("GET", merges).json == {"items": [], "next": None}
    assert call("POST", f"{merges}/verdicts", json={**pair, "verdict": "merged"}).status_code == 200
    assert call("GET", f"/datasets/{dataset}/intents/gardens").json["merged_into"] == "the sea"
    assert call("POST", f"{merges}/verdicts", json={**pair, "verdict": "undone"}).status_code == 200
    assert call("GET", f"/datasets/{dataset}/intents/gardens").json["merged_into"] is None
    again = call("POST", f"{merges}/verdicts", json={**pair, "verdict": "undone"})
    assert again.status_code == 409, again.text
    logged = [each.detail for each in audit.read(graph, 1_000) if each.target.endswith(f"{merges}/verdicts")]
    assert {**pair, "verdict": "rejected"} in logged


def test_what_cannot_be_trained_or_clustered_is_refused(call: Call, graph: Graph, dataset: str) -> None:
    planted.write(graph, dataset)
    runs, cluster = f"/datasets/{dataset}/runs", f"/datasets/{dataset}/interests"
    unknown = call("POST", runs, json={"method": "luck"})
    assert unknown.status_code == 404
    assert "The methods are cikgrec, colakg" in unknown.json["cure"]
    assert call("POST", runs, json={"method": "ease", "seeds": 11}).status_code == 422
    tuned = call("POST", runs, json={"method": "popularity", "trials": 5})
    assert (tuned.status_code, tuned.json["detail"]) == (400, "popularity has no hyperparameters to search")
    assert call("POST", cluster, json={"clusters": 0}).status_code == 422
    reader = tokens.create(graph, None, dataset, [Scope.READ], actor="tests")[1]
    merges = f"/datasets/{dataset}/merges"
    for path, body in {runs: {}, cluster: {}, merges: {}, f"{merges}/acceptance": {"threshold": 1}}.items():
        assert call("POST", path, json=body, bearer=reader).status_code == 403
        assert call("POST", path.replace(dataset, "absent"), json=body).status_code == 404
    assert call("GET", f"/datasets/{dataset}/commands").json["items"] == []


def test_commands_and_jobs_are_told_apart(call: Call, graph: Graph, dataset: str, queued: list[str]) -> None:
    planted.write_runs(graph, dataset, "running")
    job = call("GET", f"/datasets/{dataset}/commands/extraction")
    assert (job.status_code, job.json["code"]) == (404, "not_found")
    command = call("GET", f"/datasets/{dataset}/jobs/{queued[0]}")
    assert command.status_code == 404
    assert "/commands" in command.json["cure"]
    assert call("GET", "/datasets/absent/commands").status_code == 404
    assert call("GET", f"/datasets/{dataset}/commands/absent").status_code == 404

"""Models over the API: side by side, published by a worker, taken back, and what their stages add."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from cikg.access import audit, tokens
from cikg.access.accounts import Scope
from cikg.embedded import supervisor
from cikg.extraction import commands
from cikg.graph import Graph
from cikg.recommend import runs, stages
from cikg.recommend.evaluation.comparison import Interval, compare
from cikg.schema import uid
from cikg.settings import Settings
from tests import planted, trained
from tests.integration.api.conftest import Call


@pytest.fixture(scope="module")
def models(graph: Graph, settings: Settings) -> tuple[str, list[str]]:
    """A dataset with runs of popularity and EASE."""
    dataset = "test-api-models"
    planted.write(graph, dataset)
    return dataset, trained.write(graph, settings, dataset, "popularity", "ease", "lightgcn")


def test_runs_are_compared_as_the_command_line_does(
    call: Call, models: tuple[str, list[str]], settings: Settings
) -> None:
    dataset, (popular, ease, _) = models
    asked = f"/datasets/{dataset}/comparison?run={popular}&run={ease}&split=valid&metric=recall@5&groups=users"
    found = call("GET", asked)
    assert found.status_code == 200, found.text
    entries = found.json["entries"]
    assert [entry["name"] for entry in entries] == ["popularity", "ease"]
    gap = compare([settings.runs / popular, settings.runs / ease], "valid").differences(["recall@5"])[0]["recall@5"]
    assert entries[1]["differences"]["recall@5"] == asdict(gap) | {"verdict": gap.verdict}
    assert sum(group["users"] for group in found.json["groups"]) == found.json["users"]
    assert list(found.json["settings"]), "a penalty, at least"
    assert call("GET", asked, headers={"If-None-Match": found.headers["ETag"]}).status_code == 304


def test_what_cannot_be_compared_is_refused_with_its_reason(call: Call, models: tuple[str, list[str]]) -> None:
    dataset, (popular, ease, _) = models
    beside = f"/datasets/{dataset}/comparison?run={popular}"
    assert call("GET", beside).status_code == 422, "one alone"
    refused = call("GET", f"{beside}&run={ease}&split=test")
    assert refused.status_code == 400
    assert "has not been measured on test" in refused.json["detail"]
    assert call("GET", f"{beside}&run=absent").status_code == 404
    assert call("GET", f"{beside}&run=..%2F..%2Fetc").status_code == 422, "never a path"
    assert call("GET", f"{beside}&run={ease}&split=valid&metric=luck@3").status_code == 400


def test_a_worker_publishes_and_going_back_is_at_once(
    call: Call, models: tuple[str, list[str]], graph: Graph, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, (popular, ease, _) = models
    for name, value in supervisor.environment(settings).items():
        monkeypatch.setenv(name, value)
    served = f"/datasets/{dataset}/served"
    trained.publish(graph, settings, popular, k=3)
    asked = call("PUT", served, json={"run": ease, "k": 3})
    assert asked.status_code == 202, asked.text
    assert (asked.json["publication"]["about"], asked.json["publication"]["state"]) == (ease, "planned")
    commands.carry_out(graph, settings, uid(dataset, asked.json["publication"]["run"]))
    stands = call("GET", served).json
    assert (stands["now"]["run"], stands["before"]["run"]) == (ease, popular)
    assert (stands["publication"]["state"], stands["publication"]["error"]) == ("done", None)
    user = f"/datasets/{dataset}/users/0/recommendations?limit=1"
    assert call("GET", user).json["items"][0]["item"] == planted.missing("0")
    tag = call("GET", user).headers["ETag"]
    back = call("POST", f"{served}/rollback", json={"to": popular})
    assert back.json == {"run": popular, "users": 41, "recommendations": 41 * 3, "explained": back.json["explained"]}
    assert call("POST", f"{served}/rollback", json={"to": popular}).json == back.json, "asked twice, done once"
    changed = call("GET", user, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.json["run"] == popular
    assert call("POST", f"{served}/rollback", json={"to": "other"}).status_code == 409
    assert call("POST", f"{served}/rollback", json={}).json["run"] == ease
    actions = [(entry.action, entry.detail) for entry in audit.read(graph, 1_000) if dataset in entry.target]
    assert ("models.serve", {"k": 3, "run": ease}) in actions
    assert ("models.roll_back", {"run": popular}) in actions


def test_methods_are_listed(call: Call) -> None:
    found = {method["name"]: method for method in call("GET", "/methods").json["items"]}
    assert found["lightgcn"]["help"].startswith("LightGCN")
    assert (found["lightgcn"]["searched"], found["popularity"]["searched"]) == (True, False)


def test_who_may_only_read_changes_nothing(call: Call, models: tuple[str, list[str]], graph: Graph) -> None:
    dataset, (popular, _, graphed) = models
    reader = tokens.create(graph, None, "reader of models", [Scope.READ], actor="tests")[1]
    served = f"/datasets/{dataset}/served"
    assert call("PUT", served, json={"run": popular}, bearer=reader).status_code == 403
    assert call("POST", f"{served}/rollback", json={}, bearer=reader).status_code == 403
    assert call("POST", f"/datasets/{dataset}/runs/{graphed}/stages", json={}, bearer=reader).status_code == 403
    assert call("PUT", served, json={"run": "absent"}).status_code == 404


def test_stages_are_asked_for_and_shown_with_their_price(
    call: Call, models: tuple[str, list[str]], graph: Graph, settings: Settings
) -> None:
    dataset, (popular, _, graphed) = models
    address = f"/datasets/{dataset}/runs/{graphed}/stages"
    before = call("GET", address).json
    assert before["stages"] == []
    assert call("POST", address, json={"metric": "luck@3"}).status_code == 400
    assert call("GET", address).json == before, "what is wrong is not queued"
    asked = call("POST", address, json={})
    assert asked.status_code == 202, asked.text
    assert (asked.json["command"]["about"], asked.json["command"]["state"]) == ("stages", "planned")
    graph.execute("MATCH (r:Run {dataset: $d, kind: 'command'}) SET r.state = 'done'", d=dataset)
    lift = stages.Lift("interests", "their edges", ("without",), Interval(0.0, -0.1, 0.1), Interval(0.04, 0.02, 0.06))
    report = stages.Report("lightgcn", dataset, "recall@20", (graphed,), 0.5, 0.6, (lift,))
    runs.write_json(settings.runs / graphed / stages.REPORT.format(metric="recall@20"), asdict(report))
    planted.write_runs(graph, dataset)
    (row,) = call("GET", address).json["stages"]
    assert (row["stage"], row["verdict"]) == ("interests", {"valid": "not proven", "test": "better"})
    assert (row["calls"], row["tokens"], row["tokens_a_point"]) == (3, 45, pytest.approx(45 / 4))
    assert call("GET", f"/datasets/{dataset}/runs/{popular}/stages").status_code == 400
    assert call("GET", f"{address}?metric=luck@3").status_code == 400

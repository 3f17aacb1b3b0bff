"""Jobs over the API: estimated, started once, paused, resumed with a budget, cancelled. No worker takes them up."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from cikg.graph import Graph
from cikg.settings import Settings
from tests import planted
from tests.integration.api.conftest import Call


@pytest.fixture(scope="module")
def own(settings: Settings) -> Settings:
    """Settings with a model that nobody asks."""
    model = {"openai_base_url": "http://127.0.0.1:9/v1", "openai_model": "nobody"}
    return settings.model_copy(update={"secret_key": SecretStr("jobs-test-key-0123456789"), **model})


@pytest.fixture
def jobs(graph: Graph, dataset: str) -> str:
    """The address of the jobs of a dataset with readers."""
    planted.write(graph, dataset)
    return f"/datasets/{dataset}/jobs"


def test_an_estimate_starts_nothing(call: Call, jobs: str) -> None:
    asked = {"job": "user_interests", "limit": 5, "dry_run": True, "budget": "500 calls"}
    found = call("POST", jobs, json=asked)
    assert found.status_code == 202
    assert (found.json["pending"], found.json["total"], found.json["estimate"]["calls"]) == (5, 5, 5)
    assert found.json["estimate"]["model"] == "nobody"
    assert call("GET", jobs).json["items"] == []


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_estimate_refuses_the_budget_that_a_start_would_refuse(call: Call, jobs: str, dry_run: bool) -> None:
    for budget, problem in (("much", "'much' is no budget"), ("5 USD", "nobody said what 'nobody' costs")):
        refused = call("POST", jobs, json={"job": "user_interests", "budget": budget, "dry_run": dry_run})
        assert (refused.status_code, problem in refused.json["detail"]) == (400, True)
    assert call("GET", jobs).json["items"] == []


def test_a_run_is_started_once_paused_resumed_and_cancelled(call: Call, jobs: str) -> None:
    asked = {"job": "user_interests", "limit": 5, "budget": "3 calls"}
    started = [call("POST", jobs, json=asked).json for _ in range(2)]
    assert started[0]["run"] == started[1]["run"]
    run = f"{jobs}/{started[0]['run']}"
    shown = call("GET", run).json
    assert (shown["state"], shown["planned"], shown["total"], shown["budget"]) == ("running", 5, 5, "3 calls")
    assert shown["model"] == "nobody"
    assert call("POST", f"{run}/pause").json["state"] == "paused"
    assert call("POST", f"{run}/resume", json={"budget": "nothing"}).status_code == 400
    assert call("GET", run).json["state"] == "paused"
    resumed = call("POST", f"{run}/resume", json={"unlimited": True}).json
    assert (resumed["state"], resumed["budget"]) == ("running", None)
    assert call("POST", f"{run}/cancel").json["state"] == "cancelled"
    assert call("POST", f"{run}/pause").status_code == 409
    assert [each["state"] for each in call("GET", jobs).json["items"]] == ["cancelled"]

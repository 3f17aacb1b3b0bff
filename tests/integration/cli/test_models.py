"""`cikg publish`, its way back, and `cikg report stages`, as a person types them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cikg.cli import publish, report
from cikg.errors import CikgError
from cikg.graph import Graph
from cikg.serving.recommend import recommend
from cikg.settings import Settings
from tests import planted, trained

Cikg = Callable[..., Result]


@pytest.fixture
def cikg(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Cikg:
    """Runs a command in this process, which has loaded torch already."""
    for name, value in (environment | {"COLUMNS": "200"}).items():
        monkeypatch.setenv(name, value)

    def call(name: str, *arguments: object) -> Result:
        command = {"publish": publish.command, "report": report.command}[name]
        return CliRunner().invoke(command, [str(each) for each in arguments])

    return call


def refusal(result: Result) -> str:
    """Why a command refused, with exit code 2 where it is called for real."""
    assert isinstance(result.exception, CikgError), result.output
    assert result.exception.exit_code == 2
    return str(result.exception)


def test_a_model_is_published_and_taken_back(graph: Graph, settings: Settings, dataset: str, cikg: Cikg) -> None:
    planted.write(graph, dataset)
    popular, ease = trained.write(graph, settings, dataset, "popularity", "ease")
    trained.publish(graph, settings, popular, k=2)
    done = cikg("publish", ease, "--dataset", dataset, "--k", 3, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) | {"seconds": 0, "explained": 0} == {
        **{"dataset": dataset, "run": ease, "users": 41, "recommendations": 41 * 3},
        **{"seconds": 0, "explained": 0},
    }
    back = cikg("publish", "--back", "--dataset", dataset)
    assert popular in back.stdout, back.output
    assert recommend(graph, dataset, "0").run == popular
    other = refusal(cikg("publish", "--back", "other", "--dataset", dataset))
    assert "before the model that is served now it was" in other
    assert "--back needs a dataset" in refusal(cikg("publish", "--back"))
    assert "was trained on" in refusal(cikg("publish", ease, "--dataset", "other"))


def test_what_a_stage_is_worth(graph: Graph, settings: Settings, dataset: str, cikg: Cikg, tmp_path: Path) -> None:
    planted.write(graph, dataset)
    graph.execute(
        "MATCH (:User {dataset: $d})-[r:INTERACTED]->(i) WHERE i.id ENDS WITH '4' SET r.split = 'test'", d=dataset
    )
    popular, run = trained.write(graph, settings, dataset, "popularity", "lightgcn")
    picture = tmp_path / "lifts.svg"
    first = cikg("report", "stages", run, "--metric", "recall@10", "--svg", picture, "--json")
    assert first.exit_code == 0, first.output
    found = json.loads(first.stdout)
    (stage,) = found["stages"]
    assert (stage["stage"], stage["jobs"], stage["calls"]) == ("interests", ["user_interests"], 0)
    assert stage["test"]["low"] <= stage["test"]["mean"] <= stage["test"]["high"]
    known = [row["run"] for row in graph.many("training_runs", dataset=dataset, limit=10)]
    (without,) = (row for row in known if row["id"] == stage["runs"][0])
    assert json.loads(without["parameters"])["graph"] == "ckg"
    assert "test" in json.loads(without["evaluation"])
    assert "What each stage adds to lightgcn" in (ET.parse(picture).getroot()[0].text or "")
    again = cikg("report", "stages", run, "--metric", "recall@10")
    assert again.exit_code == 0, again.output
    assert f"{stage['test']['mean']:+.4f}" in again.stdout
    assert "the edges between users and interests" in again.stderr
    assert "popularity has no extraction stages" in refusal(cikg("report", "stages", popular))

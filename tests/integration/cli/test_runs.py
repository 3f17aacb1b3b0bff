"""`cikg runs`: trained runs are listed with their figures, and removed unless they are served."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from cikg.errors import ConflictError
from cikg.files import write_file
from cikg.graph import Graph
from cikg.recommend import stored
from cikg.schema import uid
from cikg.settings import Settings
from tests import planted, trained

Cikg = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def two(graph: Graph, settings: Settings, dataset: str) -> tuple[str, str]:
    """Two runs: the first was served before, the second is now."""
    planted.write(graph, dataset)
    graph.execute(
        "MATCH (:User {dataset: $d})-[r:INTERACTED]->(i) WHERE i.id ENDS WITH '4' SET r.split = 'test'", d=dataset
    )
    first, second = trained.write(graph, settings, dataset, "popularity", "ease")
    for run in (first, second):
        trained.publish(graph, settings, run)
    return first, second


def listed(here: Cikg, *arguments: str) -> dict[str, dict[str, Any]]:
    told = here("runs", "list", *arguments, "--json")
    assert told.returncode == 0, told.stderr
    return {run["run"]: run for run in json.loads(told.stdout)["runs"]}


def known(graph: Graph, dataset: str, run: str) -> list[str]:
    """The kinds of nodes that the graph has of a run."""
    found = graph.execute("MATCH (n:Run|Model {uid: $uid}) RETURN labels(n)[0] AS kind", uid=uid(dataset, run))
    return sorted(row["kind"] for row in found)


def test_runs_are_listed_with_their_figures(here: Cikg, settings: Settings, dataset: str, two: tuple[str, str]) -> None:
    first, second = two
    assert here("evaluate", second).returncode == 0
    half = f"item-knn-{dataset}-ba9876543210"
    write_file(settings.runs / half / "checkpoint-select.safetensors", b"half trained")
    found = listed(here, "--dataset", dataset)
    assert next(iter(found)) == half and set(found) == {first, second, half}
    test = json.loads((settings.runs / second / "evaluation.json").read_text())["test"]
    assert found[second]["test"] == test and found[second]["valid"]["ndcg@50"] > 0
    assert {run: (row["served"], row["ended"], bool(row["test"])) for run, row in found.items()} == {
        first: (False, True, False),
        second: (True, True, True),
        half: (False, False, False),
    }
    assert found[half] | {"path": "", "valid": {}} == {
        **dict.fromkeys(("snapshot", "trained_at", "protocol")),
        **{"run": half, "path": "", "dataset": dataset, "method": "item-knn", "valid": {}, "test": {}},
        **{"bytes": len(b"half trained"), "ended": False, "served": False},
    }
    assert set(found) <= set(listed(here, "--all"))
    shown = here("runs", "list", "--dataset", dataset, COLUMNS="200").stdout
    assert f"{test['ndcg@50']:.4f}" in shown and "served" in shown and "incomplete" in shown
    alone = here("runs", "list", "--dataset", dataset, COLUMNS="200", CIKG_NEO4J_URI="bolt://127.0.0.1:1")
    assert (alone.returncode, first in alone.stdout) == (0, True)


def test_a_run_is_removed_unless_it_is_served(
    *, here: Cikg, graph: Graph, settings: Settings, dataset: str, two: tuple[str, str]
) -> None:
    first, second = two
    refused = here("runs", "remove", first, second, "--yes")
    assert (refused.returncode, f"{second} is served" in refused.stderr) == (2, True)
    asked = here("runs", "remove", first, "--json")
    assert (asked.returncode, "Give --yes" in json.loads(asked.stdout)["cure"]) == (2, True)
    assert known(graph, dataset, first) == ["Model", "Run"] and (settings.runs / first).is_dir(), "nothing was removed"

    with pytest.raises(ConflictError, match="is served"):  # published since it was looked at
        stored.remove(graph, stored.find(settings, second))
    assert known(graph, dataset, second) == ["Model", "Run"]

    size = listed(here, "--dataset", dataset)[first]["bytes"]
    done = json.loads(here("runs", "remove", first[:-2], "--yes", "--json").stdout)
    assert done == {"removed": [first], "bytes_freed": size} and size > 1000
    assert known(graph, dataset, first) == [] and not (settings.runs / first).exists()
    assert known(graph, dataset, second) == ["Model", "Run"] and set(listed(here, "--dataset", dataset)) == {second}
    again = here("runs", "remove", first, "--yes")
    assert (again.returncode, f"there is no run named {first!r}" in again.stderr) == (2, True)


def test_a_list_that_is_shorter_than_asked_for_says_how_to_get_a_longer_one(
    here: Cikg, dataset: str, two: tuple[str, str]
) -> None:
    lists = ("recommend", "0", "--dataset", dataset, "--k")
    assert f"`cikg publish {two[1]} --k 6` makes longer ones" in here(*lists, 6).stderr
    assert here(*lists, 5).stderr == ""

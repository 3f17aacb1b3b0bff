from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from cikg.cli.snapshot import command
from cikg.graph import Graph
from cikg.settings import Settings
from tests import planted

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(environment: dict[str, str], graph: Graph, dataset: str) -> Run:
    """Runs `cikg snapshot …` for a planted dataset in this process; returns what `--json` prints."""
    planted.write(graph, dataset)

    def invoke(*arguments: str) -> dict[str, Any]:
        given = [*arguments, "--dataset", dataset, "--json"]
        result = CliRunner().invoke(command, given, env=environment, catch_exceptions=False)
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return invoke


def change(graph: Graph, dataset: str) -> None:
    """Take reader 0's interest away and let reader 1 forget the almanac."""
    graph.execute(
        "MATCH (d:Dataset {uid: $d}) SET d.version = d.version + 1 WITH d "
        "MATCH (:User {uid: $d + ':0'})-[has:HAS_INTEREST]->() DELETE has WITH d "
        "MATCH (:User {uid: $d + ':1'})-[read:INTERACTED]->(:Item {uid: $d + ':almanac'}) DELETE read",
        d=dataset,
    )


def test_the_life_of_snapshots(run: Run, graph: Graph, dataset: str, settings: Settings) -> None:
    first, again = run(), run("take")
    assert (first["hash"], again["hash"], again["reused"]) == (first["hash"], first["hash"], True)
    assert first["counts"]["possesses"] == len(planted.readers())
    change(graph, dataset)
    second = run("take")
    listed = run("list")["snapshots"]
    assert [each["hash"] for each in listed] == [second["hash"], first["hash"]]
    assert [each["latest"] for each in listed] == [True, False]
    assert run("show", first["hash"][:12], "--verify")["counts"] == first["counts"]
    assert run("show")["hash"] == second["hash"]

    found = run("diff", first["hash"], "--examples", "1")
    assert (found["before"], found["after"]) == (first["hash"], second["hash"])
    assert found["nodes"] == {}
    removed = {table: change["removed_examples"] for table, change in found["edges"].items()}
    assert removed == {"interactions": ["Reader 1 (1) → almanac"], "has_interest": ["Reader 0 (0) → gardens (garden)"]}

    planted.write_training(graph, dataset, "ease-1", "ease", 0.5)
    graph.execute("MATCH (r:Run {id: 'ease-1', dataset: $d}) SET r.snapshot = $hash", d=dataset, hash=first["hash"])
    assert run("list")["snapshots"][1]["used_by"] == ["ease-1"]
    assert run("gc")["removed"] == [], "a run needs the first"
    graph.execute("MATCH (r:Run {id: 'ease-1', dataset: $d}) DETACH DELETE r", d=dataset)
    size = run("list")["snapshots"][1]["bytes"]
    folder = settings.snapshots / dataset / first["hash"][:16]
    for arguments, there in ((["--dry-run"], True), ([], False)):
        collected = run("gc", *arguments)
        assert (collected["removed"], collected["kept"]) == ([folder.name], 1)
        assert collected["bytes_freed"] == size
        assert folder.exists() is there


def test_it_is_shown_to_people(
    *,
    cikg: Callable[..., subprocess.CompletedProcess[str]],
    environment: dict[str, str],
    run: Run,
    graph: Graph,
    dataset: str,
    settings: Settings,
) -> None:
    before = run()["hash"]
    change(graph, dataset)
    taken = cikg("snapshot", "--dataset", dataset)
    assert taken.returncode == 0, taken.stderr
    assert "has interest" in taken.stdout
    given = ["diff", before[:16], "--dataset", dataset]
    shown = CliRunner().invoke(command, given, env=environment, catch_exceptions=False)
    assert "Reader 0 (0) → gardens (garden)" in shown.stdout
    file = settings.snapshots / dataset / run()["hash"][:16] / "users.name.utf8.npy"
    file.write_bytes(file.read_bytes().replace(b"Reader", b"Writer"))
    damaged = cikg("snapshot", "show", "--verify", "--dataset", dataset)
    assert damaged.returncode == 2
    assert "users.name.utf8.npy is damaged: its content was changed" in damaged.stderr

"""Imports into a real graph: repeated, replaced, interrupted, side by side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from cikg.datasets.checking import Rules
from cikg.datasets.loader import load
from cikg.datasets.splits import SplitRule
from cikg.errors import ConflictError, InputError, NotFoundError
from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.settings import Settings
from tests.conftest import CIKG
from tests.integration.graph.state import digest, state
from tests.unit.datasets.folders import write


def large(folder: Path, users: int = 3_000, items: int = 400, each: int = 20, wrong: int = 0) -> Path:
    """A folder whose import takes several batches, and has some rows that cannot be used."""
    folder.mkdir()
    rows = [[user, *((user * 7 + step * 13) % items for step in range(each))] for user in range(users)]
    lines = [" ".join(map(str, row)) for row in rows] + ["no numbers"] * wrong
    (folder / "train.txt").write_text("\n".join(lines), encoding="utf-8")
    (folder / "test.txt").write_text("0 1\n", encoding="utf-8")
    facts = [f"{item} {item % 3} {items + item % 50}" for item in range(items)]
    (folder / "kg_final.txt").write_text("\n".join(facts), encoding="utf-8")
    return folder


def properties(graph: Graph, dataset: str) -> dict[str, object]:
    found: dict[str, object] = graph.one("find_dataset", dataset=dataset)["dataset"]
    return found


def test_what_is_written(graph: Graph, dataset: str, tmp_path: Path) -> None:
    report = load(graph, "cikgrec", write(tmp_path), dataset, Rules(split=SplitRule(valid_share=0.0)))
    assert report.counts == {
        "users": 4, "items": 4, "entities": 2, "interests": 2, "interactions": 8, "train": 6, "valid": 0, "test": 2,
        "relations": 3, "facts": 4, "interest_edges": 3,
    }  # fmt: skip
    (counts,) = graph.many("counts", dataset=dataset)
    assert counts == {
        "users": 4, "items": 4, "entities": 2, "intents": 0, "interests": 2, "interactions": 8, "possesses": 0,
        "satisfies": 0, "has_interest": 3, "facts": 4,
    }  # fmt: skip
    edges = graph.execute(
        "MATCH (h:Item|Entity {dataset: $dataset})-[f]->(t) "
        "RETURN h.id AS head, type(f) AS type, f.relation AS name, t.id AS tail",
        dataset=dataset,
    )
    assert {("7", "BOOK_AUTHOR", "book.author", "entity:7")} < {tuple(edge.values()) for edge in edges}
    found = properties(graph, dataset)
    assert found["state"] == "ready" and found["interests"] == "imported"
    assert found["relations"] == ["BOOK_AUTHOR", "LITERARY_GENRE", "LITERARY_GENRE_2"]
    assert found["relation_names"] == [
        "book.author", "http://a.org/ontology/literaryGenre", "http://b.org/literaryGenre"
    ]  # fmt: skip
    run = graph.execute("MATCH (run:Run {uid: $run}) RETURN run.kind AS kind, run.state AS state", run=report.run)
    assert run == [{"kind": "import", "state": "done"}]
    interest = graph.execute(
        "MATCH (:User {dataset: $dataset})-[has:HAS_INTEREST]->(n:Interest) RETURN DISTINCT has.run AS run, "
        "has.evidence AS evidence, n.source AS source",
        dataset=dataset,
    )
    assert interest == [{"run": report.run, "evidence": None, "source": "imported"}]


def test_what_the_items_are_can_be_corrected(graph: Graph, dataset: str, tmp_path: Path) -> None:
    (tmp_path / "plays.csv").write_text("user,item\na,x\na,y\nb,x\n")
    mapping, unchanged, versions = tmp_path / "m.toml", [], []
    for field in ("songs", "films", "films"):
        mapping.write_text(f'field = "{field}"\n[interactions]\nfile = "plays.csv"\nuser = "user"\nitem = "item"\n')
        unchanged.append(load(graph, "table", mapping, dataset).unchanged)
        found = properties(graph, dataset)
        assert found["field"] == field
        versions.append(found["version"])
    assert unchanged == [False, False, True]
    assert versions[0] != versions[1] == versions[2], "whoever keeps what they read reads it again"
    (counts,) = graph.many("counts", dataset=dataset)
    assert (counts["users"], counts["items"], counts["interactions"]) == (2, 2, 3), "it was not imported twice"


def test_twice_is_once(graph: Graph, dataset: str, tmp_path: Path) -> None:
    folder = write(tmp_path)
    assert not load(graph, "cikgrec", folder, dataset).unchanged
    before, version = state(graph, dataset), properties(graph, dataset)["version"]
    assert load(graph, "cikgrec", folder, dataset).unchanged
    assert state(graph, dataset) == before
    assert properties(graph, dataset)["version"] == version, "a snapshot would be taken again for nothing"


def test_another_content_is_refused_unless_it_shall_replace(graph: Graph, dataset: str, tmp_path: Path) -> None:
    load(graph, "cikgrec", write(tmp_path / "old"), dataset)
    before, version = state(graph, dataset), properties(graph, dataset)["version"]
    changed = write(tmp_path / "new", train="0 0 1\n1 2\n", kg_final="0 2 4\n", user_interest_clustered=None)
    with pytest.raises(ConflictError, match="already holds something else"):
        load(graph, "cikgrec", changed, dataset)
    assert state(graph, dataset) == before
    load(graph, "cikgrec", changed, dataset, replace=True)
    load(graph, "cikgrec", changed, f"{dataset}-fresh")
    assert state(graph, dataset) == state(graph, f"{dataset}-fresh")
    assert properties(graph, dataset)["version"] > version, "a snapshot of the old content would be used again"


def test_two_datasets_do_not_see_each_other(graph: Graph, dataset: str, tmp_path: Path) -> None:
    load(graph, "cikgrec", write(tmp_path / "one"), dataset)
    before = state(graph, dataset)
    other = write(tmp_path / "two", train="0 0 1\n", kg_final=None)
    load(graph, "cikgrec", other, f"{dataset}-b")
    load(graph, "cikgrec", write(other, train="0 1\n"), f"{dataset}-b", replace=True)
    assert state(graph, dataset) == before
    crossing = graph.execute(
        "MATCH (n {dataset: $dataset})--(m) WHERE m.dataset <> $dataset RETURN count(*) AS n", dataset=dataset
    )
    assert crossing == [{"n": 0}]


def test_a_wrong_source_leaves_nothing(graph: Graph, dataset: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        load(graph, "cikgrec", write(tmp_path, user_interest_clustered="0 0\n"), dataset)
    with pytest.raises(NotFoundError, match=r"Use one of: .*cikgrec"):
        load(graph, "nothing", tmp_path, dataset)
    with pytest.raises(NotFoundError, match="Did you mean 'movielens'"):
        load(graph, "movilens", tmp_path, dataset)
    with pytest.raises(InputError, match="needs a path"):
        load(graph, "cikgrec", None, dataset)
    assert graph.many("find_dataset", dataset=dataset) == []


def test_a_killed_import_is_completed_by_the_same_command(
    graph: Graph, dataset: str, tmp_path: Path, settings: Settings, environment: dict[str, str]
) -> None:
    folder = large(tmp_path / "large", wrong=5)
    total = 3_000 + 400 + 50 + 60_001 + 400
    command = [*CIKG, "import", "cikgrec", str(folder), "--dataset", dataset]
    killed_at = []
    for least in (1, 23_000):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            found = graph.many("find_dataset", dataset=dataset)
            if found and found[0]["dataset"]["imported"] >= least:
                os.kill(process.pid, signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL
        killed_at.append(properties(graph, dataset)["imported"])
    assert 0 < killed_at[0] <= killed_at[1] < total
    assert properties(graph, dataset)["state"] == "importing"
    with pytest.raises(ConflictError, match="is not complete"):
        take(graph, dataset, settings)
    report = load(graph, "cikgrec", folder, dataset)
    calm = load(graph, "cikgrec", folder, f"{dataset}-calm")
    assert not report.unchanged
    assert report.rejected == 5 and report.reasons == calm.reasons
    (stored,) = graph.execute("MATCH (run:Run {uid: $run}) RETURN run.report AS report", run=report.run)
    told = json.loads(stored["report"])
    assert told["reasons"] == [asdict(reason) for reason in calm.reasons]
    assert len(Path(told["rejected_file"]).read_text(encoding="utf-8").splitlines()) == 6
    assert digest(graph, dataset) == digest(graph, f"{dataset}-calm")


def test_two_imports_at_once_write_every_row_once(graph: Graph, dataset: str, tmp_path: Path) -> None:
    folder = large(tmp_path / "large", users=1_500)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            load(graph, "cikgrec", folder, dataset)
        except ConflictError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) < len(threads)
    load(graph, "cikgrec", folder, f"{dataset}-calm")
    assert digest(graph, dataset) == digest(graph, f"{dataset}-calm")

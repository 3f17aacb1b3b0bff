"""Too little room: a transaction that needs more memory than Neo4j gives one, and disks that are full."""

from __future__ import annotations

import dataclasses
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cikg.datasets import drop as dropping
from cikg.datasets.checking import Rules
from cikg.datasets.loader import load
from cikg.errors import MemoryLimitError
from cikg.graph import Graph, database, statements
from cikg.graph.snapshot import open_snapshot, take
from cikg.settings import Settings
from tests.integration.graph.state import digest
from tests.unit.datasets.folders import FILES, write

Hungry = Callable[..., list[str]]


@pytest.fixture
def hungry(monkeypatch: pytest.MonkeyPatch) -> Hungry:
    """Have a statement hold a megabyte of texts for each row; returns a list that grows with each attempt to run it.

    Some hundred rows exceed the 256 MB that a transaction may have, and one row does that stands for a thousand.
    """
    held = f"[n IN range(1, 500) | toString(n) + '{'x' * 2_000}']"

    def make(name: str, times: int = 1) -> list[str]:
        attempts: list[str] = []
        changes = {
            "UNWIND $rows AS row": f"CALL () {{ UNWIND $rows AS one UNWIND range(1, {times}) AS time "
            f"WITH collect([one, {held}]) AS all RETURN all }} UNWIND all AS both WITH *, both[0] AS row",
            "WITH node LIMIT $size": f"WITH node LIMIT $size WITH collect([node, {held}]) AS all "
            "UNWIND all AS both WITH both[0] AS node",
        }

        def named(wanted: str) -> statements.Statement:
            found = statements.named(wanted)
            if wanted != name:
                return found
            attempts.append(wanted)
            text = found.text
            for before, after in changes.items():
                text = text.replace(before, after)
            assert text != found.text
            return dataclasses.replace(found, text=text)

        monkeypatch.setattr(database, "named", named)
        return attempts

    return make


def test_rows_that_exceed_the_servers_memory_are_written_in_smaller_batches(
    graph: Graph, dataset: str, hungry: Hungry
) -> None:
    rows = [{"uid": f"{dataset}:{n}", "id": f"{n}", "name": f"{n}", "intents": []} for n in range(1_000)]
    attempts, sizes = hungry("write_interests"), list[int]()
    graph.write_rows("write_interests", rows, advance=sizes.append, dataset=dataset, run=f"{dataset}:r")
    assert sum(sizes) == 1_000 and max(sizes) < 1_000, sizes
    assert len(attempts) < 2 * len(sizes), "what was too much once is not tried again"
    found = graph.execute("MATCH (n:Interest {dataset: $d}) RETURN count(DISTINCT n.id) AS ids", d=dataset)
    assert found == [{"ids": 1_000}]


def test_a_row_that_alone_exceeds_it_is_an_error_that_names_the_setting(
    graph: Graph, dataset: str, hungry: Hungry
) -> None:
    hungry("write_interests", times=1_000)
    rows = [{"uid": f"{dataset}:{n}", "id": f"{n}", "name": f"{n}", "intents": []} for n in range(2)]
    with pytest.raises(MemoryLimitError, match=r"more memory .*\. Raise db\.memory\.transaction\.max"):
        graph.write_rows("write_interests", rows, dataset=dataset, run=f"{dataset}:r")


def test_an_import_and_a_drop_that_exceed_it_go_on_in_smaller_batches(
    graph: Graph, dataset: str, hungry: Hungry, tmp_path: Path
) -> None:
    load(graph, "cikgrec", write(tmp_path), f"{dataset}-calm")
    attempts = hungry("import_users", times=100)
    load(graph, "cikgrec", write(tmp_path), dataset)
    assert digest(graph, dataset) == digest(graph, f"{dataset}-calm") and len(attempts) > 2
    graph.execute("UNWIND range(1, 400) AS n CREATE (:Item {uid: $d + ':more' + n, dataset: $d})", d=dataset)
    attempts = hungry("drop_nodes")
    dropping.drop(graph, dataset)
    assert dropping.held(graph, dataset) == 0 and len(attempts) > 2


@contextmanager
def room(characters: int) -> Iterator[None]:
    """No file can have more than so many characters in this block."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (characters, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def test_a_disk_without_room_costs_neither_snapshots_nor_the_graph(
    graph: Graph, dataset: str, settings: Settings, tmp_path: Path
) -> None:
    own = settings.model_copy(update={"home": tmp_path / "home"})
    wrong = write(tmp_path / "data", train=FILES["train.txt"] + "no numbers\n" * 40)
    with room(100), pytest.raises(OSError, match="File too large"):  # the list of what was left out
        load(graph, "cikgrec", wrong, dataset, Rules(max_rejected=0.9), home=own.home)
    assert graph.many("find_dataset", dataset=dataset) == []
    load(graph, "cikgrec", wrong, dataset, Rules(max_rejected=0.9), home=own.home)
    old = take(graph, dataset, own)
    before = sorted(path.name for path in old.path.parent.iterdir())
    graph.execute(
        "MATCH (d:Dataset {uid: $d}) SET d.version = d.version + 1 "
        "CREATE (:User {uid: $d + ':n', id: 'n', dataset: $d})",
        d=dataset,
    )
    with room(100), pytest.raises(OSError, match="File too large"):
        take(graph, dataset, own)
    assert sorted(path.name for path in old.path.parent.iterdir()) == before, "nothing is left half written"
    assert open_snapshot(old.path).hash == old.hash
    assert take(graph, dataset, own).hash != old.hash

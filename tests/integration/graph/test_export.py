"""Exports while others write: each is of one state, and the version says of which.

Two writers use the platform's own statements. One gives all readers the interest called by the number of its writes so
far, the other gives them all the intent called so. Each write counts the dataset's version up by one: whatever an
export finds, the two numbers it shows have to add up to the versions that went by.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cikg.errors import ConflictError
from cikg.graph import Graph
from cikg.graph import export as exporting
from cikg.graph.export import Export, export
from cikg.graph.snapshot import open_snapshot, take, write
from cikg.schema import uid
from cikg.settings import Settings

READERS, BOOKS = 150, 40
RUN, LEASE = "extraction", "held"


@pytest.fixture
def written(graph: Graph, dataset: str) -> None:
    """A dataset with interactions, readers that have subjects in a running extraction, and nothing inferred yet."""
    graph.execute(
        """
        CREATE (:Dataset {uid: $d, id: $d, dataset: $d, field: 'books', state: 'ready', interests: 'none',
                          version: 0, relations: []}),
               (:Run {uid: $d + ':' + $run, id: $run, dataset: $d, kind: 'extract', name: 'job', state: 'running'})
        WITH 1 AS done UNWIND range(0, $books - 1) AS b
        CREATE (:Item {uid: $d + ':i' + b, id: 'i' + b, dataset: $d, name: 'Book ' + b})
        """,
        d=dataset, run=RUN, books=BOOKS,
    )  # fmt: skip
    graph.execute(
        """
        UNWIND range(0, $readers - 1) AS r
        CREATE (u:User {uid: $d + ':' + r, id: toString(r), dataset: $d})
        CREATE (:Subject {uid: $d + ':' + $run + '/' + r, id: toString(r), run: $d + ':' + $run, dataset: $d,
                          lease: $lease, state: 'running'})
        WITH u, r UNWIND range(0, $books - 1) AS b
        MATCH (i:Item {uid: $d + ':i' + b}) WHERE (r + b) % 3 = 0
        CREATE (u)-[:INTERACTED {split: 'train'}]->(i)
        """,
        d=dataset, run=RUN, lease=LEASE, readers=READERS, books=BOOKS,
    )  # fmt: skip


def write_interest(graph: Graph, dataset: str, number: int) -> None:
    """As clustering writes: what was there goes, what is new comes, all in one transaction."""
    interest = {"uid": uid(dataset, f"t{number % 3}"), "id": f"t{number % 3}", "name": str(number), "intents": []}
    edges = [
        {"user": uid(dataset, str(r)), "interest": interest["uid"], "completion": None, "evidence": ["i0"]}
        for r in range(READERS)
    ]
    steps = [
        ("write_interests", {"dataset": dataset, "run": RUN, "rows": [interest]}),
        ("write_holders", {"run": RUN, "rows": edges}),
    ]
    written: list[Any] = []
    while not written:  # the other writer may come between
        (row,) = graph.many("run_dataset", dataset=dataset)
        clear = {"dataset": dataset, "version": row["version"], "kept": [interest["uid"]]}
        written = graph.write_together([("clear_interests", clear), *steps], guarded=True)[0]


def write_intent(graph: Graph, dataset: str, number: int) -> None:
    """As extraction writes: what the job found about these readers before goes."""
    intent = {"uid": uid(dataset, f"n{number}"), "id": f"n{number}", "name": str(number), "evidence": ["i0"]}
    rows = [
        {
            "subject": f"{uid(dataset, RUN)}/{r}",
            "target": uid(dataset, str(r)),
            "completion": None,
            "intents": [intent],
        }
        for r in range(READERS)
    ]
    graph.write("replace_user_intents", dataset=dataset, run=uid(dataset, RUN), job="job", lease=LEASE, rows=rows)


@contextmanager
def writers(graph: Graph, dataset: str, pause: Callable[[int], float]) -> Iterator[list[int]]:
    """Both writers in threads of their own; yields how often each has written. `pause` after so many writes."""
    stop, counts, errors = threading.Event(), [0, 0], []

    def work(place: int, write_one: Callable[[Graph, str, int], None]) -> None:
        try:
            while not stop.is_set():
                write_one(graph, dataset, counts[place] + 1)
                counts[place] += 1
                stop.wait(pause(counts[place]))
        except Exception as error:  # noqa: BLE001 - told to the test
            errors.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate((write_interest, write_intent))]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not errors


def check(found: Export) -> None:
    """One state: everyone has the same interest and the same intent, and their numbers add up to the version."""
    numbers = []
    for kind, table in (("interests", "has_interest"), ("intents", "possesses")):
        names, ends = found.texts[f"{kind}.name"], found.columns[f"{table}.{kind.removesuffix('s')}_index"]
        assert len(names) <= 1
        assert found.columns[f"{table}.user_index"].tolist() == list(range(READERS)) * len(names)
        assert not ends.any()
        numbers.append(int(names[0]) if names else 0)
    assert sum(numbers) == found.properties["version"]
    assert len(found.columns["interactions.user_index"]) == READERS * BOOKS // 3


def same(first: Export, second: Export) -> bool:
    return first.texts == second.texts and all(
        np.array_equal(first.columns[name], second.columns[name]) for name in {*first.columns, *second.columns}
    )


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small statements an export, so that there is much room for a write in between."""
    monkeypatch.setattr(exporting, "NODES", 10)


@pytest.mark.usefixtures("slowly", "written")
def test_every_export_during_bursts_of_writes_is_of_one_state(
    graph: Graph, dataset: str, settings: Settings, tmp_path: Path
) -> None:
    with writers(graph, dataset, lambda count: 0.4 if count % 3 == 0 else 0.0), ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: export(graph, dataset), range(16)))
    by_version: dict[int, list[Export]] = defaultdict(list)
    for each in found:
        check(each)
        by_version[each.properties["version"]].append(each)
    assert len(by_version) > 2, "exports saw the dataset change"
    for group in by_version.values():
        assert all(same(group[0], other) for other in group)
    folders = [write(tmp_path / side, export(graph, dataset)).path for side in "ab"]
    assert len({path.name for path in folders}) == 1
    files = [{file.name: file.read_bytes() for file in path.iterdir()} for path in folders]
    assert files[0] == files[1]
    assert open_snapshot(folders[0], verify=True).counts["possesses"] == READERS
    home = settings.model_copy(update={"home": tmp_path})
    assert take(graph, dataset, home).path.name == folders[0].name


@pytest.mark.usefixtures("slowly", "written")
@pytest.mark.parametrize("attempts", [exporting.ATTEMPTS, 0])
def test_writers_that_never_pause_are_made_to_wait(
    graph: Graph, dataset: str, monkeypatch: pytest.MonkeyPatch, attempts: int
) -> None:
    monkeypatch.setattr(exporting, "ATTEMPTS", attempts)
    with writers(graph, dataset, lambda _count: 0.0) as counts:
        for _ in range(3):
            before = sum(counts)
            check(export(graph, dataset))
            deadline = time.monotonic() + 30
            while sum(counts) <= before + 1 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert sum(counts) > before + 1, "they go on afterwards"


@pytest.mark.usefixtures("written")
def test_an_export_waits_for_a_write_that_is_being_committed(graph: Graph, dataset: str) -> None:
    """What a commit has written so far can be seen before all of it can: no look at the version may come in between."""
    with ThreadPoolExecutor(1) as pool:
        with graph.holding("hold_dataset", dataset=dataset):
            waiting = pool.submit(export, graph, dataset)
            time.sleep(0.3)
            assert not waiting.done()
        check(waiting.result(timeout=30))


@pytest.mark.usefixtures("written")
def test_reading_is_repeated_until_the_version_stays_and_then_done_alone(graph: Graph, dataset: str) -> None:
    seen = []

    def disturb(properties: dict[str, Any], times: int) -> int:
        seen.append(properties["version"])
        if len(seen) <= times:
            write_interest(graph, dataset, len(seen))
        return len(seen)

    assert exporting.read_one_state(graph, dataset, lambda properties: disturb(properties, 1)) == 2
    assert seen == [0, 1]
    seen.clear()
    assert exporting.read_one_state(graph, dataset, lambda properties: disturb(properties, exporting.ATTEMPTS)) == 3
    assert seen == [1, 2, 3]


@pytest.mark.usefixtures("written")
def test_a_dataset_that_is_not_complete_is_refused(graph: Graph, dataset: str) -> None:
    graph.execute("MATCH (d:Dataset {uid: $d}) SET d.state = 'importing'", d=dataset)
    with pytest.raises(ConflictError, match="not complete"):
        export(graph, dataset)

"""Imports that are killed: whatever ends at whatever moment, in the end the graph is that of an undisturbed import."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from multiprocessing.process import BaseProcess
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from cikg.cli import main
from cikg.datasets import batches, registry
from cikg.datasets.archive import export_dataset
from cikg.datasets.bulk import Bulk
from cikg.datasets.loader import load
from cikg.datasets.reading.source import Source
from cikg.datasets.records import Entity, Fact, Format, HasInterest, Interaction, Interest, Item, Record, User
from cikg.embedded import guard, supervisor
from cikg.embedded.services import ALL
from cikg.embedded.store import EmbeddedStore
from cikg.errors import ConflictError, ServiceError
from cikg.graph import Graph, connect
from cikg.graph.snapshot import take
from cikg.settings import Settings
from tests.conftest import CIKG, newcomer
from tests.integration.datasets.arbitrary import LINES, ODD
from tests.integration.graph.state import digest
from tests.relay import Relay

KILLS = 20
SEED = 4
USERS, ITEMS, EACH = 300, 400, 40
TOTAL = USERS + ITEMS + 2 * len(LINES) + USERS * EACH + ITEMS + USERS
NODES_AT_ONCE, EDGES_AT_ONCE = 60, 150
"""Small transactions, so that there are many moments: before, in and between 100 of them."""


def records(_source: Source) -> Iterator[Record]:
    """A dataset with names of all kinds, none, and empty ones; with numbers, and without."""
    names = [*ODD, *LINES]
    yield from (User(f"u{user}", names[user] if user < len(names) else None) for user in range(USERS))
    yield from (Item(f"i{item}", names[item % len(names)], names[-1 - item % 9]) for item in range(ITEMS))
    yield from (Entity(f"e{number}", name) for number, name in enumerate(LINES))
    yield from (Interest(f"n{number}", name or None) for number, name in enumerate(LINES))
    for user in range(USERS):
        for step in range(EACH):
            rating, at = (step / 7, 10**9 + step) if step % 3 else (None, None)
            yield Interaction(f"u{user}", f"i{(user * 7 + step * 13) % ITEMS}", rating=rating, at=at)
        yield HasInterest(f"u{user}", f"n{user % len(LINES)}")
    yield from (Fact(f"i{item}", f"relation {ODD[item % 5]}x", f"e{item % len(LINES)}") for item in range(ITEMS))


@pytest.fixture(scope="module")
def folder(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """These records as files that `cikg import archive` reads."""
    found, dataset = tmp_path_factory.mktemp("import") / "archive", f"test-{uuid.uuid4().hex[:12]}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "formats", lambda: {"any": Format("any", "", records, needs_path=False)})
        assert sum(load(graph, "any", None, dataset).counts[kind] for kind in ("users", "facts")) == USERS + ITEMS
    export_dataset(graph, dataset, found, "parquet", lambda _description, _total: nullcontext(lambda _n: None))
    return found


def _import(environment: dict[str, str], folder: Path, dataset: str) -> None:
    """`cikg import` in a process that has just been forked, with small transactions."""
    os.environ.update(environment)
    batches.NODE_BATCH, batches.EDGE_BATCH = NODES_AT_ONCE, EDGES_AT_ONCE
    main(["import", "archive", str(folder), "--dataset", dataset, "--json"])


@pytest.fixture(scope="module")
def start(environment: dict[str, str], folder: Path) -> Callable[[str], BaseProcess]:
    """Starts `cikg import` of a dataset; the modules are imported once, in the process that all of them fork from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "cikg.cli.import_"])

    def begin(dataset: str) -> BaseProcess:
        process = context.Process(target=_import, args=(environment, folder, dataset))
        process.start()
        return process

    return begin


def properties(graph: Graph, dataset: str) -> dict[str, object]:
    """Those of the dataset; none where it is not there yet."""
    return next((dict(row["dataset"]) for row in graph.many("find_dataset", dataset=dataset)), {})


def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.002)


def rows(graph: Graph, dataset: str) -> int:
    found = properties(graph, dataset).get("imported", -1)
    assert isinstance(found, int)
    return found


def test_twenty_kills_leave_no_trace(
    graph: Graph, dataset: str, folder: Path, start: Callable[[str], BaseProcess], settings: Settings
) -> None:
    moments = random.Random(SEED)

    def killed(name: str, least: int) -> bool:
        """Whether an import was killed after so many rows, and a moment; False where it was faster."""
        process = start(name)
        until(lambda: rows(graph, name) >= least or not process.is_alive())
        time.sleep(moments.uniform(0, 0.02))
        process.kill()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        return process.exitcode != 0

    names, seen = [dataset], []
    for least in sorted(moments.randrange(-1, TOTAL * 9 // 10) for _ in range(KILLS)):
        while not killed(names[-1], least):
            names.append(f"{dataset}-{len(names)}")
        seen.append(rows(graph, names[-1]))
    assert len(set(seen)) > KILLS / 2, "the moments differ"
    if seen[-1] < TOTAL:
        with pytest.raises(ConflictError, match="is not complete"):
            take(graph, names[-1], settings)
    last = start(names[-1])
    last.join(60)
    assert last.exitcode == 0
    load(graph, "archive", folder, f"{dataset}-calm")
    assert {digest(graph, name) for name in names} == {digest(graph, f"{dataset}-calm")}


def test_answers_to_commits_that_get_lost_change_nothing(
    graph: Graph, dataset: str, folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever hears nothing cannot know whether a transaction was committed; the same command finds out."""
    monkeypatch.setattr(batches, "NODE_BATCH", NODES_AT_ONCE * 10)
    monkeypatch.setattr(batches, "EDGE_BATCH", EDGES_AT_ONCE * 20)
    address = urlsplit(settings.neo4j_uri or "")
    moments, lost = random.Random(SEED), 0
    with Relay((str(address.hostname), int(address.port or 0))) as relay:
        through = settings.model_copy(update={"neo4j_uri": f"bolt://127.0.0.1:{relay.port}"})
        while lost < 40:
            lost, relay.commits, relay.lose = lost + 1, 0, moments.randint(4, 9)
            try:
                with connect(through, retry_seconds=1) as unsure:
                    load(unsure, "archive", folder, dataset)
            except ServiceError:
                continue
            break
    assert 5 < lost < 40, "it took some commands, each of which got further"
    load(graph, "archive", folder, f"{dataset}-calm")
    assert digest(graph, dataset) == digest(graph, f"{dataset}-calm")


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Settings]:
    """An empty embedded Neo4j of its own."""
    made = newcomer(tmp_path / "home")
    supervisor.up(made, ("neo4j",))
    yield supervisor.with_services(made)
    supervisor.down(made)
    assert guard.leftovers(made.home, [*ALL, "supervisor"]) == []


def answers(settings: Settings) -> bool:
    try:
        connect(settings).close()
    except ServiceError:
        return False
    return True


def neo4j_process(settings: Settings) -> int:
    return next(service.pid or 0 for service in supervisor.status(settings) if service.name == "neo4j")


def test_a_database_made_from_files_is_the_same_whatever_is_killed(alone: Settings, folder: Path) -> None:
    environment = supervisor.environment(alone.model_copy(update={"neo4j_uri": None, "neo4j_password": None}))
    command = [*CIKG, "import", "archive", str(folder), "--dataset", "bulk"]
    bulk = alone.home / "neo4j" / "bulk"

    def killed_when(condition: Callable[[], bool]) -> None:
        process = subprocess.Popen(
            [*command, "--bulk"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        until(lambda: condition() or process.poll() is not None)
        children = psutil.Process(process.pid).children()
        process.kill()
        _, said = process.communicate()
        assert process.returncode == -signal.SIGKILL, said
        _, left = psutil.wait_procs(children, timeout=10)
        assert not left, "the importer outlives who asked for it"

    # While the new database is being built, nothing has changed.
    killed_when(lambda: any(bulk.glob("new-*/data/databases")))
    with connect(alone) as graph:
        assert (properties(graph, "bulk")["state"], rows(graph, "bulk")) == ("importing", 0)
    # While the server starts with it, all rows are there at once.
    before = neo4j_process(alone)
    killed_when(lambda: neo4j_process(alone) not in (0, before) and not (bulk / "offered").exists())
    until(lambda: answers(alone))
    with connect(alone) as graph:
        assert (properties(graph, "bulk")["state"], rows(graph, "bulk")) == ("importing", TOTAL)
        load(graph, "archive", folder, "bulk")
        assert properties(graph, "bulk")["state"] == "ready" and not any(bulk.iterdir())
        held = digest(graph, "bulk")
        # A database that holds something is never made anew; this one is filled over Bolt.
        with pytest.raises(ConflictError, match="holds more than this import"):
            load(graph, "archive", folder, "third", bulk=Bulk(EmbeddedStore(alone), required=True))
        load(graph, "archive", folder, "third", bulk=Bulk(EmbeddedStore(alone)))
        assert digest(graph, "third") == digest(graph, "bulk") == held

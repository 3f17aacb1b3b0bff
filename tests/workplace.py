"""What tests and benchmarks of jobs share: readers no two of whom are alike, stand-ins, workers, and their deaths."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from cikg.embedded import supervisor
from cikg.extraction import ledger, queue
from cikg.extraction.job import job
from cikg.graph import Graph
from cikg.settings import Settings

REPOSITORY = Path(__file__).parents[1]
TOPICS = ("gothic horror", "sea voyages", "detective mysteries", "utopian societies")
BOOKS_OF_A_TOPIC = 60


def plant_library(graph: Graph, dataset: str, books_of_a_topic: int) -> None:
    """Write a dataset with books of some topics, and nobody who has read them."""
    graph.execute(
        "MERGE (d:Dataset {uid: $d}) SET d += {id: $d, dataset: $d, field: 'books', version: 1, state: 'ready', "
        "relations: ['SUBJECT'], interests: 'none'} "
        "WITH d UNWIND range(0, size($topics) - 1) AS t "
        "MERGE (e:Entity {uid: $d + ':topic' + t}) SET e += {dataset: $d, id: 'topic' + t, name: $topics[t]} "
        "WITH e, t UNWIND range(0, $n - 1) AS i "
        "MERGE (b:Item {uid: $d + ':' + t + '-' + i}) SET b += {dataset: $d, id: t + '-' + i, "
        "name: 'Volume ' + t + '-' + i, text: 'A book.'} "
        "MERGE (b)-[f:SUBJECT]->(e) SET f.relation = 'subject'",
        d=dataset,
        topics=list(TOPICS),
        n=books_of_a_topic,
    )


def plant_readers(graph: Graph, dataset: str, readers: int) -> dict[str, str]:
    """Write readers who have read four books of one topic each, no two the same; returns reader -> topic."""
    plant_library(graph, dataset, BOOKS_OF_A_TOPIC)
    rows = []
    for reader in range(readers):
        topic, turn = reader % len(TOPICS), reader // len(TOPICS)
        first, step = turn % BOOKS_OF_A_TOPIC, 1 + turn // BOOKS_OF_A_TOPIC
        books = [f"{topic}-{(first + step * number) % BOOKS_OF_A_TOPIC}" for number in range(4)]
        rows.append({"user": f"r{reader}", "books": books})
    assert len({tuple(row["books"]) for row in rows}) == readers, "that many differ"
    graph.execute(
        "UNWIND $rows AS row MERGE (u:User {uid: $d + ':' + row.user}) SET u += {dataset: $d, id: row.user} "
        "WITH u, row UNWIND range(0, size(row.books) - 1) AS at "
        "MATCH (b:Item {uid: $d + ':' + row.books[at]}) "
        "MERGE (u)-[r:INTERACTED]->(b) SET r += {split: 'train', at: at}",
        d=dataset,
        rows=rows,
    )
    return {row["user"]: TOPICS[number % len(TOPICS)] for number, row in enumerate(rows)}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def standin(folder: Path, latency_ms: float, *, counting: bool = False) -> Iterator[str]:
    """A stand-in that waits before each answer, and counts its calls if wanted; yields its address."""
    port = free_port()
    process = start_standin(folder, port, latency_ms, counting=counting)
    try:
        if counting:
            counted(f"http://127.0.0.1:{port}/v1", {"latency_ms": latency_ms})
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        end(process)


def start_standin(folder: Path, port: int, latency_ms: float = 0.0, *, counting: bool) -> subprocess.Popen[bytes]:
    """Start a stand-in on a port; returns once it answers. One that counts takes its latency from whoever tells it."""
    module = "tests.integration.extraction.counting" if counting else "cikg.llm.standin"
    with (folder / f"standin-{port}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "--port", str(port)],
            env={**os.environ, "CIKG_STANDIN_LATENCY_MS": str(latency_ms)},
            cwd=REPOSITORY,
            stdout=log,
            stderr=log,
        )
    wait_for(lambda: answers(f"http://127.0.0.1:{port}/healthz"), f"the stand-in on {port}", 60)
    return process


def counted(url: str, told: dict[str, float] | None = None) -> int:
    """The calls that a counting stand-in has had since it was last told anything."""
    data = None if told is None else json.dumps(told).encode()
    with urllib.request.urlopen(url.removesuffix("/v1") + "/control", data=data, timeout=10) as answer:
        return int(json.load(answer)["calls"])


@dataclass
class Worker:
    """A worker process.

    Attributes:
        process: its main process.
        log: what it prints.
        peak_memory: the most that its main process held in memory, in MiB; known once it is stopped.
    """

    process: subprocess.Popen[bytes]
    log: Path
    peak_memory: float = field(default=0.0)

    def stop(self) -> None:
        """End it, as the supervisor does."""
        if self.process.poll() is None:
            self.peak_memory = peak_memory(self.process.pid)
        end(self.process)

    def kill(self) -> None:
        """End it as a power cut does, with its children."""
        family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self.process.wait()


def start_worker(settings: Settings, log: Path, *options: str, first: str = "") -> Worker:
    """Start a Celery worker as the supervisor does, unless options say otherwise; returns once it is ready.

    `first` is what its process does before: a line of Python.
    """
    celery = ["-c", f"{first}; from celery.__main__ import main; main()"] if first else ["-m", "celery"]
    command = [sys.executable, *celery, "--app", "workers.app", "worker", "--loglevel", "INFO"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--hostname", f"{log.stem}@localhost", *options],
            env=supervisor.environment(settings),
            cwd=REPOSITORY,
            stdout=output,
            stderr=output,
        )
    wait_for(lambda: b" ready." in log.read_bytes(), f"the worker; see {log}", 60)
    return Worker(process, log)


@dataclass(frozen=True)
class Storm:
    """What came of killing workers.

    Attributes:
        kills: how many were killed while they worked.
        under_way: calls that had been sent and whose answers were not in the graph, over all kills.
        extra_calls: calls beyond one a subject.
        hash, calm_hash: digests of what the graph holds, where workers were killed and where they were not.
        seconds: how long the run took.
    """

    kills: int
    under_way: int
    extra_calls: int
    hash: str
    calm_hash: str
    seconds: float


def kill_workers(
    graph: Graph, settings: Settings, dataset: str, calm: str, calls: Callable[[], int], *, kills: int, seed: int = 0
) -> Storm:
    """Extract twice, once while workers are killed at random moments, each followed by another.

    Args:
        graph: the graph, with two equal datasets.
        settings: of the workers.
        dataset: the one where workers are killed.
        calm: the one where they are not.
        calls: how many calls the stand-in has had.
        kills: how many workers to kill.
        seed: of the moments.
    """
    moments, under_way = random.Random(seed), 0
    app = queue.create_app(settings)
    with tempfile.TemporaryDirectory() as folder:
        worker = start_worker(settings, Path(folder) / "worker-0.log")
        try:
            undisturbed, shards = _begin(graph, calm)
            queue.enqueue(app, undisturbed, shards)
            wait_for(lambda: _is_done(graph, undisturbed), "the undisturbed run", 120)
            before, began = calls(), time.monotonic()
            run, shards = _begin(graph, dataset)
            queue.enqueue(app, run, shards)
            already = calls()
            for number in range(1, kills + 1):
                wait_for(lambda already=already: calls() > already, "the worker's first call", 60)  # type: ignore[misc]
                time.sleep(moments.uniform(0.0, 0.8))
                worker.kill()
                already = calls()
                kept = graph.one("count_completions", dataset=dataset, prompt="", model="", run="")["completions"]
                under_way += calls() - before - kept - under_way
                worker = start_worker(settings, Path(folder) / f"worker-{number}.log")
            wait_for(lambda: _is_done(graph, run), "the end of the run", 120)
        finally:
            worker.stop()
    extra = calls() - before - ledger.progress(graph, run)["total"]
    took = time.monotonic() - began
    return Storm(kills, under_way, extra, knowledge(graph, dataset), knowledge(graph, calm), took)


def _begin(graph: Graph, dataset: str) -> tuple[str, list[int]]:
    plan = ledger.plan(graph, job("user_interests"), dataset, "stand-in")
    return plan.run.uid, ledger.start(graph, plan)


def _is_done(graph: Graph, run: str) -> bool:
    stands = ledger.progress(graph, run)
    assert stands["state"] in ("running", "done"), stands
    assert not stands["failed"], ledger.errors(graph, run)
    return bool(stands["state"] == "done")


def knowledge(graph: Graph, dataset: str) -> str:
    """A digest of what jobs wrote about a dataset: everything but times, costs and attempts, and the dataset's name."""
    rows = graph.execute(
        "MATCH (u:User {dataset: $d})-[e:POSSESSES]->(i:Intent) "
        "RETURN u.id AS node, i.id AS intent, i.name AS name, properties(e) AS p ORDER BY node, intent",
        d=dataset,
    )
    rows += graph.execute(
        "MATCH (s:Subject {dataset: $d}) RETURN s.id AS node, s.state AS state, s.input_hash AS input, "
        "s.completion AS completion ORDER BY node",
        d=dataset,
    )
    rows += graph.execute(
        "MATCH (c:Completion {dataset: $d}) RETURN c.id AS node, c.asked AS asked, c.text AS text, c.status AS status "
        "ORDER BY node",
        d=dataset,
    )
    text = json.dumps(rows, sort_keys=True, default=str).replace(f"{dataset}:", "")
    return hashlib.sha256(text.encode()).hexdigest()


def peak_memory(pid: int) -> float:
    """The most that a process ever held in memory, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"the system says nothing of process {pid}")


def processor_time(pid: int) -> float:
    """Seconds for which a process and its children have had a processor."""
    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and make it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {seconds:g} s")
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Whether a server answers well."""
    with suppress(OSError), urllib.request.urlopen(url, timeout=1) as answer:
        return bool(answer.status == 200)
    return False

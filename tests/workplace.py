"""What tests and benchmarks of jobs share: readers no two of whom are alike, stand-ins, and workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from cikg.embedded import supervisor
from cikg.graph import Graph
from cikg.settings import Settings

REPOSITORY = Path(__file__).parents[1]
TOPICS = ("gothic horror", "sea voyages", "detective mysteries", "utopian societies")
BOOKS_OF_A_TOPIC = 60


def plant_readers(graph: Graph, dataset: str, readers: int) -> dict[str, str]:
    """Write readers who have read four books of one topic each, no two the same; returns reader -> topic."""
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
        n=BOOKS_OF_A_TOPIC,
    )
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
def standin(folder: Path, latency_ms: float, processes: int = 1) -> Iterator[str]:
    """A stand-in that waits before each answer; yields its address."""
    port = free_port()
    options = ("--interface", "asgi", "--host", "127.0.0.1", "--port", str(port), "--workers", str(processes))
    with (folder / f"standin-{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "granian", *options, "--no-access-log", "cikg.llm.standin:app"],
            env={**os.environ, "CIKG_STANDIN_LATENCY_MS": str(latency_ms)},
            cwd=REPOSITORY,
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/healthz"), f"the stand-in on {port}", 60)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        end(process)


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


def start_worker(settings: Settings, log: Path, *options: str) -> Worker:
    """Start a Celery worker as the supervisor does, unless options say otherwise; returns once it is ready."""
    command = [sys.executable, "-m", "celery", "--app", "workers.app", "worker", "--loglevel", "INFO"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--hostname", f"{log.stem}@localhost", "--without-gossip", "--without-mingle", *options],
            env=supervisor.environment(settings),
            cwd=REPOSITORY,
            stdout=output,
            stderr=output,
        )
    wait_for(lambda: b" ready." in log.read_bytes(), f"the worker; see {log}", 60)
    return Worker(process, log)


def peak_memory(pid: int) -> float:
    """The most that a process ever held in memory, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"the system says nothing of process {pid}")


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

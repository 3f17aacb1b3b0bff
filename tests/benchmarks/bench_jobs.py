"""An LLM job through the queue: one worker that asks for many at once, against workers that do a task a call.

python -m tests.benchmarks.bench_jobs [--subjects N] [--concurrency C] [--latency MS ...] [--processes P] [--kills K]

Both do the job `user_interests` with the same code against a stand-in that waits before each answer. Measured is the
time from the first message sent to the moment at which the ledger says that the run is done: leasing, reading, prompts,
HTTP, validation, the writes of answers, intents and ledger. Planning is not in it. *Ideal* is calls × latency /
concurrency: what a client would need that costs nothing. Memory is the most that the worker's process ever held.

Neo4j compiles what it does often, so that its first thousands of subjects cost it twenty times what later ones do. So
a worker does the run some times until all are warm, and then three times more, of which the middle one is shown beside
the very first. The processor time of all who take part stands below it: where they share few cores, that is what the
time goes to.

Several latencies are measured one after another: the first as said, the others, by then warm, once. The peer, for whom
fewer subjects are enough, does its part at the first.

With `--kills` it kills the worker instead, so many times at random moments, starting another each time, and compares
what is in the graph with an undisturbed run, and the calls beyond one a subject with those under way at the kills: sent
and their answers not yet in the graph. It needs about ten seconds a kill.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

import psutil
from pydantic import SecretStr

from cikg.datasets.drop import drop
from cikg.embedded import supervisor
from cikg.extraction import ledger, queue
from cikg.extraction.job import job
from cikg.graph import Graph, connect
from cikg.graph.migrations import migrate
from cikg.settings import Settings, load_settings
from tests.workplace import Worker, counted, kill_workers, plant_readers, processor_time, standin, start_worker

JOB = job("user_interests")
MODEL = "stand-in"
WARM = 9
"""Runs before those that are measured."""
MEASURED = 3
"""Runs of which the middle one counts."""
PEER = 200
"""Subjects of the peer: enough to know how many it does a second."""


@dataclass(frozen=True)
class Run:
    """A run that was carried out.

    Attributes:
        seconds: how long it took.
        load: of the machine in the minute before.
        processor: processor seconds that it took, by who spent them.
    """

    seconds: float
    load: float
    processor: dict[str, float]


def plan(graph: Graph, dataset: str, subjects: int, shard: int | None = None) -> tuple[str, list[int]]:
    """Plan a run over a new dataset, with shards of some size; its uid and its shards."""
    plant_readers(graph, dataset, subjects)
    with patch.object(ledger, "SHARD", shard or ledger.SHARD):
        made = ledger.plan(graph, JOB, dataset, MODEL)
        return made.run.uid, ledger.start(graph, made)


def seconds(graph: Graph, settings: Settings, run: str, shards: list[int]) -> float:
    """Queue a run; how long it takes until it is done."""
    app = queue.create_app(settings)
    began = time.time()
    queue.enqueue(app, run, shards)
    while ledger.progress(graph, run)["state"] == "running":
        time.sleep(0.5)  # seldom, since asking costs the server time
    ended = graph.execute("MATCH (r:Run {uid: $run}) RETURN r.finished_at.epochMillis AS at", run=run)[0]["at"]
    stands = ledger.progress(graph, run)
    assert (stands["state"], stands["done"]) == ("done", stands["total"]), stands
    return ended / 1000 - began


@contextmanager
def datasets(graph: Graph, *names: str) -> Iterator[list[str]]:
    """Names for datasets, dropped in the end."""
    made = [f"bench-jobs-{name}-{uuid.uuid4().hex[:8]}" for name in names]
    try:
        yield made
    finally:
        for dataset in made:
            drop(graph, dataset)


def measure(
    graph: Graph, settings: Settings, folder: Path, sizes: Sequence[int], *options: str
) -> tuple[list[Run], Worker]:
    """Have a worker do runs of some sizes one after another; what they took, and the worker, stopped.

    Args:
        graph: the graph.
        settings: of the worker.
        folder: of its log.
        sizes: subjects of each run.
        options: of the worker; with some, it does a task a call.
    """
    found = []
    shard = 1 if options else None
    with datasets(graph, *(f"run-{number}" for number in range(len(sizes)))) as names:
        worker = start_worker(settings, folder / f"{uuid.uuid4().hex}.log", *options)
        try:
            for dataset, size in zip(names, sizes, strict=True):
                planned, load = plan(graph, dataset, size, shard), os.getloadavg()[0]
                before = processor_seconds(settings, worker)
                took = seconds(graph, settings, *planned)
                after = processor_seconds(settings, worker)
                found.append(Run(took, load, {who: after[who] - before[who] for who in after}))
        finally:
            worker.stop()
    return found, worker


def processor_seconds(settings: Settings, worker: Worker) -> dict[str, float]:
    """The processor time of each who takes part, as far as it runs on this machine."""
    urls = {"Neo4j": settings.neo4j_uri, "Redis": str(settings.redis_url and settings.redis_url.get_secret_value())}
    urls["stand-in"] = settings.openai_base_url
    ports = {urlsplit(url or "").port: who for who, url in urls.items()}
    found = {"worker": processor_time(worker.process.pid)}
    for connection in psutil.net_connections("tcp"):
        who = ports.get(connection.laddr.port) if connection.laddr else None
        if who and connection.pid and connection.status == psutil.CONN_LISTEN:
            found[who] = found.get(who, 0.0) + processor_time(connection.pid)
    return found


def bench(
    graph: Graph, settings: Settings, folder: Path, subjects: int, latency: float, *, warm: int, measured: int
) -> float:
    """Measure a worker, print the figures, and return how many calls it does a second."""
    ideal = subjects * latency / 1000 / settings.llm_concurrency
    runs, worker = measure(graph, settings, folder, [subjects] * (warm + measured))
    first, last = runs[0], sorted(runs[warm:], key=lambda run: run.seconds)[measured // 2]
    show("subjects, concurrency, latency", f"{subjects:,}, {settings.llm_concurrency}, {latency:.0f} ms")
    show("load of the machine (1 minute), its CPUs", f"{last.load:.1f}, {os.cpu_count()}")
    show("ideal, s", f"{ideal:.2f}")
    show("one worker, s", f"{last.seconds:.2f}")
    show("× ideal (bar at 50 ms: 1.15)", f"{last.seconds / ideal:.2f}")
    if warm:
        show("its first run, × ideal", f"{first.seconds / ideal:.2f}")
    for who in last.processor:
        show(
            f"processor time of {who}, s (in the first run)", f"{last.processor[who]:.2f} ({first.processor[who]:.2f})"
        )
    show("most memory of the worker, MiB (bar 300)", f"{worker.peak_memory:.0f}")
    show("calls a second", f"{subjects / last.seconds:.0f}")
    return subjects / last.seconds


def bench_peer(graph: Graph, settings: Settings, folder: Path, processes: int, ours: float) -> None:
    """Measure workers that do a task a call, and print how they compare."""
    pool = ("--pool", "prefork", "--concurrency", str(processes))
    (*_, run), _ = measure(graph, settings, folder, [PEER, PEER], *pool)
    show(f"a task a call, prefork of {processes}, calls a second", f"{PEER / run.seconds:.0f}")
    show("times as fast (bar 5)", f"{ours * run.seconds / PEER:.1f}")


def storm(
    graph: Graph, settings: Settings, given: argparse.Namespace, latency: float, calls: Callable[[], int]
) -> None:
    """Kill workers, and print what came of it."""
    with datasets(graph, "storm", "calm") as (stormy, calm):
        for dataset in (stormy, calm):
            plant_readers(graph, dataset, given.subjects)
        came = kill_workers(graph, settings, stormy, calm, calls, kills=given.kills, seed=given.seed)
    show("subjects, concurrency, latency", f"{given.subjects:,}, {settings.llm_concurrency}, {latency:.0f} ms")
    show("workers killed", f"{came.kills}")
    show("the graph is that of an undisturbed run", "yes" if came.hash == came.calm_hash else "NO")
    show("calls beyond one a subject", f"{came.extra_calls}")
    show("calls under way at the kills", f"{came.under_way}")
    show("slots × kills", f"{settings.llm_concurrency * came.kills}")
    show("seconds", f"{came.seconds:.0f}")


def show(name: str, figure: str) -> None:
    """Print one figure."""
    print(f"{name:<56} {figure:>16}", flush=True)  # noqa: T201


def main() -> None:
    """Run it, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=2_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, nargs="+", default=[50.0], help="milliseconds before each answer")
    parser.add_argument("--warm", type=int, default=WARM, help="runs before those that are measured")
    parser.add_argument("--processes", type=int, default=8, help="of the peer; 0 leaves it out")
    parser.add_argument("--kills", type=int, default=0, help="kill so many workers instead")
    parser.add_argument("--seed", type=int, default=0, help="of the moments at which they are killed")
    given = parser.parse_args()
    with (
        supervisor.serving(load_settings(), ("neo4j", "redis")) as reached,
        tempfile.TemporaryDirectory() as folder,
        connect(reached) as graph,
    ):
        migrate(graph)
        redis = reached.redis_url.get_secret_value().rpartition("/")[0] if reached.redis_url else ""
        told = {
            "redis_url": SecretStr(f"{redis}/{random.randint(10, 15)}"),  # nobody else's messages
            "openai_model": MODEL,
            "llm_concurrency": given.concurrency,
            "sweep_seconds": 3600.0,
        }
        for number, latency in enumerate(given.latency):
            with standin(Path(folder), latency, counting=given.kills > 0) as url:
                settings = reached.model_copy(update={**told, "openai_base_url": url})
                if given.kills:
                    often = settings.model_copy(update={"sweep_seconds": 0.3, "lease_seconds": 2.0})
                    storm(graph, often, given, latency, lambda url=url: counted(url))  # type: ignore[misc]
                    continue
                repeated = {"warm": 0, "measured": 1} if number else {"warm": given.warm, "measured": MEASURED}
                ours = bench(graph, settings, Path(folder), given.subjects, latency, **repeated)
                if given.processes and not number:
                    bench_peer(graph, settings, Path(folder), given.processes, ours)


if __name__ == "__main__":
    main()

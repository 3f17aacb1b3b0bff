"""An LLM job through the queue: one worker that asks for many at once, against workers that do a task a call.

python -m tests.benchmarks.bench_jobs [--subjects N] [--concurrency C] [--latency MS] [--processes P] [--kills K]

Both do the job `user_interests` with the same code against a stand-in that waits before each answer, and each is warm:
it has done a small run before. Measured is the time from the first message sent to the moment at which the ledger says
that the run is done: leasing, reading, prompts, HTTP, validation, the writes of answers, intents and ledger. Planning
is not in it. *Ideal* is calls × latency / concurrency: what a client would need that costs nothing. Memory is the most
that the worker's process ever held.

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from pydantic import SecretStr

from cikg.datasets.drop import drop
from cikg.embedded import supervisor
from cikg.extraction import ledger, queue
from cikg.extraction.job import job
from cikg.graph import Graph, connect
from cikg.graph.migrations import migrate
from cikg.settings import Settings, load_settings
from tests.workplace import Worker, counted, kill_workers, plant_readers, standin, start_worker

JOB = job("user_interests")
MODEL = "stand-in"
WARM = 128
"""Subjects of the run that warms a worker."""
PEER = 200
"""Subjects of the peer: enough to know how many it does a second."""


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
        time.sleep(1.0)  # seldom, since asking costs the server time
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
    graph: Graph, settings: Settings, folder: Path, subjects: int, *options: str, shard: int | None = None
) -> tuple[float, Worker]:
    """Seconds that a warm worker takes for a run, and the worker, stopped."""
    with datasets(graph, "warm", "run") as (warm, measured):
        worker = start_worker(settings, folder / f"{uuid.uuid4().hex}.log", *options)
        try:
            seconds(graph, settings, *plan(graph, warm, min(WARM, subjects), shard))
            took = seconds(graph, settings, *plan(graph, measured, subjects, shard))
        finally:
            worker.stop()
    return took, worker


def bench(graph: Graph, settings: Settings, folder: Path, given: argparse.Namespace) -> None:
    """Measure both, and print the figures."""
    ideal = given.subjects * given.latency / 1000 / settings.llm_concurrency
    took, worker = measure(graph, settings, folder, given.subjects)
    show("load of the machine (1 minute), its CPUs", f"{os.getloadavg()[0]:.1f}, {os.cpu_count()}")
    show("subjects, concurrency, latency", f"{given.subjects:,}, {settings.llm_concurrency}, {given.latency:.0f} ms")
    show("ideal, s", f"{ideal:.2f}")
    show("one worker, s", f"{took:.2f}")
    show("× ideal (bar 1.15)", f"{took / ideal:.2f}")
    show("most memory of the worker, MiB (bar 300)", f"{worker.peak_memory:.0f}")
    ours = given.subjects / took
    show("calls a second", f"{ours:.0f}")
    if not given.processes:
        return
    pool = ("--pool", "prefork", "--concurrency", str(given.processes))
    alone, _ = measure(graph, settings, folder, PEER, *pool, shard=1)
    show(f"a task a call, prefork of {given.processes}, calls a second", f"{PEER / alone:.0f}")
    show("times as fast (bar 5)", f"{ours * alone / PEER:.1f}")


def storm(graph: Graph, settings: Settings, given: argparse.Namespace, calls: Callable[[], int]) -> None:
    """Kill workers, and print what came of it."""
    with datasets(graph, "storm", "calm") as (stormy, calm):
        for dataset in (stormy, calm):
            plant_readers(graph, dataset, given.subjects)
        came = kill_workers(graph, settings, stormy, calm, calls, kills=given.kills, seed=given.seed)
    show("subjects, concurrency, latency", f"{given.subjects:,}, {settings.llm_concurrency}, {given.latency:.0f} ms")
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
    parser.add_argument("--latency", type=float, default=50.0, help="milliseconds before each answer")
    parser.add_argument("--processes", type=int, default=8, help="of the peer; 0 leaves it out")
    parser.add_argument("--standins", type=int, default=1, help="processes of the stand-in")
    parser.add_argument("--kills", type=int, default=0, help="kill so many workers instead")
    parser.add_argument("--seed", type=int, default=0, help="of the moments at which they are killed")
    given = parser.parse_args()
    with (
        supervisor.serving(load_settings(), ("neo4j", "redis")) as reached,
        tempfile.TemporaryDirectory() as folder,
        standin(Path(folder), given.latency, given.standins, counting=given.kills > 0) as url,
        connect(reached) as graph,
    ):
        migrate(graph)
        redis = reached.redis_url.get_secret_value().rpartition("/")[0] if reached.redis_url else ""
        settings = reached.model_copy(
            update={
                "redis_url": SecretStr(f"{redis}/{random.randint(10, 15)}"),  # nobody else's messages
                "openai_base_url": url,
                "openai_model": MODEL,
                "llm_concurrency": given.concurrency,
                "sweep_seconds": 3600.0,
            }
        )
        if given.kills:
            often = settings.model_copy(update={"sweep_seconds": 0.3, "lease_seconds": 2.0})
            storm(graph, often, given, lambda: counted(url))
        else:
            bench(graph, settings, Path(folder), given)


if __name__ == "__main__":
    main()

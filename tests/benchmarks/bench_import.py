"""Imports of MovieLens-1M's size: against the loop that everybody writes, over Bolt, from files, and of half the edges.

python -m tests.benchmarks.bench_import [--interactions N]

It starts embedded servers of its own. The loop is given its rows in memory and a server that is warm by then, and is
compared with what an import takes from there on; the whole commands are timed as a person waits for them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cikg.datasets.loader import load
from cikg.embedded import supervisor
from cikg.graph import Graph, connect
from cikg.settings import Settings
from tests.benchmarks.generate import ML_1M, movielens_sized
from tests.conftest import CIKG, newcomer

BATCH = 10_000


class Phases:
    """Seconds of each step of an import, by the name under which a person sees it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, description: str, _total: int | None) -> Iterator[Callable[[int], None]]:
        started = time.perf_counter()
        yield lambda _count: None
        self.seconds[description] = time.perf_counter() - started


def ours(graph: Graph, folder: Path, dataset: str) -> dict[str, float]:
    """Import a folder; seconds by step."""
    phases = Phases()
    load(graph, "cikgrec", folder, dataset, progress=phases)
    return phases.seconds


def plain(graph: Graph, folder: Path, dataset: str) -> float:
    """MERGE the same nodes and edges by their keys, as everybody writes it; seconds."""
    rows = []
    for split in ("train", "test"):
        for line in (folder / f"{split}.txt").read_text().splitlines():
            user, *items = line.split()
            rows += [{"user": f"{dataset}:{user}", "item": f"{dataset}:{item}", "split": split} for item in items]

    def write(statement: str, values: list[Any]) -> None:
        for start in range(0, len(values), BATCH):
            graph.execute(statement, rows=values[start : start + BATCH], dataset=dataset)

    started = time.perf_counter()
    for label, key in (("User", "user"), ("Item", "item")):
        nodes = sorted({row[key] for row in rows})
        node = f"UNWIND $rows AS row MERGE (n:{label} {{uid: row}}) SET n.dataset = $dataset, n.id = row, n.name = row"
        write(node, nodes)
    edge = (
        "UNWIND $rows AS row MATCH (user:User {uid: row.user}) MATCH (item:Item {uid: row.item}) "
        "MERGE (user)-[interacted:INTERACTED]->(item) SET interacted.split = row.split"
    )
    write(edge, rows)
    return time.perf_counter() - started


def command(settings: Settings, folder: Path, dataset: str, option: str) -> tuple[float, float]:
    """Seconds and peak memory in MiB of `cikg import`, as a process of its own."""
    line = [*CIKG, "import", "cikgrec", str(folder), "--dataset", dataset, option, "--json"]
    environment = supervisor.environment(settings)
    started = time.perf_counter()
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
    return time.perf_counter() - started, json.loads(done.stdout)["peak_memory"] / 2**20


def report(name: str, value: float, unit: str = "") -> None:
    print(f"{name:<44}{value:>12,.1f} {unit}", flush=True)  # noqa: T201


def bench(interactions: int, directory: Path) -> None:
    """Print one figure a line."""
    whole, half = directory / "whole", directory / "half"
    movielens_sized(whole, interactions)
    movielens_sized(half, interactions // 2)
    with supervisor.serving(newcomer(directory / "live"), ("neo4j",)) as settings, connect(settings) as graph:
        ours(graph, half, "warm-up")
        first, second = ours(graph, half, "half"), ours(graph, whole, "whole")
        loop = plain(graph, whole, "plain")
        report("the plain loop", loop, "s")
        report("the same rows by cikg", second["importing"], "s")
        report("edges a second", interactions / second["importing"])
        report("the plain loop / cikg", loop / second["importing"], "x")
        report("twice the edges / once, reading", second["reading"] / first["reading"], "x")
        report("twice the edges / once, writing", second["importing"] / first["importing"], "x")
        own = settings.model_copy(update={"neo4j_uri": None, "neo4j_password": None})
        for name, value in zip(("s", "MiB at most"), command(own, whole, "bolt", "--no-bulk"), strict=True):
            report("cikg import into a live database", value, name)
    with supervisor.serving(newcomer(directory / "empty"), ("neo4j",)) as settings:
        own = settings.model_copy(update={"neo4j_uri": None, "neo4j_password": None})
        for name, value in zip(("s", "MiB at most"), command(own, whole, "bulk", "--bulk"), strict=True):
            report("cikg import --bulk into an empty one", value, name)


def main() -> None:
    """Run it below a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interactions", type=int, default=ML_1M)
    with tempfile.TemporaryDirectory() as directory:
        bench(parser.parse_args().interactions, Path(directory))


if __name__ == "__main__":
    main()

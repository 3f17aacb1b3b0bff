"""How much sooner Neo4j starts and answers from the cache that a rehearsal made, against the same without one.

python -m tests.benchmarks.bench_start [--repeat N]

Each start is that of a server's process on an empty home, as the supervisor starts it. Measured are the time until it
takes connections (its first password, the system's database and the store are made in it), that of the first query,
that of 60 queries of which no two are alike to the planner, and the processor time of all of it. Starts with and
without the cache alternate, and of each figure the median is shown.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cikg.embedded import fetch, home, java, supervisor
from cikg.embedded.services import SERVICES
from cikg.graph import connect
from cikg.settings import Settings, load_settings
from tests.workplace import end, processor_time

SHAPES = 60
QUERY = (
    "UNWIND range(1, 200) AS i MERGE (n:Bench {{number: i}}) SET n.seen{shape} = $seen "
    "WITH n WHERE n.number > {shape} WITH n ORDER BY n.number LIMIT 10 "
    "OPTIONAL MATCH (n)-[r]->(m) RETURN n, collect(m) AS found"
)
FIGURES = ("until it answers, s", "first query, s", f"{SHAPES} queries, s", "processor time, s")


def measure(settings: Settings) -> list[float]:
    """Start a server on an empty home, ask it, end it; the figures."""
    (port,) = home.free_ports(1)
    home.prepare(settings)
    reached = supervisor._completed(settings, SERVICES["neo4j"].provides(port, home.Secrets.of(settings)))
    began = time.perf_counter()
    with (settings.logs / "neo4j.log").open("wb") as log:
        server = subprocess.Popen(
            SERVICES["neo4j"].command(reached), env=supervisor.environment(settings), stdout=log, stderr=log
        )
    moments = [began]
    try:
        while "listens on" not in (settings.logs / "neo4j.log").read_text():
            assert server.poll() is None, (settings.logs / "neo4j.log").read_text()
            time.sleep(0.02)
        moments.append(time.perf_counter())
        with connect(reached) as graph:
            graph.execute("RETURN 1")
            moments.append(time.perf_counter())
            for shape in range(SHAPES):
                graph.execute(QUERY.format(shape=shape), seen=shape)
            moments.append(time.perf_counter())
        processor = processor_time(server.pid)
    finally:
        end(server)
    return [*(after - before for before, after in itertools.pairwise(moments)), processor]


def without_cache(settings: Settings, folder: Path) -> Settings:
    """The settings with a cache folder that holds the archives alone."""
    own = settings.model_copy(update={"cache": folder / "cache"})
    fetch.library(own).parent.mkdir(parents=True)
    fetch.library(own).symlink_to(fetch.library(settings).absolute())
    return own


def show(name: str, *figures: str) -> None:
    """Print a line."""
    print(f"{name:<44}" + "".join(f"{figure:>10}" for figure in figures), flush=True)  # noqa: T201


def main() -> None:
    """Run it, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, help="starts of each")
    repeat = parser.parse_args().repeat
    base = load_settings(with_embedded=False)
    base = base.model_copy(update=dict.fromkeys(("neo4j_uri", "neo4j_password")))
    if java.cached(base) is None:
        sys.exit("There is no cache: `python -m cikg.embedded.rehearsal` makes one")
    found: dict[str, list[list[float]]] = {"with": [], "without": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = {"with": base, "without": without_cache(base, folder)}
        for number in range(repeat):
            for kind, own in settings.items():
                found[kind].append(measure(own.model_copy(update={"home": folder / f"{kind}-{number}"})))
    show("load of the machine (1 minute), its CPUs", f"{os.getloadavg()[0]:.1f}, {os.cpu_count()}")
    show(f"median of {repeat} starts", "with", "without", "ratio")
    for place, figure in enumerate(FIGURES):
        ours, theirs = (statistics.median(run[place] for run in found[kind]) for kind in ("with", "without"))
        show(figure, *(f"{value:.2f}" for value in (ours, theirs, ours / theirs)))


if __name__ == "__main__":
    main()

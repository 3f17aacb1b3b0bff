"""Snapshots of a dataset of MovieLens-1M's size: ours against reading one row an edge, on one server.

python -m tests.benchmarks.bench_export [--interactions N] [--bare] [--keep]

Every edge has a rating and a time, unless `--bare`. An export is all between the graph and columns in canonical
order, nodes and the two looks at the version included; `take` also hashes them and writes them to disk. Both sizes
are read in turn, and a time is the least of several: what others do on the machine only adds. `--keep` leaves the
datasets in the graph, where the next run finds them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import neo4j

from cikg.datasets.drop import drop
from cikg.datasets.loader import load
from cikg.embedded import supervisor
from cikg.graph import Graph, connect
from cikg.graph.export import export
from cikg.graph.snapshot import latest, take
from cikg.memory import peak_memory
from cikg.settings import Settings, load_settings
from tests.benchmarks.generate import ML_1M, movielens_sized

REPEATS, USERS = 5, 200
ROWS = """
CYPHER 25 MATCH (user:User {dataset: $dataset})-[edge:INTERACTED]->(item:Item)
RETURN user.id AS user, item.id AS item, edge.split AS split, edge.rating AS rating, edge.at AS at
"""


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def prepare(graph: Graph, dataset: str, interactions: int, bare: bool) -> None:
    """Import a dataset, unless it is there."""
    with tempfile.TemporaryDirectory() as folder:
        movielens_sized(Path(folder), interactions)
        if load(graph, "cikgrec", Path(folder), dataset).unchanged or bare:
            return
    users = [row["uid"] for row in graph.execute("MATCH (u:User {dataset: $d}) RETURN u.uid AS uid", d=dataset)]
    for start in range(0, len(users), USERS):
        graph.execute(
            "UNWIND $users AS uid MATCH (u:User {uid: uid})-[r:INTERACTED]->(i) "
            "SET r.rating = 1.0 + (id(i) + id(u)) % 5, r.at = 978300000 + id(r)",
            users=users[start : start + USERS],
        )
    graph.execute("MATCH (d:Dataset {uid: $d}) SET d.version = d.version + 1", d=dataset)


def row_by_row(settings: Settings, dataset: str) -> list[Any]:
    """What one writes first: the driver's rows, one an edge."""
    assert settings.neo4j_uri
    assert settings.neo4j_password
    credentials = (settings.neo4j_user, settings.neo4j_password.get_secret_value())
    with (
        neo4j.GraphDatabase.driver(settings.neo4j_uri, auth=credentials) as driver,
        driver.session(database=settings.neo4j_database, default_access_mode=neo4j.READ_ACCESS) as session,
    ):
        return [record.values() for record in session.run(ROWS, dataset=dataset)]


def bench(graph: Graph, settings: Settings, sizes: dict[str, int]) -> dict[str, float]:
    """All figures; the peak is taken before the peer, which holds a list an edge."""
    small, large = sizes
    taking = seconds(lambda: take(graph, small, settings))
    opening = min(seconds(lambda: latest(settings, small)) for _ in range(REPEATS))
    reusing = min(seconds(lambda: take(graph, small, settings)) for _ in range(REPEATS))
    peak = peak_memory()
    spent = [[seconds(lambda name=name: export(graph, name)) for name in sizes] for _ in range(REPEATS)]  # type: ignore[misc]
    ours, twice = (min(times) for times in zip(*spent, strict=True))
    larger = peak_memory()
    peer = min(seconds(lambda: row_by_row(settings, small)) for _ in range(2))
    return {
        "edges": sizes[small],
        "export, s": ours,
        "edges/s": sizes[small] / ours,
        "row by row, s": peer,
        "row by row / export": peer / ours,
        "export of twice the edges, s": twice,
        "doubling ratio": twice / ours * 2 * sizes[small] / sizes[large],
        "take, s": taking,
        "cached: open, s": opening,
        "cached: take, s": reusing,
        "peak memory of take, MiB": peak / 2**20,
        "peak memory, twice the edges, MiB": larger / 2**20,
    }


def main() -> None:
    """Print the figures, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=int, default=ML_1M)
    parser.add_argument("--bare", action="store_true", help="without ratings and times")
    parser.add_argument("--keep", action="store_true", help="leave the datasets in the graph")
    options = parser.parse_args()
    prefix = f"bench-export-{'bare' if options.bare else 'rated'}"
    sizes = {f"{prefix}-{count}": count for count in (options.interactions, 2 * options.interactions)}
    with supervisor.serving(load_settings(), ("neo4j",)) as settings, connect(settings) as graph:
        try:
            for dataset, interactions in sizes.items():
                prepare(graph, dataset, interactions, options.bare)
            with tempfile.TemporaryDirectory() as home:
                own = settings.model_copy(update={"home": Path(home)})
                for name, figure in bench(graph, own, sizes).items():
                    print(f"{name:36} {figure:>14,.3f}")  # noqa: T201
        finally:
            if not options.keep:
                for dataset in sizes:
                    drop(graph, dataset)


if __name__ == "__main__":
    main()

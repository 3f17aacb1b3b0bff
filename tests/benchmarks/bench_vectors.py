"""Nearest neighbours of one dataset: our index against comparing all its vectors in Cypher, on one server.

python -m tests.benchmarks.bench_vectors [--nodes N] [--dimension D]

Two datasets share the database; the larger has ten times the nodes, and the smaller is searched. Recall is that of the
ten nearest against numpy. The same vectors are indexed once more as the server does by itself, quantised to bits.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cikg.datasets.drop import drop
from cikg.embedded import supervisor
from cikg.graph import Graph, connect, vectors
from cikg.graph.migrations import migrate
from cikg.schema import Label, uid
from cikg.settings import load_settings

QUERIES, K, PAGE = 100, 10, 1_000
ALL = """
CYPHER 25 MATCH (node:Intent {dataset: $dataset})
RETURN node.id AS id, vector.similarity.cosine(node[$property], $vector) AS score ORDER BY score DESC LIMIT $k
"""
SEARCH = """
CYPHER 25 MATCH (node:Intent)
SEARCH node IN (VECTOR INDEX %s FOR $vector WHERE node.dataset = $dataset LIMIT $k) RETURN node.id AS id
"""
QUANTISED = """
CYPHER 25 CREATE VECTOR INDEX %s FOR (node:Intent) ON node.%s WITH [node.dataset]
OPTIONS {indexConfig: {`vector.dimensions`: %d, `vector.similarity_function`: 'cosine'}}
"""


def write(graph: Graph, dataset: str, slug: str, found: NDArray[np.float32]) -> float:
    """Write intents with vectors; nodes a second."""
    graph.execute("MERGE (d:Dataset {uid: $d}) SET d.id = $d, d.dataset = $d", d=dataset)
    start = time.perf_counter()
    for first in range(0, len(found), PAGE):
        rows = [
            {"uid": uid(dataset, str(row)), "id": str(row), "vector": found[row].tolist(), "input": "bench"}
            for row in range(first, min(first + PAGE, len(found)))
        ]
        graph.execute(
            "UNWIND $rows AS row CREATE (:Intent {uid: row.uid, id: row.id, dataset: $d})", rows=rows, d=dataset
        )
        graph.run(vectors.written_for("write_vectors", Label.INTENT, slug), dataset=dataset, rows=rows)
    graph.write("list_embeddings", dataset=dataset, added=[f"Intent/{slug}"], removed=[])
    return len(found) / (time.perf_counter() - start)


def recall(ask: Callable[[list[float]], list[str]], found: NDArray[np.float32]) -> tuple[float, float]:
    """The share of the true ten nearest that is found, and milliseconds a question."""
    hits, spent = 0, []
    for row in range(QUERIES):
        best = np.argsort(-(found @ found[row]))[:K]
        start = time.perf_counter()
        hits += len({str(one) for one in best} & set(ask(found[row].tolist())))
        spent.append(time.perf_counter() - start)
    return hits / (K * QUERIES), float(np.median(spent)) * 1e3


def bench(graph: Graph, nodes: int, dimension: int) -> dict[str, float]:
    """The figures, by what they are."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(nodes // 50 + 1, dimension))
    both = centres[random.integers(0, len(centres), 11 * nodes)] + 0.7 * random.normal(size=(11 * nodes, dimension))
    both = (both / np.linalg.norm(both, axis=1, keepdims=True)).astype(np.float32)
    slug, small = vectors.slug("bench", dimension), both[:nodes]
    vectors.ensure_index(graph, Label.INTENT, slug)
    speed = write(graph, "bench-vectors-large", slug, both[nodes:])
    write(graph, "bench-vectors-small", slug, small)
    dataset = {"dataset": "bench-vectors-small", "k": K}
    found, ours = recall(
        lambda query: [one.id for one in vectors.nearest(graph, dataset["dataset"], Label.INTENT, slug, query, k=K)],
        small,
    )
    _, peer = recall(
        lambda query: [row["id"] for row in graph.execute(ALL, **dataset, vector=query, property=f"embedding_{slug}")],
        small,
    )
    graph.execute("DROP INDEX $name", name=vectors.index_name(Label.INTENT, slug))
    graph.execute(QUANTISED % ("bench_quantised", f"embedding_{slug}", dimension))
    graph.write("await_indexes", seconds=600)
    bits, _ = recall(
        lambda query: [row["id"] for row in graph.execute(SEARCH % "bench_quantised", **dataset, vector=query)], small
    )
    return {
        "vectors written and indexed a second": speed,
        "recall of the ten nearest": found,
        "recall, quantised to bits": bits,
        "nearest, ms": ours,
        "comparing all, ms": peer,
        "comparing all / nearest": peer / ours,
    }


def main() -> None:
    """Print the figures, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--dimension", type=int, default=64)
    options = parser.parse_args()
    with supervisor.serving(load_settings(), ("neo4j",)) as settings, connect(settings) as graph:
        migrate(graph)
        try:
            for name, figure in bench(graph, options.nodes, options.dimension).items():
                print(f"{name:40} {figure:>10,.3f}")  # noqa: T201
        finally:
            for name in (vectors.index_name(Label.INTENT, vectors.slug("bench", options.dimension)), "bench_quantised"):
                graph.write("drop_index", name=name)
            for dataset in ("bench-vectors-small", "bench-vectors-large"):
                drop(graph, dataset)


if __name__ == "__main__":
    main()

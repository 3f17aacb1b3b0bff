"""Three layers of propagation, forward and backward: ours against PyG's `LGConv(normalize=True)`, in one run.

python -m tests.benchmarks.bench_propagation [--width D]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch

from cikg.recommend.data.views import SymmetricGraph
from cikg.recommend.parts.propagation import propagate

LAYERS, REPEATS = 3, 15


def milliseconds(work: Callable[[], object]) -> float:
    """The least over repetitions: what others do on the machine only adds."""
    for _ in range(3):
        work()
    spent = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return min(spent) * 1e3


def bandwidth() -> float:
    """Bytes a second of a large copy, read and write."""
    source = torch.randn(64 * 2**20)
    target = torch.empty_like(source)
    return 2 * source.nbytes / (milliseconds(lambda: target.copy_(source)) / 1e3)


def bench(left: int, right: int, pairs: int, width: int) -> dict[str, float]:
    """Times of a random bipartite graph with power-law degrees."""
    random = np.random.default_rng(0)
    source = (left * random.random(pairs) ** 2).astype(np.int64)
    target = left + (right * random.random(pairs) ** 2).astype(np.int64)
    graph = SymmetricGraph.of(left + right, source, target)
    edge_index = torch.stack([graph.neighbours.long(), graph.rows.long()])
    embeddings = torch.randn(graph.nodes, width, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch_geometric.nn import LGConv  # noqa: PLC0415
    convolution = LGConv(normalize=True)

    def theirs() -> None:
        layer, total = embeddings, embeddings
        for _ in range(LAYERS):
            layer = convolution(layer, edge_index)
            total = total + layer
        total.sum().backward()

    peer = milliseconds(theirs)
    ours = milliseconds(lambda: propagate(graph, embeddings, LAYERS).sum().backward())
    moved = 2 * LAYERS * (graph.edges * (8 + 4 * width) + graph.nodes * width * 4)
    bound = moved / bandwidth() * 1e3
    return {
        "directed edges": graph.edges,
        "PyG LGConv, ms": peer,
        "ours, ms": ours,
        "uncached byte bound, ms": bound,
        "PyG / ours": peer / ours,
        "ours / bound": ours / bound,
    }


def main() -> None:
    """Print one line a graph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=64)
    width = parser.parse_args().width
    for name, size in (("DBbook2014's size", (7_000, 8_000, 180_000)), ("MovieLens-1M's", (6_000, 18_000, 900_000))):
        print(name, {key: round(value, 2) for key, value in bench(*size, width).items()})  # noqa: T201


if __name__ == "__main__":
    main()

"""Neighbourhoods of two hops, sampled from edges on disk: ours against a plain loop in Python, and against PyG's own
sampler where its extensions are installed; then what sampling a large graph adds to memory.

python -m tests.benchmarks.bench_sampling [--edges N] [--dataset NAME]

With a dataset of the configured Neo4j, reading it is timed too.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import torch
from torch_geometric import typing as extensions
from torch_geometric.sampler import BaseSampler, NeighborSampler, NodeSamplerInput

from cikg.graph import connect
from cikg.graph.pyg import DiskGraphStore, DiskNeighborSampler
from cikg.graph.pyg.adjacency import Adjacency, EdgeType, read_adjacency
from cikg.settings import load_settings
from tests.unit.graph.pyg.features import NoFeatures

READ: EdgeType = ("user", "interacted", "item")
REVERSED: EdgeType = ("item", "rev_interacted", "user")
FAN_OUTS, BATCH, SECONDS = (10, 5), 512, 5.0


def generate(folder: Path, edges: int) -> Adjacency:
    """Write a graph of users and items with degrees as skewed as MovieLens', a few million edges at a time."""
    users, items = max(edges // 165, 10), max(edges // 300, 10)
    for number, (targets, sources) in enumerate(((items, users), (users, items))):
        generator = np.random.default_rng(number)
        degrees = generator.lognormal(sigma=1.2, size=targets)
        degrees = np.maximum(degrees * edges / degrees.sum(), 1).astype(np.int64)
        offsets = np.concatenate([[0], np.cumsum(degrees)])
        offsets.tofile(folder / f"{number}.offsets")
        with (folder / f"{number}.sources").open("wb") as file:
            for first in range(0, int(offsets[-1]), 2**22):
                size = min(2**22, int(offsets[-1]) - first)
                (sources * generator.random(size) ** 2).astype(np.int32).tofile(file)
        (folder / f"{number}.times").write_bytes(b"")
    sizes = [(folder / f"{number}.sources").stat().st_size // 4 for number in range(2)]
    types = {READ: sizes[0], REVERSED: sizes[1]}
    return Adjacency(folder, {"user": users, "item": items}, types, {READ: 0, REVERSED: 1})


def plain(adjacency: Adjacency, seeds: list[int]) -> int:
    """What sampling is, row by row: returns the number of edges."""
    edges = {"item": adjacency.edges(READ), "user": adjacency.edges(REVERSED)}
    found = {"item": dict.fromkeys(seeds), "user": dict[int, None]()}
    frontier, other, drawn = {"item": seeds, "user": list[int]()}, {"item": "user", "user": "item"}, 0
    for count in FAN_OUTS:
        new: dict[str, list[int]] = {"item": [], "user": []}
        for kind, nodes in frontier.items():
            for node in nodes:
                begin, end = int(edges[kind].offsets[node]), int(edges[kind].offsets[node + 1])
                for edge in random.sample(range(begin, end), min(count, end - begin)):
                    source = int(edges[kind].sources[edge])
                    drawn += 1
                    if source not in found[other[kind]]:
                        found[other[kind]][source] = None
                        new[other[kind]].append(source)
        frontier = new
    return drawn


def seeds_a_second(sample: Callable[[torch.Tensor], object], batches: Iterator[torch.Tensor]) -> float:
    """Over a few seconds, after one batch that does not count."""
    sample(next(batches))
    start, seeds = time.perf_counter(), 0
    for batch in batches:
        sample(batch)
        seeds += len(batch)
        if time.perf_counter() - start > SECONDS:
            break
    return seeds / (time.perf_counter() - start)


def speed(adjacency: Adjacency) -> dict[str, float | str]:
    """Seeds a second of each sampler."""
    store = DiskGraphStore(adjacency)

    def batches() -> Iterator[torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        while True:
            yield torch.randint(adjacency.counts["item"], (BATCH,), generator=generator).unique()

    def of(sampler: BaseSampler) -> float:
        return seeds_a_second(
            lambda seeds: sampler.sample_from_nodes(NodeSamplerInput(None, seeds, None, "item")), batches()
        )

    slow = seeds_a_second(lambda seeds: plain(adjacency, seeds.tolist()), batches())
    ours = of(DiskNeighborSampler(store, list(FAN_OUTS)))
    result: dict[str, float | str] = {"plain loop, seeds/s": slow, "ours, seeds/s": ours, "ours / plain": ours / slow}
    if extensions.WITH_PYG_LIB or extensions.WITH_TORCH_SPARSE:
        theirs = of(NeighborSampler((NoFeatures(), store), list(FAN_OUTS)))
        return result | {"PyG, seeds/s": theirs, "ours / PyG": ours / theirs}
    return result | {"PyG": "pyg-lib and torch-sparse are not installed"}


def memory(adjacency: Adjacency) -> dict[str, float]:
    """What a hundred batches add to the memory that is this process's own, beside the size of the edges on disk."""
    own = psutil.Process().memory_full_info().uss
    sampler = DiskNeighborSampler(DiskGraphStore(adjacency), list(FAN_OUTS))
    most = 0
    for seeds in islice(iter(lambda: torch.randint(adjacency.counts["item"], (BATCH,)), None), 100):
        sampler.sample_from_nodes(NodeSamplerInput(None, seeds, None, "item"))
        most = max(most, psutil.Process().memory_full_info().uss - own)
    return {"edges on disk, MB": sum(adjacency.edge_types.values()) * 4 / 2**20, "own memory added, MB": most / 2**20}


def reading(dataset: str) -> dict[str, float]:
    """How long it takes to read a dataset from Neo4j into an empty folder."""
    settings = load_settings()
    with tempfile.TemporaryDirectory() as home, connect(settings) as graph:
        start = time.perf_counter()
        found = read_adjacency(graph, dataset, settings.model_copy(update={"home": Path(home)}))
        seconds, edges = time.perf_counter() - start, sum(found.edge_types.values())
    return {"directed edges": edges, "seconds": seconds, "edges a second": edges / seconds}


def main() -> None:
    """Print one line a question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edges", type=int, default=100_000_000, help="of the large graph, in each direction")
    parser.add_argument("--dataset", help="also time the reading of this one")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results: list[tuple[str, dict[str, float | str]]] = []
    for name, edges in (("MovieLens-1M's size", 1_000_000), (f"{options.edges:,} edges", options.edges)):
        with tempfile.TemporaryDirectory() as folder:
            adjacency = generate(Path(folder), edges)
            results += [(name, speed(adjacency)), (name, dict(memory(adjacency)))]
    if options.dataset:
        results.append((f"reading {options.dataset}", dict(reading(options.dataset))))
    for name, result in results:
        shown = {key: value if isinstance(value, str) else round(value, 1) for key, value in result.items()}
        print(name, shown)  # noqa: T201


if __name__ == "__main__":
    main()

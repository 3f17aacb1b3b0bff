"""A graph larger than the memory of the process that samples it."""

from __future__ import annotations

import json
import multiprocessing
import resource
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from torch_geometric.loader import NodeLoader

from cikg.graph.pyg import Adjacency, DiskGraphStore, DiskNeighborSampler
from tests.unit.graph.pyg.features import NoFeatures

TARGETS, DEGREE = 500_000, 2_000
"""A billion edges: four gigabytes of sources, which the file system keeps as a hole."""

READ = ("user", "interacted", "item")


def sample(path: Path) -> None:
    """Sample with little more memory than the process has already, and show that all edges would not fit into it."""
    torch.set_num_threads(1)
    held = getattr(psutil.Process().memory_info(), "data", 0)
    resource.setrlimit(resource.RLIMIT_DATA, (held + 200 * 2**20, resource.RLIM_INFINITY))
    adjacency = Adjacency.open(path)
    store = DiskGraphStore(adjacency)
    with pytest.raises(MemoryError):
        adjacency.edges(READ).sources.astype(np.int64)
    _, seeds = store.seeds(READ, count=2_000)
    loader = NodeLoader(
        (NoFeatures(), store), DiskNeighborSampler(store, [10, 10]), ("item", seeds[1].unique()), batch_size=500
    )
    for batch in loader:
        assert batch[READ].edge_index.shape[1] == 10 * batch["item"].batch_size


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # the child has one thread, as a worker has
def test_samples_a_graph_that_does_not_fit_in_memory(tmp_path: Path) -> None:
    edges = TARGETS * DEGREE
    (tmp_path / "0.offsets").write_bytes((np.arange(TARGETS + 1, dtype=np.int64) * DEGREE).tobytes())
    for name, size in (("0.sources", 4 * edges), ("0.times", 8 * edges)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    manifest = {
        "layout": 1,
        "counts": {"user": 10, "item": TARGETS},
        "edges": [[*READ, edges, 0]],
        "files": {path.name: path.stat().st_size for path in tmp_path.iterdir()},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    child = multiprocessing.get_context("fork").Process(target=sample, args=(tmp_path,), daemon=True)
    child.start()
    child.join(60)
    assert child.exitcode == 0

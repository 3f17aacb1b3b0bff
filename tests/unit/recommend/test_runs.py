"""Files of runs and snapshots come from other machines: reading one never runs what is in it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cikg.errors import SnapshotError
from cikg.graph.snapshot import Snapshot, open_snapshot
from cikg.recommend.runs import read_arrays, read_tensors


class Canary:
    """Leaves a file wherever it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("read", [read_tensors, read_arrays])
def test_a_pickle_in_the_place_of_weights_is_refused_and_not_run(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    weights, trace = tmp_path / "weights.safetensors", tmp_path / "trace"
    weights.write_bytes(pickle.dumps(Canary(trace)))
    pickle.loads(weights.read_bytes())
    assert trace.exists(), "it does what it says where anybody listens to it"
    trace.unlink()
    with pytest.raises(SnapshotError, match=r"weights\.safetensors is damaged"):
        read(weights)
    torch.save({"weights": Canary(trace)}, weights)
    with pytest.raises(SnapshotError, match=r"weights\.safetensors is damaged"):
        read(weights)
    assert not trace.exists()


def test_a_pickle_in_the_place_of_a_column_is_refused_and_not_run(snapshot: Snapshot, tmp_path: Path) -> None:
    column, trace = snapshot.path / "interactions.user_index.npy", tmp_path / "trace"
    size = column.stat().st_size
    with column.open("wb") as file:
        np.save(file, np.array([Canary(trace)], dtype=object), allow_pickle=True)
        file.truncate(size)
    with pytest.raises(SnapshotError, match="is damaged"):
        np.asarray(open_snapshot(snapshot.path).interactions.user_index)
    assert not trace.exists()

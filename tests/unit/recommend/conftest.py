from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cikg.graph.snapshot import Snapshot
from cikg.settings import Settings
from tests.unit.recommend.planted import two_tastes


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """Readers of two tastes."""
    return two_tastes(tmp_path / "snapshots")


@pytest.fixture
def offline(tmp_path: Path) -> Settings:
    """Settings that need no server."""
    return Settings(home=tmp_path / "home", device="cpu")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Planted graphs are so small that a second thread only waits, for long where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

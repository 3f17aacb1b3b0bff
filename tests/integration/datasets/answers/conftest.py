"""What tests of answers made elsewhere share."""

from __future__ import annotations

from pathlib import Path

import pytest

from cikg.datasets.loader import load
from cikg.graph import Graph
from tests.unit.datasets.formats import test_colakg


@pytest.fixture
def shop(graph: Graph, dataset: str, tmp_path: Path) -> str:
    """Users 20 and 3, of the numbers 0 and 1, and items 51, 1 and 70, of the numbers 0, 1 and 2."""
    load(graph, "colakg", test_colakg.write(tmp_path), dataset)
    return dataset

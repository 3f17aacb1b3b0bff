"""The published DBbook2014, where it lies beside the checkout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cikg.datasets.loader import load
from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.settings import Settings

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "cikgrec" / "dbbook2014"


@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the published data is not at {FOLDER}; it may not be redistributed")
def test_dbbook2014(graph: Graph, dataset: str, settings: Settings) -> None:
    report = load(graph, "cikgrec", FOLDER, dataset)
    expected = {
        "users": 5_576, "items": 2_680, "entities": 6_228, "interests": 381, "interactions": 65_961, "test": 15_216,
        "relations": 13, "facts": 134_223, "interest_edges": 6_961,
    }  # fmt: skip
    assert expected.items() <= report.counts.items()
    assert report.counts["valid"] == pytest.approx(50_745 / 8, rel=0.02)
    snapshot = take(graph, dataset, settings)
    exported = {
        "users": 5_576, "items": 2_680, "entities": 6_228, "interests": 381, "interactions": 65_961, "facts": 134_223,
        "has_interest": 6_961, "intents": 0,
    }  # fmt: skip
    assert exported.items() <= snapshot.counts.items()
    assert snapshot.items.names[snapshot.items.index["1"]] == "Dragonfly in Amber"
    assert "LITERARY_GENRE" in snapshot.relations
    split = np.bincount(snapshot.interactions.split, minlength=3)
    assert split.tolist() == [report.counts["train"], report.counts["valid"], 15_216]
    assert np.bincount(snapshot.interactions.user_index[snapshot.interactions.split == 0]).min() >= 1
    assert not snapshot.has_interest.from_evidence.any()

"""Popularity: recommends what most users chose. The baseline that every method has to beat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from typing_extensions import override

from cikg.recommend.data.views import TrainingData
from cikg.recommend.method import ClosedForm, Config, Method
from cikg.recommend.scorers import Scorer, StaticScorer


class PopularityConfig(Config):
    """Popularity has nothing to set."""


class Popularity(ClosedForm):
    """Counts interactions."""

    def __init__(self, data: TrainingData, config: PopularityConfig, device: torch.device) -> None:
        counts = np.bincount(data.fit.item_index, minlength=data.nodes.items)
        self._scores = torch.from_numpy(counts.astype(np.float32)).to(device)

    @override
    def candidates(self) -> Iterator[tuple[dict[str, Any], Scorer]]:
        yield {}, StaticScorer(self._scores)


METHOD = Method(
    paper="P. Cremonesi, Y. Koren, R. Turrin: Performance of recommender algorithms on top-N tasks. RecSys 2010",
    departures=(),
    config=PopularityConfig,
    build=Popularity,
)

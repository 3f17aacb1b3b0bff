"""Popularity: recommends what most users chose. The baseline that every method has to beat."""

from __future__ import annotations

import numpy as np
import torch

from cikg.recommend.data.views import TrainingData
from cikg.recommend.method import Config, Method, OneFit
from cikg.recommend.scorers import StaticScorer


class PopularityConfig(Config):
    """Popularity has nothing to set."""


class Popularity(OneFit):
    """Counts interactions."""

    def __init__(self, data: TrainingData, config: PopularityConfig, device: torch.device) -> None:
        counts = np.bincount(data.fit.item_index, minlength=data.nodes.items)
        self.scorer = StaticScorer(torch.from_numpy(counts.astype(np.float32)).to(device))


METHOD = Method(
    paper="P. Cremonesi, Y. Koren, R. Turrin: Performance of recommender algorithms on top-N tasks. RecSys 2010",
    departures=(),
    config=PopularityConfig,
    build=Popularity,
)

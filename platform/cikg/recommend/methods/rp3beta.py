"""RP3β: where a random walk of three steps from the user ends, popular items discounted (Paudel et al., TiiS 2017)."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field

from cikg.recommend.data.views import TrainingData
from cikg.recommend.method import Config, Method, OneFit, Span
from cikg.recommend.parts import linear
from cikg.recommend.scorers import ItemWeightScorer


class Rp3betaConfig(Config):
    """Hyperparameters of the walk."""

    alpha: float = Field(1.0, gt=0, description="α: transition probabilities are raised to it")
    beta: float = Field(0.2, ge=0, description="β: scores are divided by the item's popularity to this power")
    neighbours: int = Field(1000, ge=1, description="Number of items that each item's walks may end at")


class Rp3beta(OneFit):
    """w_ij = Σ_u p(u|i)^α·p(j|u)^α / popularity(j)^β; every item of a history weighs alike, as in ItemKNN."""

    def __init__(self, data: TrainingData, config: Rp3betaConfig, device: torch.device) -> None:
        linear.demand_room(data.nodes.items, "rp3beta", device)
        matrix = linear.interactions(data)
        users, items = (np.asarray(matrix.sum(axis=axis)) for axis in (1, 0))
        everyone, everything = np.ones(data.nodes.users), np.ones(data.nodes.items)
        to_user = linear.scaled(matrix.T, linear.inverse_power(items, config.alpha), everyone)
        to_item = linear.scaled(matrix, linear.inverse_power(users, config.alpha), everything)
        weights = (to_user @ to_item).toarray()
        weights *= linear.inverse_power(items, config.beta).astype(np.float32)[None]
        np.fill_diagonal(weights, 0.0)
        linear.keep_largest(weights, config.neighbours)
        self.scorer = ItemWeightScorer(
            *linear.rows(data.fit, data.nodes.users, device), torch.from_numpy(weights).to(device)
        )


METHOD = Method(
    paper="B. Paudel, F. Christoffel, C. Newell, A. Bernstein: Updatable, accurate, diverse, and scalable "
    "recommendations for interactive applications. ACM Transactions on Interactive Intelligent Systems 7, 2017",
    departures=(),
    config=Rp3betaConfig,
    build=Rp3beta,
    search={"alpha": Span(0.3, 2.0), "beta": Span(0.0, 1.0), "neighbours": Span(20, 3000, log=True)},
)

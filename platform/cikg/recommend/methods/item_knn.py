"""ItemKNN: scores an item by its similarity to what the user has chosen (Sarwar et al., WWW 2001)."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field

from cikg.recommend.data.views import TrainingData
from cikg.recommend.method import Config, Method, OneFit, Span
from cikg.recommend.parts import linear
from cikg.recommend.scorers import ItemWeightScorer


class ItemKnnConfig(Config):
    """Hyperparameters of item neighbourhoods."""

    neighbours: int = Field(1000, ge=1, description="k: a chosen item speaks for the k items that resemble it most")
    shrinkage: float = Field(10.0, ge=0, description="Distrust of similarities that few users support")
    facts_weight: float = Field(0.0, ge=0, description="Weight of the similarity by shared facts beside it")


class ItemKnn(OneFit):
    """w_ij = n_ij / (√(n_i·n_j) + shrinkage), where n_ij users chose both; of each row the k largest count."""

    def __init__(self, data: TrainingData, config: ItemKnnConfig, device: torch.device) -> None:
        linear.demand_room(data.nodes.items, "item-knn", device)
        matrix = linear.interactions(data)
        both = (matrix.T @ matrix).toarray()  # (items, items)
        length = np.sqrt(both.diagonal())
        both /= np.maximum(length[:, None] * length[None] + config.shrinkage, 1e-9)
        if config.facts_weight:
            both += config.facts_weight * linear.fact_similarity(data).toarray()
        np.fill_diagonal(both, 0.0)
        linear.keep_largest(both, config.neighbours)
        self.scorer = ItemWeightScorer(
            *linear.rows(data.fit, data.nodes.users, device), torch.from_numpy(both).to(device)
        )


METHOD = Method(
    paper="B. Sarwar, G. Karypis, J. Konstan, J. Riedl: Item-based collaborative filtering recommendation algorithms. "
    "WWW 2001",
    departures=("similarities are cosines, shrunk where few users support them", "facts may be added to them"),
    config=ItemKnnConfig,
    build=ItemKnn,
    search={
        "neighbours": Span(20, 3000, log=True),
        "shrinkage": Span(0.0, 100.0),
        "facts_weight": Span(0.0, 0.5),
    },
)

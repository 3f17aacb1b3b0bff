"""SimpleX: a user is the average of a history and a vector; cosine loss with many negatives (Mao et al., CIKM 2021)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from cikg.recommend.data.views import TrainingData
from cikg.recommend.method import Gradient, Method, Span
from cikg.recommend.parts import linear, losses
from cikg.recommend.parts.propagation import memory
from cikg.recommend.parts.ranking import LossName, Ranking, RankingConfig
from cikg.recommend.scorers import DotScorer


class SimplexConfig(RankingConfig):
    """Hyperparameters of SimpleX."""

    loss: LossName = Field("cosine", description="The loss: cosine as in the paper, softmax or any of the others")
    dimension: int = Field(64, ge=1, description="Width of an embedding")
    own_share: float = Field(
        0.5, ge=0, le=1, description="g: the share of the user's own vector; the rest is the history's"
    )
    learning_rate: float = Field(0.005, gt=0, description="Adam's step size")
    weight_decay: float = Field(1e-5, ge=0, description="L2 penalty on a batch's own embeddings")


class Simplex(Gradient):
    """user = g·own + (1 - g)·V·mean of the history (eq. 6); the loss is eq. 3 by default."""

    def __init__(self, data: TrainingData, config: SimplexConfig, device: torch.device) -> None:
        super().__init__()
        self.config = config
        self.users = nn.Parameter(nn.init.xavier_uniform_(torch.empty(data.nodes.users, config.dimension)))
        self.items = nn.Parameter(nn.init.xavier_uniform_(torch.empty(data.nodes.items, config.dimension)))
        self.map = nn.Linear(config.dimension, config.dimension, bias=False)
        self.to(device)
        self._offsets, self._history = linear.rows(data.fit, data.nodes.users, device)
        self._ranking = Ranking(data, config, device)

    @classmethod
    @override
    def memory(cls, data: TrainingData, config: SimplexConfig) -> int:
        return memory(data.nodes.users + data.nodes.items, len(data.fit), config.dimension)

    @override
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"recommend": torch.optim.Adam(self.parameters(), lr=self.config.learning_rate)}

    @override
    def steps(self, epoch: int, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        for batch in self._ranking.batches(generator):
            own = (F.embedding(batch.user, self.users), F.embedding(batch.item, self.items))
            decay = self.config.weight_decay * losses.squared_length(*own)
            yield "recommend", self._ranking.loss(self._readers(), self.items, batch) + decay

    @override
    def scorer(self) -> DotScorer:
        return self._ranking.scorer(self._readers(), self.items)

    def _readers(self) -> Tensor:
        """All users' vectors, shape (users, d)."""
        history = F.embedding_bag(self._history, self.items, self._offsets, mode="mean", include_last_offset=True)
        share = self.config.own_share
        return share * self.users + (1 - share) * (history @ self.map.weight.T)


METHOD = Method(
    paper="K. Mao, J. Zhu, J. Wang, Q. Dai, Z. Dong, X. Xiao, X. He: SimpleX: a simple and strong baseline for "
    "collaborative filtering. CIKM 2021",
    departures=("a batch shares its negatives",),
    config=SimplexConfig,
    build=Simplex,
    epochs=60,
    patience=5,
    search={
        "margin": Span(0.0, 0.9),
        "negative_weight": Span(1.0, 200.0, log=True),
        "own_share": Span(0.0, 1.0),
        "learning_rate": Span(0.001, 0.01, log=True),
    },
)

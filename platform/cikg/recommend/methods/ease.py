"""EASE: a linear item–item model in closed form (Steck, WWW 2019), optionally with item attributes (cEASE)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from cikg.recommend.data.views import TrainingData
from cikg.recommend.method import ClosedForm, Config, Method, Span
from cikg.recommend.parts import linear
from cikg.recommend.scorers import ItemWeightScorer, Scorer

PENALTIES = (30.0, 100.0, 300.0, 1000.0)


class EaseConfig(Config):
    """Hyperparameters of EASE."""

    penalty: float | None = Field(
        None, gt=0, description=f"λ, the L2 penalty; without one, the best of {PENALTIES} on the validation split"
    )
    facts_weight: float = Field(
        0.0,
        ge=0,
        description="Weight of the items' similarity by shared facts in the Gram matrix; 0 ignores facts",
    )
    text_weight: float = Field(
        0.0,
        ge=0,
        description="Weight of the items' similarity by their profiles or texts in the Gram matrix; 0 ignores both",
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of choices left out on average, so that popular items count less"
    )


class Ease(ClosedForm):
    """B = I - P·diag(1 / diag P), P = (XᵀX + w·S + λI)⁻¹ (eq. 8, with S added).

    X is the users × items matrix of interactions, S the cosine between the items' facts weighted by inverse frequency,
    or between their texts: as if wS = YᵀY came of more users, Y, one a fact or word (Jeunen et al., RecSys 2020).
    With a dropout of p, what would be learned from infinitely many copies of X, each without a share p of its entries:
    λ grows by p / (1 - p) times an item's choices (H. Steck: Autoencoders that don't overfit towards the identity,
    NeurIPS 2020).
    """

    def __init__(self, data: TrainingData, config: EaseConfig, device: torch.device) -> None:
        self._config = config
        self._offsets, self._history = linear.rows(data.fit, data.nodes.users, device)
        matrix = linear.interactions(data)
        self._gram = torch.from_numpy((matrix.T @ matrix).toarray()).to(device)
        self._gram.diagonal().mul_(1 + config.dropout / (1 - config.dropout))
        if config.facts_weight:
            similar = linear.fact_similarity(data).toarray()
            self._gram.add_(torch.from_numpy(similar).to(device), alpha=config.facts_weight)
        if config.text_weight:
            self._gram.add_(torch.from_numpy(linear.text_similarity(data)).to(device), alpha=config.text_weight)

    @override
    def candidates(self) -> Iterator[tuple[dict[str, Any], Scorer]]:
        for penalty in PENALTIES if self._config.penalty is None else (self._config.penalty,):
            yield {"penalty": penalty}, ItemWeightScorer(self._offsets, self._history, self._weights(penalty))

    def _weights(self, penalty: float) -> Tensor:
        factor = self._gram.clone()
        factor.diagonal().add_(penalty)
        factor = torch.linalg.cholesky(factor)  # the sum is not needed any more, and as large
        inverse = torch.cholesky_inverse(factor)
        weights = inverse.div_(inverse.diagonal().clone()).neg_()
        weights.fill_diagonal_(0.0)
        return weights


def build(data: TrainingData, config: EaseConfig, device: torch.device) -> Ease:
    """EASE alone. A mixture asks for room once, before it fits the experts that stand beside it.

    Raises:
        InputError: its matrices need more memory than is free.
    """
    linear.demand_room(data.nodes.items, "ease", device)
    return Ease(data, config, device)


METHOD = Method(
    paper="H. Steck: Embarrassingly shallow autoencoders for sparse data. WWW 2019",
    departures=(
        "λ is chosen from a small grid on the validation split, and facts and texts may be added to the Gram matrix",
    ),
    config=EaseConfig,
    build=build,
    search={
        "penalty": Span(10.0, 3000.0, log=True),
        "facts_weight": Span(0.0, 100.0),
        "text_weight": Span(0.0, 100.0),
        "dropout": Span(0.0, 0.9),
    },
)

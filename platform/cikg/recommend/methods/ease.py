"""EASE: a linear item–item model with a closed form (Steck, WWW 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from pydantic import Field
from scipy import sparse
from torch import Tensor
from typing_extensions import override

from cikg.recommend.method import ClosedForm, Config, Method
from cikg.recommend.scorers import ItemWeightScorer, Scorer
from cikg.recommend.views import TrainingData

PENALTIES = (30.0, 100.0, 300.0, 1000.0)


class EaseConfig(Config):
    """Hyper-parameters of EASE."""

    penalty: float | None = Field(
        None, gt=0, description=f"λ, the L2 penalty; without one, the best of {PENALTIES} on the validation split"
    )
    facts_weight: float = Field(
        0.0,
        ge=0,
        description="Weight of the items' similarity by shared facts in the Gram matrix; 0 ignores facts",
    )


class Ease(ClosedForm):
    """B = I - P·diag(1 / diag P), P = (XᵀX + w·S + λI)⁻¹ (eq. 8, with S added).

    X is the users × items matrix of interactions, S the cosine between the items' facts weighted by inverse frequency.
    """

    def __init__(self, data: TrainingData, config: EaseConfig, device: torch.device) -> None:
        self._config = config
        offsets, items = data.fit.offsets(data.nodes.users), data.fit.item_index
        self._offsets = torch.from_numpy(offsets).to(device, torch.int32)
        self._history = torch.from_numpy(items).to(device, torch.int32)
        ones = np.ones(len(items), dtype=np.float32)
        interactions = sparse.csr_array((ones, items, offsets), shape=(data.nodes.users, data.nodes.items))
        gram = interactions.T @ interactions
        if config.facts_weight:
            gram = gram + config.facts_weight * fact_similarity(data)
        self._gram = torch.from_numpy(gram.toarray().astype(np.float32)).to(device)

    @override
    def candidates(self) -> Iterator[tuple[dict[str, Any], Scorer]]:
        for penalty in PENALTIES if self._config.penalty is None else (self._config.penalty,):
            yield {"penalty": penalty}, ItemWeightScorer(self._offsets, self._history, self._weights(penalty))

    def _weights(self, penalty: float) -> Tensor:
        penalised = self._gram.clone()
        penalised.diagonal().add_(penalty)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(penalised))
        weights = inverse.div_(inverse.diagonal().clone()).neg_()
        weights.fill_diagonal_(0.0)
        return weights


def fact_similarity(data: TrainingData) -> sparse.csr_array:
    """Cosine between items as bags of the things they share a fact with, weighted by inverse document frequency.

    Returns:
        S, shape (items, items), symmetric, its diagonal 1 where an item has any fact and 0 elsewhere.
    """
    head, tail = data.head_index, data.tail_index
    item, thing = np.concatenate([head, tail]), np.concatenate([tail, head])
    chosen = item < data.nodes.items
    shape = (data.nodes.items, data.nodes.things)
    rows = sparse.coo_array((np.ones(chosen.sum(), dtype=np.float32), (item[chosen], thing[chosen])), shape).tocsr()
    rows.data[:] = 1.0
    frequency = np.maximum(rows.sum(axis=0), 1.0)
    weighted = rows @ sparse.diags_array(np.log(data.nodes.items / frequency))
    length = np.sqrt(weighted.power(2).sum(axis=1))
    unit = sparse.diags_array(np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)) @ weighted
    return sparse.csr_array(unit @ unit.T)


METHOD = Method(
    paper="H. Steck: Embarrassingly shallow autoencoders for sparse data. WWW 2019",
    departures=("λ is chosen from a small grid on the validation split, and facts may be added to the Gram matrix",),
    config=EaseConfig,
    build=Ease,
)

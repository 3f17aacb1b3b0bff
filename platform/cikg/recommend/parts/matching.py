"""What texts alone say of who will choose what: a taste in the space of the texts, fitted by ridge regression.

    w_u = argmin ‖x_u − Z·w‖² + λ‖w‖² − 2μ·s_u·w = (ZᵀZ + λI)⁻¹ (Zᵀx_u + μ·s_u)

where the rows of Z are the items' vectors, x_u is 1 where the user chose an item, and s_u is the vector of the user's
own text, which counts as much as μ choices of an item that is described alike. Z·w_u scores the items.

An embedding that learns from choices takes back whatever a text adds to it in the same loss. So this is fitted alone,
and mixed with what was learned when both are done.
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from cikg.recommend.data.views import Array, TrainingData
from cikg.recommend.parts import linear, propagation
from cikg.recommend.parts.ranking import RankingConfig
from cikg.recommend.scorers import DotScorer

WEIGHTS = (0.1, 0.0, 0.05, 0.2, 0.3)
"""Weights that a selection tries; the first stands where nothing selects."""


class TasteConfig(RankingConfig):
    """Hyperparameters of methods that mix this with what they learn."""

    taste_weight: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Weight of a ridge regression of choices on texts; 0 leaves it out; by default found on valid",
    )
    taste_rank: int = Field(256, ge=1, description="Directions of the texts' vectors that it reads")
    taste_penalty: float = Field(10.0, gt=0, description="λ of this regression")
    profile_weight: float = Field(1.0, ge=0, description="Number of choices that a user's own text counts as")

    def taste_weights(self, taste: DotScorer) -> tuple[float, ...]:
        """The weights to choose from: all of `WEIGHTS`, unless one is given or there is nothing to weigh."""
        if self.taste_weight is not None:
            return (self.taste_weight,)
        return WEIGHTS if taste.user_vectors.any() else (0.0,)


def memory(data: TrainingData, width: int, neighbours: int) -> int:
    """Bytes that training holds, roughly: a graph with neighbours by text, and texts as float64 while they are read.

    Args:
        data: who chose what, and the texts' vectors.
        width: of an embedding.
        neighbours: of each item.
    """
    texts: int = (data.nodes.users + data.nodes.items) * data.item_profile.shape[1]
    return propagation.memory(data.nodes.total, data.edges + neighbours * data.nodes.items, width) + 2 * 8 * texts


def tastes(
    data: TrainingData, items: Array, penalty: float, device: torch.device, *, own: Array | float = 0.0
) -> DotScorer:
    """Fit every user's taste.

    Args:
        data: who chose what.
        items: Z, vectors of the items' texts, of length 1, or 0 where there is none; shape (items, rank).
        penalty: λ > 0, in choices.
        device: where the scorer will be used.
        own: μ·s, what the users' own texts add; shape (users, rank).
    """
    sums = linear.interactions(data) @ items + own
    gram = items.T @ items + penalty * np.eye(items.shape[1])
    fitted = np.linalg.solve(gram, sums.T).T
    return DotScorer(*(torch.from_numpy(each).to(device, torch.float32) for each in (fitted, items)))


def centred(vectors: Array) -> Array:
    """Without what all texts have in common; 0 where a row is unknown (not finite). Float64, shape (n, d)."""
    known: Array = np.isfinite(vectors).all(axis=1, keepdims=False) & (vectors.shape[1] > 0)
    if not known.any():
        return np.zeros(vectors.shape)
    return np.where(known[:, None], vectors - vectors[known].mean(axis=0, dtype=np.float64), 0.0)


def unit(vectors: Array) -> Array:
    """Of length 1, shape (n, d); what is 0 stays so."""
    scaled: Array = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return scaled


def beside(learned: DotScorer, taste: DotScorer, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors whose inner products are, up to a constant, the mean of both scores, each standardised over the items.

    The deviation of u·v over the items v is √(uᵀCu), where C is their covariance: no score has to be computed.

    Args:
        learned: one scorer.
        taste: the other.
        weight: of the other, from 0 to 1; shape (users,).

    Returns:
        Vectors of users and of items, as wide as both together.
    """
    users = []
    for scorer, share in ((learned, 1 - weight), (taste, weight)):
        vectors = scorer.user_vectors
        covariance = torch.cov(scorer.item_vectors.T, correction=0).reshape(vectors.shape[1], -1)
        deviation = ((vectors @ covariance) * vectors).sum(1).clamp_min(0).sqrt()
        users.append(vectors * (share / deviation.clamp_min(1e-9))[:, None])
    return torch.cat(users, dim=1), torch.cat([learned.item_vectors, taste.item_vectors], dim=1)

"""GF-CF: interactions as a signal on the item graph, passed through a low-pass filter (Shen et al., CIKM 2021)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from pydantic import Field
from scipy import sparse
from scipy.sparse.linalg import svds
from typing_extensions import override

from cikg.recommend.data.views import Array, TrainingData
from cikg.recommend.method import ClosedForm, Config, Method, Span
from cikg.recommend.parts import linear
from cikg.recommend.scorers import DotScorer, ItemWeightScorer, Scorer

RANKS = (32, 64, 128, 256)


class GfCfConfig(Config):
    """Hyperparameters of GF-CF."""

    rank: int | None = Field(
        None, ge=1, description=f"Frequencies that the ideal filter lets pass; without one, the best of {RANKS}"
    )
    low_pass_weight: float = Field(0.3, ge=0, description="α, the weight of the ideal low-pass filter")
    linear: bool = Field(True, description="Add the linear filter R̃ᵀR̃; without it, a model is two thin matrices")


class GfCf(ClosedForm):
    """s_u = x_u·(R̃ᵀR̃ + α·D^-½·V·Vᵀ·D^½), R̃ = D_U^-½·X·D_I^-½, V its right singular vectors (eq. 13)."""

    def __init__(self, data: TrainingData, config: GfCfConfig, device: torch.device) -> None:
        self._config, self._device = config, device
        if config.linear:
            linear.demand_room(data.nodes.items, "gf-cf", device)
        self._rows = linear.rows(data.fit, data.nodes.users, device)
        self._matrix = linear.interactions(data)
        self._degree = np.asarray(self._matrix.sum(axis=0))
        users = linear.inverse_power(np.asarray(self._matrix.sum(axis=1)), 0.5)
        self._normalised = linear.scaled(self._matrix, users, linear.inverse_power(self._degree, 0.5))

    @override
    def candidates(self) -> Iterator[tuple[dict[str, Any], Scorer]]:
        largest = max(1, min(self._matrix.shape) - 1)
        ranks = RANKS if self._config.rank is None else (self._config.rank,)
        tried = sorted({min(rank, largest) for rank in ranks})
        vectors = _right_singular_vectors(self._normalised, tried[-1])
        for rank in tried:
            yield {"rank": rank}, self._scorer(vectors[:, :rank])

    def _scorer(self, vectors: Array) -> Scorer:
        left = linear.inverse_power(self._degree, 0.5)[:, None] * vectors
        right = np.sqrt(self._degree)[:, None] * vectors
        if not self._config.linear:
            users, items = (np.asarray(each, dtype=np.float32) for each in (self._matrix @ left, right))
            return DotScorer(*(torch.from_numpy(each).to(self._device) for each in (users, items)))
        weights = left @ right.T
        weights *= self._config.low_pass_weight
        weights += (self._normalised.T @ self._normalised).toarray()
        return ItemWeightScorer(*self._rows, torch.from_numpy(weights.astype(np.float32)).to(self._device))


def _right_singular_vectors(matrix: sparse.csr_array, rank: int) -> Array:
    """The `rank` leading ones, as columns, the largest first; always the same.

    ARPACK begins at a fixed place, but draws anew where nothing is left to find, so a matrix of which most is wanted
    is decomposed as a whole.
    """
    users, items = matrix.shape
    if 2 * rank <= min(users, items):
        start = np.random.default_rng(0).standard_normal(min(users, items))
        _, values, vectors = svds(matrix.astype(np.float64), k=rank, v0=start)
        found: Array = vectors[np.argsort(-values)].T
    elif items <= users:
        found = np.linalg.eigh((matrix.T @ matrix).toarray().astype(np.float64)).eigenvectors[:, ::-1][:, :rank]
    else:
        found = np.linalg.svd(matrix.toarray().astype(np.float64), full_matrices=False).Vh[:rank].T
    return found


METHOD = Method(
    paper="Y. Shen, Y. Wu, Y. Zhang, C. Shan, J. Zhang, K. B. Letaief, D. Li: How powerful is graph convolution for "
    "recommendation? CIKM 2021",
    departures=("the rank is chosen from a small grid on the validation split",),
    config=GfCfConfig,
    build=GfCf,
    search={"rank": Span(16, 512, log=True), "low_pass_weight": Span(0.0, 2.0)},
)

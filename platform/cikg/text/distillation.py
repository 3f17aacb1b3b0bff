"""Semantic distillation: vectors of texts in as few numbers as keep a share of what they say.

Paper: SeeKRec's truncated singular value decomposition. By Eckart and Young (1936) no matrix of the same rank is nearer
to the vectors, in the Frobenius norm or in the spectral one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cikg.errors import InputError


@dataclass(frozen=True)
class Distilled:
    """Vectors of lower rank.

    Attributes:
        vectors: U_k·Σ_k, shape (n, rank); their inner products are those of the best approximation.
        directions: V_k, shape (dimension, rank), orthonormal; `vectors @ directions.T` is the approximation itself.
        energy: the share of the squared singular values that is kept, from 0 to 1.
    """

    vectors: NDArray[np.float64]
    directions: NDArray[np.float64]
    energy: float

    @property
    def rank(self) -> int:
        """Numbers a vector."""
        return int(self.vectors.shape[1])


def distill(vectors: NDArray[np.floating], *, rank: int | None = None, energy: float = 0.9) -> Distilled:
    """The best approximation of a lower rank.

    Args:
        vectors: A, shape (n, dimension), finite.
        rank: of the approximation; the least that keeps `energy` if None. It is never more than that of the vectors.
        energy: the share of the squared singular values to keep, where no rank is given.

    Raises:
        InputError: there is no vector but zeros.
    """
    matrix = np.asarray(vectors, dtype=np.float64)
    # A few thousand directions at most, however many vectors: AᵀA is small, and its eigenvectors are V.
    squares, directions = np.linalg.eigh(matrix.T @ matrix)
    squares, directions = squares[::-1].clip(min=0.0), directions[:, ::-1]
    total = float(squares.sum())
    if not total:
        raise InputError("there is nothing to distill: all vectors are zero", cure="Embed texts that are not empty")
    known = int((squares > squares[0] * np.finfo(np.float64).eps * max(matrix.shape)).sum())
    kept = np.cumsum(squares) / total
    wanted = int(np.searchsorted(kept, min(energy, kept[known - 1]) - 1e-12)) + 1 if rank is None else rank
    chosen = max(1, min(wanted, known))
    directions = directions[:, :chosen]
    return Distilled(matrix @ directions, directions, float(kept[chosen - 1]))

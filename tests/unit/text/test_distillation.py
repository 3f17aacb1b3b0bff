"""Truncation is the Eckart-Young optimum, as numpy's own decomposition has it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cikg.errors import InputError
from cikg.text.distillation import distill

MATRICES = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 12), st.integers(1, 8)),
    elements=st.integers(-9, 9).map(lambda value: value / 3),
).filter(np.any)


@settings(deadline=None)
@given(MATRICES, st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_no_matrix_of_the_rank_is_nearer(matrix: np.ndarray, rank: int, seed: int) -> None:
    made = distill(matrix, rank=rank)
    values = np.linalg.svd(matrix, compute_uv=False)
    rest = matrix - made.vectors @ made.directions.T
    left = (values[made.rank :] ** 2).sum()
    assert (rest**2).sum() == pytest.approx(left, abs=1e-9 * (values**2).sum())
    largest = values[made.rank] if made.rank < len(values) else 0.0
    assert np.linalg.norm(rest, 2) == pytest.approx(largest, abs=2e-7 * values[0])
    assert made.energy == pytest.approx(1 - left / (values**2).sum(), abs=1e-9)
    assert made.rank == min(rank, np.linalg.matrix_rank(matrix))
    random = np.random.default_rng(seed)
    other = matrix @ np.linalg.qr(random.normal(size=(matrix.shape[1], min(made.rank, matrix.shape[1]))))[0]
    assert (other**2).sum() <= (made.vectors**2).sum() * (1 + 1e-9), "another subspace keeps no more"
    np.testing.assert_allclose(made.directions.T @ made.directions, np.eye(made.rank), atol=1e-9)


@settings(deadline=None)
@given(MATRICES, st.floats(0.05, 1.0))
def test_the_rank_is_the_least_that_keeps_the_energy(matrix: np.ndarray, energy: float) -> None:
    made = distill(matrix, energy=energy)
    assert made.energy >= energy - 1e-9
    if made.rank > 1:
        assert distill(matrix, rank=made.rank - 1).energy < energy + 1e-9


def test_nothing_cannot_be_distilled() -> None:
    with pytest.raises(InputError, match="nothing to distill"):
        distill(np.zeros((3, 2)))

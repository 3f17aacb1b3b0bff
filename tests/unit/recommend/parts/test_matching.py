"""Tastes that texts alone give: the minimum that scipy finds, and a mean of scores that none was computed for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from cikg.recommend.data.views import Pairs, TrainingData, training_data
from cikg.recommend.parts.matching import beside, centred, tastes, unit
from cikg.recommend.scorers import DotScorer, standardise
from cikg.schema import SplitCode
from tests.unit.recommend.planted import write_snapshot

USERS, ITEMS, RANK = 5, 7, 3
CPU = torch.device("cpu")


@pytest.fixture
def data(tmp_path: Path) -> TrainingData:
    """Some choices; the last user has made none."""
    random = np.random.default_rng(1)
    chosen = [(user, item, SplitCode.TRAIN) for user in range(USERS - 1) for item in random.permutation(ITEMS)[:3]]
    return training_data(
        write_snapshot(tmp_path, sizes=(USERS, ITEMS, 0, 0), interactions=chosen), (SplitCode.TRAIN,), None
    )


def vectors(count: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(count, RANK))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_a_taste_is_the_minimum_of_what_it_says_it_minimises(data: TrainingData) -> None:
    users, items = vectors(USERS, 2), vectors(ITEMS, 3)
    found = tastes(data, items, 2.0, CPU, own=0.7 * users)
    chosen = np.zeros((USERS, ITEMS))
    chosen[data.fit.user_index, data.fit.item_index] = 1
    for user in range(USERS):

        def value(taste: np.ndarray, user: int = user) -> float:
            error = np.square(chosen[user] - items @ taste).sum()
            return float(error + 2.0 * taste @ taste - 2 * 0.7 * users[user] @ taste)

        least = minimize(value, np.zeros(RANK), tol=1e-12).x
        np.testing.assert_allclose(found.user_vectors[user], least, atol=1e-5)
    np.testing.assert_allclose(found.item_vectors, items, rtol=1e-6)


def test_a_text_counts_as_a_choice_of_an_item_described_alike(data: TrainingData) -> None:
    items, said = vectors(ITEMS, 3), np.zeros((USERS, RANK))
    said[USERS - 1] = items[4]
    by_text = tastes(data, items, 10.0, CPU, own=said)
    fit = Pairs.of(np.append(data.fit.user_index, USERS - 1), np.append(data.fit.item_index, 4))
    by_choice = tastes(dataclasses.replace(data, fit=fit), items, 10.0, CPU)
    torch.testing.assert_close(by_text.user_vectors, by_choice.user_vectors)
    assert not tastes(data, items, 10.0, CPU).user_vectors[USERS - 1].any()


def test_the_mean_of_standardised_scores_without_computing_them() -> None:
    torch.manual_seed(0)
    learned = DotScorer(torch.randn(USERS, 4), torch.randn(ITEMS, 4) + 3)
    taste = DotScorer(50 * torch.randn(USERS, RANK), torch.randn(ITEMS, RANK))
    taste.user_vectors[2] = 0
    weight = torch.tensor([0.0, 0.3, 0.0, 0.5, 1.0])
    everybody = torch.arange(USERS)
    scores = DotScorer(*beside(learned, taste, weight)).scores(everybody)
    parts = [standardise(each.scores(everybody)) for each in (learned, taste)]
    expected = (1 - weight)[:, None] * parts[0] + weight[:, None] * parts[1]
    torch.testing.assert_close(scores - scores.mean(1, keepdim=True), expected, atol=1e-5, rtol=1e-4)


def test_one_number_a_vector_will_do() -> None:
    both = beside(
        DotScorer(torch.ones(2, 1), torch.eye(3)[:, :1]),
        DotScorer(torch.ones(2, 1), torch.eye(3)[:, 1:2]),
        torch.full((2,), 0.5),
    )
    assert torch.isfinite(DotScorer(*both).scores(torch.arange(2))).all()


def test_vectors_lose_what_all_texts_have_in_common() -> None:
    vectors = np.array([[5, 1], [5, -1], [np.nan, np.nan], [5, 3]], dtype=np.float32)
    np.testing.assert_allclose(centred(vectors), [[0, 0], [0, -2], [0, 0], [0, 2]], atol=1e-6)
    np.testing.assert_allclose(unit(centred(vectors)), [[0, 0], [0, -1], [0, 0], [0, 1]], atol=1e-6)
    assert centred(np.empty((3, 0), np.float32)).shape == (3, 0)
    assert not centred(np.full((3, 2), np.nan)).any()

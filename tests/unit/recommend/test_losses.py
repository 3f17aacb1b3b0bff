from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from cikg.recommend import losses
from cikg.recommend.sampling import NegativeSampler


def test_softmax_is_torchs_cross_entropy_of_cosines() -> None:
    queries, candidates = torch.randn(4, 6), torch.randn(9, 6)
    row, target = torch.tensor([0, 1, 1, 3, 2]), torch.tensor([8, 0, 3, 3, 5])
    cosines = cosine_similarity(queries[:, None], candidates[None], dim=2)
    expected = cross_entropy(cosines[row] / 0.2, target)
    torch.testing.assert_close(losses.softmax(queries, candidates, row, target, 0.2), expected)


def test_bpr_is_minus_log_sigmoid_of_the_difference() -> None:
    loss = losses.bpr(torch.tensor([2.0, -1.0]), torch.tensor([0.5, 1.0]))
    assert float(loss) == pytest.approx((math.log(1 + math.exp(-1.5)) + math.log(1 + math.exp(2.0))) / 2)


def test_scaled_cosine_by_hand() -> None:
    turned = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])
    loss = losses.scaled_cosine(turned, torch.tensor([[5.0, 0.0]]).expand(3, 2), 2)
    assert float(loss) == pytest.approx((0 + 1 + 4) / 3)


def test_squared_length_by_hand() -> None:
    assert float(losses.squared_length(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.ones(2, 2))) == pytest.approx(
        (25 / 2 + 2) / 2
    )


def test_negatives_are_never_known_and_cover_the_rest() -> None:
    keys = torch.arange(50).repeat_interleave(30)
    values = torch.arange(30).repeat(50) + 5
    sampler = NegativeSampler(keys, values, 5, 1005)
    drawn = sampler.draw(keys.repeat(20), torch.Generator().manual_seed(0))
    assert int(drawn.min()) == 35, "30 of 1000 values are known; three rejections leave about one in a million"
    assert int(drawn.max()) == 1004
    assert len(drawn.unique()) == 970
    counts = torch.bincount(drawn - 35).float()
    assert counts.std() / counts.mean() < 2 / counts.mean().sqrt(), "uniform"


def test_occurs_answers_exactly() -> None:
    sampler = NegativeSampler(torch.tensor([0, 2, 2]), torch.tensor([4, 1, 3]), 0, 5)
    grid = torch.cartesian_prod(torch.arange(4), torch.arange(5))
    known = {tuple(pair) for pair in grid[sampler.occurs(grid[:, 0], grid[:, 1])].tolist()}
    assert known == {(0, 4), (2, 1), (2, 3)}


def test_nothing_known_rejects_nothing() -> None:
    empty = torch.empty(0, dtype=torch.int64)
    drawn = NegativeSampler(empty, empty, 2, 4).draw(torch.zeros(99, dtype=torch.int64), torch.Generator())
    assert set(drawn.tolist()) == {2, 3}

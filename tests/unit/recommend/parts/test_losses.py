"""Each loss against its formula, pair by pair, and its gradient against finite differences."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from cikg.recommend.parts import losses
from cikg.recommend.parts.sampling import NegativeSampler


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def cosines(one: Tensor, other: Tensor) -> list[list[float]]:
    return cosine_similarity(one[:, None], other[None], dim=2).tolist()


@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 40),
    st.integers(1, 30),
    st.sampled_from([0.01, 1.0, 40.0]),
    st.sampled_from([1, 64, losses.CACHED]),
    st.integers(0, 9),
)
def test_the_log_partition_is_torchs_whatever_the_block(m: int, k: int, scale: float, cached: int, seed: int) -> None:
    """Values and gradients, where scores are tiny or huge, and for blocks of one row as of all."""
    queries, candidates, weights = seeded(m, 4, seed=seed) * scale, seeded(k, 4, seed=seed + 10), seeded(m).abs()
    ours, theirs = ([each.clone().requires_grad_() for each in (queries, candidates)] for _ in range(2))
    expected = (weights * torch.logsumexp(theirs[0] @ theirs[1].T, dim=1)).sum()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, "CACHED", cached)
        found = losses.log_partition(*ours, weights)
    (3 * expected).backward()
    (3 * found).backward()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4)


def test_the_log_partition_is_in_float32_whatever_is_autocast() -> None:
    queries, candidates, weights = seeded(4, 8), seeded(5, 8, seed=1), torch.ones(4)
    with torch.autocast("cpu", torch.bfloat16):
        found = losses.log_partition(queries.bfloat16(), candidates, weights)
    exact = torch.logsumexp(queries.bfloat16().float() @ candidates.T, dim=1).sum()
    torch.testing.assert_close(found, exact)


def test_softmax_is_torchs_cross_entropy_of_cosines() -> None:
    queries, candidates = torch.randn(4, 6), torch.randn(9, 6)
    row, target = torch.tensor([0, 1, 1, 3, 2]), torch.tensor([8, 0, 3, 3, 5])
    cosines = cosine_similarity(queries[:, None], candidates[None], dim=2)
    expected = cross_entropy(cosines[row] / 0.2, target)
    torch.testing.assert_close(losses.softmax(queries, candidates, row, target, 0.2), expected)


def test_softmax_has_torchs_gradient() -> None:
    row, target = torch.tensor([0, 1, 1, 3]), torch.tensor([8, 0, 3, 5])
    ends = [(seeded(4, 6).requires_grad_(), seeded(9, 6, seed=1).requires_grad_()) for _ in range(2)]
    losses.softmax(*ends[0], row, target, 0.2).backward()
    cross_entropy(cosine_similarity(ends[1][0][:, None], ends[1][1][None], dim=2)[row] / 0.2, target).backward()
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_info_nce_counts_an_anchor_as_often_as_it_occurs() -> None:
    one, other, own = seeded(7, 5), seeded(7, 5, seed=1), torch.tensor([4, 1, 4, 6])
    table = cosines(one, other)
    expected = [-table[i][i] / 0.3 + math.log(sum(math.exp(cosine / 0.3) for cosine in table[i])) for i in own.tolist()]
    assert float(losses.info_nce(one, other, own, 0.3)) == pytest.approx(sum(expected) / 4, rel=1e-5)


def test_sampled_softmax_by_its_formula() -> None:
    positive, negative = torch.tensor([0.9, -0.2]), torch.tensor([[0.1, 0.8, -0.5], [0.0, 0.3, -1.0]])
    expected = 0.0
    for own, others in zip(positive.tolist(), negative.tolist(), strict=True):
        expected -= math.log(math.exp(own / 0.2) / sum(math.exp(each / 0.2) for each in [own, *others])) / 2
    assert float(losses.sampled_softmax(positive, negative, 0.2)) == pytest.approx(expected, rel=1e-5)


def test_bilateral_softmax_by_its_formula() -> None:
    queries, candidates = seeded(3, 5), seeded(6, 5, seed=1)
    pairs = [(0, 1), (0, 4), (2, 2), (1, 0), (0, 5)]
    row, target = torch.tensor(pairs).T
    table, expected = cosines(queries, candidates), 0.0
    for query in range(3):
        own = [table[query][item] for r, item in pairs if r == query]
        right = 0.7 * math.log(sum(math.exp(each / 0.7) for each in own) / len(own))
        everything = 0.2 * math.log(sum(math.exp(each / 0.2) for each in table[query]))
        expected += len(own) / len(pairs) * (everything - right) / 0.2
    loss = losses.bilateral_softmax(queries, candidates, row, target, temperature=0.2, positive_temperature=0.7)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_bilateral_softmax_becomes_softmax_as_every_read_counts_alike() -> None:
    queries, candidates, row, target = seeded(3, 5), seeded(6, 5, seed=1), torch.tensor([0, 0, 1, 2]), torch.arange(4)
    plain = losses.softmax(queries, candidates, row, target, 0.2)
    loss = losses.bilateral_softmax(queries, candidates, row, target, temperature=0.2, positive_temperature=1e3)
    torch.testing.assert_close(loss, plain, rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("activation", "slower"),
    [("tanh", lambda d: 1 + math.tanh(d)), ("atan", lambda d: 1 + math.atan(d)), ("relu", lambda d: max(0.0, 1 + d))],
)
def test_pairwise_softmax_by_its_formula(activation: losses.Activation, slower: object) -> None:
    positive, negative = torch.tensor([0.9, -0.2]), torch.tensor([[0.1, 0.8, -0.5], [0.0, 0.3, -0.9]])
    expected = 0.0
    for own, others in zip(positive.tolist(), negative.tolist(), strict=True):
        expected += math.log(sum(slower((each - own) / 2) ** (1 / 0.3) for each in others)) / 2
    assert float(losses.pairwise_softmax(positive, negative, 0.3, activation)) == pytest.approx(expected, rel=1e-5)


def test_direct_au_by_its_formula() -> None:
    users, items = seeded(4, 3), seeded(4, 3, seed=1)
    unit = [[row / row.norm() for row in each] for each in (users, items)]
    near = sum(float((u - i).square().sum()) for u, i in zip(*unit, strict=True)) / 4
    spread = [
        math.log(sum(math.exp(-2 * float((a - b).square().sum())) for a, b in permutations(rows, 2)) / 12)
        for rows in unit
    ]
    assert float(losses.direct_au(users, items, 0.5)) == pytest.approx(near + 0.5 * sum(spread) / 2, rel=1e-5)


def test_margin_and_cosine_contrast_by_hand() -> None:
    loss = losses.margin(torch.tensor([2.0, 0.25]), torch.tensor([0.5, 0.5]), 1.0)
    assert float(loss) == pytest.approx((0 + 1.25) / 2)
    loss = losses.cosine_contrast(torch.tensor([0.75, 0.25]), torch.tensor([[0.5, 1.0], [0.0, -1.0]]), 0.25, 3.0)
    assert float(loss) == pytest.approx((0.25 + 0.75) / 2 + 3 * (0.25 + 0.75) / 4)


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

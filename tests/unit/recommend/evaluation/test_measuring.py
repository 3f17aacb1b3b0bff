from __future__ import annotations

import math
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cikg.errors import InputError
from cikg.recommend.data.views import NodeSpace, Pairs
from cikg.recommend.evaluation import measuring as evaluation
from cikg.recommend.evaluation.measuring import judge, measure, rank
from cikg.recommend.evaluation.places import CUTOFFS, DEPTH, PER_USER, Places, parse_metric
from cikg.recommend.scorers import DotScorer, ItemWeightScorer, Scorer, StaticScorer
from tests.unit.recommend.evaluation import by_ranx


class Table(Scorer):
    """Given scores."""

    def __init__(self, table: torch.Tensor) -> None:
        self.table = table

    def scores(self, user_index: torch.Tensor) -> torch.Tensor:
        return self.table[user_index].clone()

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"table": self.table}


def random_case(users: int, items: int, seed: int = 0) -> tuple[Table, NodeSpace, Pairs, Pairs]:
    random = np.random.default_rng(seed)
    kind = random.random((users, items))
    kind[0] = 0.5  # a user without anything held out
    seen, held = np.nonzero(kind < 0.1), np.nonzero(kind > 0.9)
    scores = torch.from_numpy(random.permutation(users * items).reshape(users, items).astype(np.float32))
    return Table(scores), NodeSpace(users, items, 0, 0), Pairs.of(*seen), Pairs.of(*held)


@pytest.fixture(scope="module")
def ranx() -> Iterator[ProcessPoolExecutor]:
    """Another process, where ranx is at home."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), by_ranx.interpret) as pool:
        yield pool


def ranx_metrics(
    ranx: ProcessPoolExecutor, case: tuple[Scorer, NodeSpace, Pairs, Pairs]
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Means and per-user values as ranx gives them for the same lists."""
    scorer, nodes, seen, held = case
    truth: by_ranx.Judgements = {}
    for user, item in zip(held.user_index.tolist(), held.item_index.tolist(), strict=True):
        truth.setdefault(str(user), {})[str(item)] = 1
    lists = {
        str(user): {str(item): 1000.0 - place for place, item in enumerate(items) if item >= 0}
        for ranking in rank(scorer, nodes, seen, np.unique(held.user_index), DEPTH)
        for user, items in zip(ranking.user_index.tolist(), ranking.item_index.tolist(), strict=True)
    }
    names = [f"{kind}@{k}" for kind in PER_USER for k in CUTOFFS]
    means, each = ranx.submit(by_ranx.measure, truth, lists, names).result()
    order = sorted(truth, key=int)
    return means, {name: np.array([each[name][user] for user in order]) for name in names}


@settings(max_examples=12, deadline=None)
@given(users=st.integers(1, 30), items=st.integers(10, 250), seed=st.integers(0, 10_000))
def test_metrics_equal_ranx(ranx: ProcessPoolExecutor, users: int, items: int, seed: int) -> None:
    case = random_case(users + 1, items, seed)
    if not len(case[3]):
        return
    means, each = ranx_metrics(ranx, case)
    ours = measure(*case)
    for name, expected in means.items():
        assert ours.metrics[name] == pytest.approx(expected, abs=1e-6), name
        np.testing.assert_allclose(ours.places.per_user(name), each[name], atol=1e-6, err_msg=name)


def slow_metrics(shown: list[list[int]], truth: list[set[int]], k: int) -> dict[str, float]:
    """Each metric as its definition says, a user and a rank at a time."""
    totals = dict.fromkeys(("recall", "ndcg", "precision", "hit_rate", "mrr"), 0.0)
    for items, relevant in zip(shown, truth, strict=True):
        hits = [rank for rank, item in enumerate(items[:k], start=1) if item in relevant]
        totals["recall"] += len(hits) / len(relevant)
        totals["precision"] += len(hits) / k
        totals["hit_rate"] += bool(hits)
        totals["mrr"] += 1 / hits[0] if hits else 0
        ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))
        totals["ndcg"] += sum(1 / math.log2(rank + 1) for rank in hits) / ideal
    return {name: total / len(truth) for name, total in totals.items()}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_metrics_equal_their_definitions(data: st.DataObject) -> None:
    items = data.draw(st.integers(1, 120), label="items")
    users = data.draw(st.integers(1, 5), label="users")
    seed = data.draw(st.integers(0, 10_000), label="seed")
    random = np.random.default_rng(seed)
    truth = [set(random.choice(items, random.integers(1, items + 1), replace=False).tolist()) for _ in range(users)]
    seen = [set(np.flatnonzero(random.random(items) < 0.3).tolist()) - own for own in truth]
    order = [random.permutation(items).tolist() for _ in range(users)]
    table = torch.zeros(users, items)
    for user, items_in_order in enumerate(order):
        table[user, items_in_order] = torch.arange(items, 0, -1, dtype=torch.float32)

    def to_pairs(sets: list[set[int]]) -> Pairs:
        rows = [(user, item) for user, own in enumerate(sets) for item in sorted(own)]
        both = np.array(rows, dtype=np.int64).reshape(-1, 2)
        return Pairs.of(both[:, 0], both[:, 1])

    ours = judge(Table(table), NodeSpace(users, items, 0, 0), to_pairs(seen), to_pairs(truth))
    shown = [[item for item in own if item not in known] for own, known in zip(order, seen, strict=True)]
    for k in CUTOFFS:
        for name, value in slow_metrics(shown, truth, k).items():
            assert ours[f"{name}@{k}"] == pytest.approx(value, abs=1e-9), f"{name}@{k}"


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_the_chunk_changes_nothing(chunk: int) -> None:
    case = random_case(60, 150)
    whole, parts = measure(*case, chunk=1000), measure(*case, chunk=chunk)
    assert parts.metrics == whole.metrics
    assert parts.places.rank.tolist() == whole.places.rank.tolist()


def test_the_chunk_follows_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many items there are, a chunk's scores take the same memory; even when one user's are more than that."""
    case, sizes = random_case(60, 150), []
    table = case[0].table
    monkeypatch.setattr(case[0], "scores", lambda users: (sizes.append(len(users)), table[users].clone())[1])
    expected = judge(*case)
    for budget, users in ((150 * 8, 8), (10, 1)):
        sizes.clear()
        monkeypatch.setattr(evaluation, "SCORES_AT_ONCE", budget)
        assert judge(*case) == expected
        assert max(sizes) == users


def listed(scorer: Scorer, nodes: NodeSpace, seen: Pairs, users: list[int], k: int) -> list[list[int]]:
    return [row for part in rank(scorer, nodes, seen, np.array(users), k) for row in part.item_index.tolist()]


def test_seen_items_are_never_shown_and_short_lists_are_marked() -> None:
    seen = Pairs.of(np.array([0, 0, 0, 1]), np.array([0, 1, 2, 3]))
    lists = listed(StaticScorer(torch.arange(4.0)), NodeSpace(2, 4, 0, 0), seen, [0, 1], 10)
    assert lists == [[3, -1, -1, -1], [2, 1, 0, -1]]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_of_equal_scores_the_lower_index_comes_first(data: st.DataObject) -> None:
    """Few different scores, so that many are equal, also where the list ends: as Python's stable sort has it."""
    users, items = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 40))
    k, values = data.draw(st.integers(1, items)), data.draw(st.integers(1, 4))
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    table = torch.from_numpy(random.integers(0, values, (users, items)).astype(np.float32))
    table[torch.from_numpy(random.random((users, items)) < 0.2)] = -torch.inf
    expected = [sorted(range(items), key=lambda item, row=row: -row[item])[:k] for row in table.tolist()]
    assert evaluation.top(table, k).tolist() == expected


def test_a_score_that_is_no_number_is_refused_even_beside_equal_scores() -> None:
    table = torch.tensor([[1.0, 1.0, 1.0], [float("nan"), 1.0, 2.0]])
    with pytest.raises(InputError, match="not numbers"):
        evaluation.top(table, 2)


def test_places_of_chosen_items_are_as_if_no_others_were_held_out() -> None:
    scorer, nodes, seen, held = random_case(40, 90)
    places = measure(scorer, nodes, seen, held).places
    even = places.item_index % 2 == 0
    alone = measure(scorer, nodes, seen, Pairs(held.user_index[even], held.item_index[even])).places
    assert places.only(even).users.tolist() == alone.users.tolist()
    assert places.only(even).metrics() == alone.metrics()


def test_places_are_kept_with_a_note(tmp_path: Path) -> None:
    places = measure(*random_case(40, 90)).places
    places.save(tmp_path / "places", {"interactions": "abc"})
    again, note = Places.load(tmp_path / "places")
    assert note == {"interactions": "abc"}
    assert again.metrics() == places.metrics()


@pytest.mark.parametrize("name", ["ndcg", "ndcg@7", "gini@50", "ndcg@x", "@50"])
def test_an_unknown_metric_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="there is no metric"):
        parse_metric(name)


def test_users_with_nothing_held_out_are_left_out() -> None:
    scorer, nodes, seen, held = random_case(50, 90)
    assert 0 not in held.user_index
    assert 0 not in measure(scorer, nodes, seen, held).places.users
    nothing = measure(scorer, nodes, seen, Pairs.of(np.empty(0, np.int64), np.empty(0, np.int64)))
    assert nothing.metrics == {}
    assert not len(nothing.places.users)
    assert not len(nothing.places.per_user("ndcg@50"))


def test_coverage_gini_and_novelty_by_hand() -> None:
    """Two of four users are shown item 0 and item 1 once each, of four items; item 0 was seen by two, item 1 by one."""
    seen = Pairs.of(np.array([2, 3, 3]), np.array([0, 0, 1]))
    held = Pairs.of(np.array([0, 1]), np.array([3, 3]))
    table = torch.tensor([[9.0, 1, 0, 0], [1.0, 9, 0, 0], [0.0, 0, 0, 0], [0.0, 0, 0, 0]])
    found = judge(Table(table), NodeSpace(4, 4, 0, 0), seen, held)
    assert found["coverage@1"] == 0.5
    assert found["gini@1"] == pytest.approx(0.5)
    assert found["novelty@1"] == pytest.approx((1 + 2) / 2)
    assert found["recall@1"] == 0


@pytest.mark.parametrize("seed", range(3))
def test_item_weights_score_like_a_dense_product(seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    history = random.random((12, 7)) < 0.3
    history[3] = False
    own = Pairs.of(*np.nonzero(history))
    weights = torch.randn(7, 7)
    scorer = ItemWeightScorer(torch.from_numpy(own.offsets(12)).int(), torch.from_numpy(own.item_index).int(), weights)
    users = np.array([3, 11, 0, 3, 5])
    expected = torch.from_numpy(history[users].astype(np.float32)) @ weights
    torch.testing.assert_close(scorer.scores(torch.from_numpy(users)), expected)


def test_a_scorer_is_restored_from_its_tensors() -> None:
    scorer = DotScorer(torch.randn(3, 4), torch.randn(5, 4))
    again = Scorer.restore("DotScorer", scorer.tensors())
    assert torch.equal(again.scores(torch.arange(3)), scorer.scores(torch.arange(3)))

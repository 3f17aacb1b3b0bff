from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from cikg.graph.snapshot import Snapshot
from cikg.schema import relation_in_words
from cikg.serving import ranking
from cikg.serving.counterfactual import Served
from cikg.serving.explain import MINIMUM_SUPPORT, Explainer
from cikg.serving.lists import everyone, lists
from cikg.serving.ranking import known_items, top_k
from cikg.serving.recommend import FactReason, InterestReason, sentence
from tests import planted
from tests.unit.recommend.planted import two_tastes

USERS, ITEMS, INTERESTS = 8, 5, 4
pairs = st.sets(st.tuples(st.integers(0, USERS - 1), st.integers(0, ITEMS - 1)))
held = st.sets(st.tuples(st.integers(0, USERS - 1), st.integers(0, INTERESTS - 1)))


def snapshot(read: set[tuple[int, int]], hidden: set[tuple[int, int]], holds: set[tuple[int, int]]) -> Snapshot:
    """The part of a snapshot that explanations look at; `hidden` is the test split."""
    every = [(*pair, 0) for pair in sorted(read - hidden)] + [(*pair, 2) for pair in sorted(hidden)]
    table = np.array(every, dtype=np.int32).reshape(-1, 3)
    edges = np.array(sorted(holds), dtype=np.int32).reshape(-1, 2)
    ids = lambda number: SimpleNamespace(ids=[str(index) for index in range(number)])  # noqa: E731
    made = SimpleNamespace(
        users=ids(USERS),
        items=ids(ITEMS),
        interests=ids(INTERESTS),
        interactions=SimpleNamespace(user_index=table[:, 0], item_index=table[:, 1], split=table[:, 2].astype(np.int8)),
        has_interest=SimpleNamespace(user_index=edges[:, 0], interest_index=edges[:, 1]),
    )
    return cast("Snapshot", made)


@given(read=pairs, hidden=pairs, holds=held)
def test_the_explanation_equals_its_definition(
    read: set[tuple[int, int]], hidden: set[tuple[int, int]], holds: set[tuple[int, int]]
) -> None:
    known = read - hidden
    users, items = (grid.ravel() for grid in np.meshgrid(np.arange(USERS), np.arange(ITEMS)))
    found = Explainer(snapshot(read, hidden, holds)).explain(users, items)
    for at, (user, item) in enumerate(zip(users.tolist(), items.tolist(), strict=True)):
        best: tuple[Any, ...] | None = None
        share = sum((other, item) in known for other in range(USERS)) / USERS
        for interest in [interest for holder, interest in holds if holder == user]:
            cohort = [holder for holder, other in holds if other == interest]
            support = sum((holder, item) in known for holder in cohort)
            if support >= MINIMUM_SUPPORT and support / len(cohort) / share > 1:
                candidate = (support / len(cohort) / share, support, -interest, len(cohort))
                best = max(best, candidate) if best else candidate
        assert found.share[at] == share
        if best is None:
            assert (found.interest_index[at], found.support[at], found.cohort[at]) == (-1, 0, 0)
        else:
            assert (found.support[at], -found.interest_index[at], found.cohort[at]) == best[1:]


@given(
    scores=st.lists(st.lists(st.integers(-3, 3), min_size=ITEMS, max_size=ITEMS), min_size=USERS, max_size=USERS),
    known=pairs,
    k=st.integers(1, ITEMS + 2),
)
def test_the_best_unknown_items_equal_a_full_sort(scores: list[list[int]], known: set[tuple[int, int]], k: int) -> None:
    mask = np.zeros((USERS, ITEMS), dtype=np.int8)
    for user, item in known:
        mask[user, item] = 1
    found = top_k(np.array(scores, dtype=np.float32), sparse.csr_array(mask), k)
    for user in range(USERS):
        unknown = [item for item in range(ITEMS) if (user, item) not in known]
        expected = sorted(unknown, key=lambda item: (-scores[user][item], item))[:k]
        assert [item for item in found.item_index[user] if item >= 0] == expected


def test_a_larger_catalogue_is_scored_for_fewer_users_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelves, asked = two_tastes(tmp_path, users=30, items=40), list[int]()
    table = np.random.default_rng(0).normal(size=(30, 40))

    class Noting(planted.Neighbours):
        def scores(self, user_index: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            asked.append(len(user_index))
            scores: np.ndarray[Any, Any] = table[user_index]
            return scores

    served = Served(shelves, Noting(shelves), known_items(shelves))
    whole = [row for rows in lists(served, everyone(served), 5, {}) for row in rows]
    average = served.average()
    assert asked == [30, 30]
    asked.clear()
    monkeypatch.setattr(ranking, "SCORES_AT_ONCE", 7 * 40 + 39)
    again = Served(shelves, Noting(shelves), known_items(shelves))
    assert [row for rows in lists(again, everyone(again), 5, {}) for row in rows] == whole
    assert again.average() == pytest.approx(average)
    assert asked == [7, 7, 7, 7, 2] * 2


def test_a_score_that_is_no_number_is_never_recommended() -> None:
    scores = np.array([[np.nan, 1.0, -np.inf, 2.0]])
    found = top_k(scores, sparse.csr_array((1, 4), dtype=np.int8), 4)
    assert found.item_index.tolist() == [[3, 1, -1, -1]]


def test_sentences() -> None:
    interest = InterestReason("7", "Sea stories", 7, 20, 0.036)
    assert sentence(interest, None) == (
        "7 of 20 who share the interest “Sea stories” chose it: 35%, against 3.6% of everyone"
    )
    assert round(interest.lift, 2) == 9.72
    assert sentence(InterestReason("7", "Sea stories", 8, 97, 0.08), None).endswith(
        "8.2%, hardly more than the 8.0% of everyone"
    )
    fact = FactReason("literaryGenre", "g", "Epic", "b", "Omeros")
    assert sentence(None, fact) == "Shares “Epic” (literary genre) with “Omeros” from the history"
    assert "No single interest" in sentence(None, None)
    assert relation_in_words("http://dbpedia.org/ontology/literaryGenre") == "literary genre"
    assert relation_in_words("LAST_APPEARANCE") == "last appearance"

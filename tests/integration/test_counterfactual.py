from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cikg.errors import InputError, NotFoundError
from cikg.graph import Graph
from cikg.graph.snapshot import Snapshot, take
from cikg.serving.counterfactual import Evidence, Served, counterfactual, known_of, standardise
from cikg.serving.ranking import known_items, top_k
from cikg.settings import Settings
from tests import planted

NOTHING = Evidence()


@pytest.fixture(scope="module")
def snapshot(graph: Graph, settings: Settings) -> Snapshot:
    planted.write(graph, "test-counterfactual")
    return take(graph, "test-counterfactual", settings)


@pytest.fixture(scope="module")
def served(snapshot: Snapshot) -> Served:
    return Served(snapshot, planted.Neighbours(snapshot), known_items(snapshot))


class Weighted(planted.Neighbours):
    """The same with weights between items that no two share, so that no two items tie."""

    @property
    def weights(self) -> np.ndarray[Any, Any]:
        known = known_items(self.snapshot).toarray().astype(float)
        noise = np.random.default_rng(0).normal(0, 0.1, (known.shape[1],) * 2)
        together: np.ndarray[Any, Any] = known.T @ known + noise
        return together

    def scores(self, user_index: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        scores: np.ndarray[Any, Any] = known_items(self.snapshot).toarray()[user_index].astype(float) @ self.weights
        return scores


@pytest.fixture(scope="module")
def exact(snapshot: Snapshot) -> Served:
    """A model whose scores are a sum over the history."""
    model = Weighted(snapshot)
    return Served(snapshot, model, known_items(snapshot), lambda history: model.weights[history].sum(axis=0))


def ids(found: object) -> list[str]:
    return [change.item for change in found.items]  # type: ignore[attr-defined]


def test_nothing_changed_is_the_published_list(served: Served, snapshot: Snapshot) -> None:
    for user in ("0", "25", planted.QUIRK):
        index = np.array([list(snapshot.users.ids).index(user)])
        best = top_k(served.recommender.scores(index), served.known[index], 5).item_index[0]
        found = counterfactual(served, user, NOTHING, NOTHING, 5)
        assert ids(found) == [snapshot.items.ids[item] for item in best]
        assert [change.before for change in found.items] == [1, 2, 3, 4, 5]
        assert (found.gone, found.estimated) == ((), False)


def test_another_interest_is_another_list_and_taken_back_the_same(served: Served) -> None:
    """A gardener without gardens who loves the sea gets what lovers of the sea read."""
    before = counterfactual(served, "0", NOTHING, NOTHING, 3)
    assert ids(before)[0] == planted.missing("0")
    changed = counterfactual(served, "0", Evidence(interests=["garden"]), Evidence(interests=["sea"]), 3)
    assert changed.estimated
    assert all(item.startswith("sea") for item in ids(changed))
    assert {gone.item for gone in changed.gone} == set(ids(before)) - set(ids(changed))
    assert counterfactual(served, "0", NOTHING, NOTHING, 3) == before


def test_an_intent_counts_like_an_interest(served: Served) -> None:
    intents = counterfactual(served, "0", Evidence(intents=["gardens"]), Evidence(intents=["the sea"]), 3)
    interests = counterfactual(served, "0", Evidence(interests=["garden"]), Evidence(interests=["sea"]), 3)
    assert ids(intents) == ids(interests), "the same readers have both"


def test_an_item_taken_from_the_history_may_be_recommended(served: Served, exact: Served) -> None:
    taken = f"garden-{(sum(b'0') + 1) % planted.BOOKS}"
    for model in (served, exact):
        found = counterfactual(model, "0", Evidence(items=[taken]), NOTHING, 3)
        assert set(ids(found)[:2]) == {taken, planted.missing("0")}
        assert found.estimated == (model is served)


def test_where_the_model_sums_over_the_history_it_is_exact(exact: Served, snapshot: Snapshot) -> None:
    """Against the model itself with the changed history."""
    rng = np.random.default_rng(0)
    index = list(snapshot.users.ids).index("0")
    history = exact.known[[index]].indices
    for _ in range(10):
        taken = rng.choice(history, 2, replace=False)
        more = rng.choice(np.setdiff1d(np.arange(exact.known.shape[1]), history), 2, replace=False)
        kept = np.concatenate([np.setdiff1d(history, taken), more])
        scores = np.asarray(exact.fold_in(kept), dtype=float)  # type: ignore[misc]
        scores[kept] = -np.inf
        expected = [snapshot.items.ids[item] for item in np.argsort(-scores, kind="stable")[:4]]
        names = [[snapshot.items.ids[item] for item in part] for part in (taken, more)]
        found = counterfactual(exact, "0", Evidence(items=names[0]), Evidence(items=names[1]), 4)
        assert ids(found) == expected
        assert not found.estimated


def test_an_added_item_is_not_recommended(served: Served) -> None:
    first = ids(counterfactual(served, "0", NOTHING, NOTHING, 1))[0]
    assert first not in ids(counterfactual(served, "0", NOTHING, Evidence(items=[first]), 10))


@pytest.mark.parametrize("kind", ["interests", "intents", "items"])
def test_what_cannot_be_otherwise_is_said(served: Served, kind: str) -> None:
    own = {"interests": "garden", "intents": "gardens", "items": f"garden-{(sum(b'0') + 1) % planted.BOOKS}"}[kind]
    other = {"interests": "sea", "intents": "the sea", "items": "sea-1"}[kind]
    for without, added in ((other, None), (None, own)):
        with pytest.raises(InputError):
            counterfactual(
                served,
                "0",
                Evidence(**{kind: [without]} if without else {}),
                Evidence(**{kind: [added]} if added else {}),
                3,
            )
    with pytest.raises(NotFoundError, match="does not know 'absent'"):
        counterfactual(served, "0", Evidence(**{kind: ["absent"]}), NOTHING, 3)


def test_standardised_scores_have_mean_0_and_deviation_1() -> None:
    scores = standardise(np.random.default_rng(0).normal(3, 7, (4, 50)))
    assert scores.mean(axis=1) == pytest.approx(0, abs=1e-12)
    assert scores.std(axis=1) == pytest.approx(1)
    assert np.all(standardise(np.full((2, 3), 5.0)) == 0)


def test_what_a_model_knows_of_a_user_is_what_it_was_trained_on(served: Served, snapshot: Snapshot) -> None:
    known = known_of(served, "0")
    assert ("garden", "gardens") in known["interests"]
    assert {"gardens"} <= {identifier for identifier, _ in known["intents"]}
    history = served.known[[list(snapshot.users.ids).index("0")]].indices
    assert [identifier for identifier, _ in known["items"]] == [snapshot.items.ids[place] for place in history]
    assert planted.missing("0") not in dict(known["items"])

"""The classics against plain formulas, worked out by scipy and numpy row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cikg.errors import InputError
from cikg.graph.snapshot import Snapshot
from cikg.recommend import method
from cikg.recommend.data.views import TrainingData, training_data
from cikg.recommend.engine import train
from cikg.recommend.methods.gf_cf import GfCf, GfCfConfig
from cikg.recommend.methods.ials import Ials, IalsConfig
from cikg.recommend.methods.interests import Interests, InterestsConfig
from cikg.recommend.methods.item_knn import ItemKnn, ItemKnnConfig
from cikg.recommend.methods.rp3beta import Rp3beta, Rp3betaConfig
from cikg.recommend.methods.simplex import Simplex, SimplexConfig
from cikg.recommend.parts import linear
from cikg.recommend.scorers import Scorer
from cikg.schema import SplitCode
from cikg.settings import Settings

CPU = torch.device("cpu")


@pytest.fixture
def data(snapshot: Snapshot) -> TrainingData:
    return training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)


def matrix(data: TrainingData) -> np.ndarray:
    dense = np.zeros((data.nodes.users, data.nodes.items))
    dense[data.fit.user_index, data.fit.item_index] = 1
    return dense


def scores(scorer: Scorer, data: TrainingData) -> np.ndarray:
    return scorer.scores(torch.arange(data.nodes.users)).numpy()


def test_item_knn_is_its_formula(data: TrainingData) -> None:
    x, count = matrix(data), data.nodes.items
    weights = np.zeros((count, count))
    for i in range(count):
        for j in range(count):
            if i != j:
                weights[i, j] = (x[:, i] @ x[:, j]) / (np.sqrt(x[:, i].sum() * x[:, j].sum()) + 3)
        weights[i, weights[i] < np.sort(weights[i])[-7]] = 0
    ((_, scorer),) = ItemKnn(data, ItemKnnConfig(neighbours=7, shrinkage=3), CPU).candidates()
    np.testing.assert_allclose(scores(scorer, data), x @ weights, atol=1e-4)


def test_rp3beta_walks_three_steps(data: TrainingData) -> None:
    x, count = matrix(data), data.nodes.items
    users, items = x.sum(1), x.sum(0)
    weights = np.zeros((count, count))
    for i in range(count):
        for j in range(count):
            if i == j or not items[i] or not items[j]:
                continue
            both = np.flatnonzero(x[:, i] * x[:, j])
            weights[i, j] = sum((1 / items[i] / users[u]) ** 0.8 for u in both) / items[j] ** 0.4
    ((_, scorer),) = Rp3beta(data, Rp3betaConfig(alpha=0.8, beta=0.4), CPU).candidates()
    np.testing.assert_allclose(scores(scorer, data), x @ weights, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("interests", [False, True])
def test_ials_solves_each_row_exactly(data: TrainingData, interests: bool) -> None:
    x = matrix(data)
    if interests:  # further columns, of which nothing is recommended
        held = np.zeros((data.nodes.users, data.nodes.interests))
        held[data.interest_user_index, data.interest_index] = 1
        assert held.any()
        x = np.hstack([x, held])
    config = IalsConfig(dimension=5, unobserved_weight=0.2, penalty=0.03, rounds=2, interests=interests)
    torch.manual_seed(3)
    model = Ials(data, config, CPU)
    items = model._starts[0].double().numpy()

    def solve(x: np.ndarray, other: np.ndarray) -> np.ndarray:
        rows = []
        for row in x:
            weight = np.diag(row + 0.2)
            ridge = 0.03 * (row.sum() + 0.2 * x.shape[1]) * np.eye(5)
            rows.append(np.linalg.solve(other.T @ weight @ other + ridge, other.T @ row))
        return np.array(rows)

    for _ in range(2):
        users = solve(x, items)
        items = solve(x.T, users)
    ((chosen, scorer),) = model.candidates()
    assert chosen == {"rounds": 2}
    np.testing.assert_allclose(scores(scorer, data), (users @ items.T)[:, : data.nodes.items], atol=1e-3)


def test_several_starts_of_ials_are_the_mean_of_one_each(data: TrainingData) -> None:
    torch.manual_seed(0)
    several = Ials(data, IalsConfig(dimension=4, rounds=2, starts=3), CPU)
    ((_, mean),) = several.candidates()
    each = []
    for start in several._starts:
        one = Ials(data, IalsConfig(dimension=4, rounds=2), CPU)
        one._starts = start[None]
        ((_, scorer),) = one.candidates()
        each.append(scores(scorer, data))
    assert np.abs(each[0] - each[1]).max() > 0.01, "they end where they start from"
    np.testing.assert_allclose(scores(mean, data), np.mean(each, axis=0), atol=1e-5)


def test_gf_cf_is_its_formula_and_its_thin_form_the_ideal_filter_alone(data: TrainingData) -> None:
    x = matrix(data)
    users, items = np.maximum(x.sum(1), 1) ** -0.5, x.sum(0)
    back = np.where(items > 0, np.maximum(items, 1) ** -0.5, 0)
    normalised = users[:, None] * x * back
    vectors = np.linalg.svd(normalised)[2][:4].T
    ideal = back[:, None] * (vectors @ vectors.T) * np.sqrt(items)
    ((_, whole),) = GfCf(data, GfCfConfig(rank=4, low_pass_weight=0.7), CPU).candidates()
    np.testing.assert_allclose(scores(whole, data), x @ (normalised.T @ normalised + 0.7 * ideal), atol=1e-4)
    ((_, thin),) = GfCf(data, GfCfConfig(rank=4, linear=False), CPU).candidates()
    np.testing.assert_allclose(scores(thin, data), x @ ideal, atol=1e-4)


def test_interests_are_a_ridge_regression(data: TrainingData) -> None:
    x, held = matrix(data), np.zeros((data.nodes.users, data.nodes.interests))
    held[data.interest_user_index, data.interest_index] = 1
    weights = np.linalg.inv(held.T @ held + 2 * np.eye(data.nodes.interests)) @ held.T @ x
    ((_, scorer),) = Interests(data, InterestsConfig(penalty=2), CPU).candidates()
    np.testing.assert_allclose(scores(scorer, data), held @ weights, atol=1e-4)


def test_a_simplex_user_is_the_mean_of_a_history_and_a_vector(data: TrainingData) -> None:
    torch.manual_seed(0)
    model = Simplex(data, SimplexConfig(dimension=8, own_share=0.3), CPU)
    with torch.no_grad():
        found = model._readers()
        user = 7
        mean = model.items[torch.from_numpy(data.fit.item_index[data.fit.user_index == user])].mean(0)
        expected = 0.3 * model.users[user] + 0.7 * model.map(mean)
    torch.testing.assert_close(found[user], expected)


@pytest.mark.parametrize("name", ["ease", "item-knn", "rp3beta", "gf-cf"])
def test_matrices_that_would_not_fit_are_refused_before_anything_is_computed(
    name: str, data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "available_memory", lambda: 1000)
    with pytest.raises(InputError, match=f"{name} does not fit in memory: matrices of 40 × 40 items need 0 GiB"):
        method.find(name).build(data, method.configure(name, {}), CPU)


def test_matrices_have_to_fit_in_the_memory_of_the_gpu_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "available_memory", lambda: 2**40)
    monkeypatch.setattr(linear, "free_memory", lambda _: 16 * 2**30)
    assert linear.lack_of_room(2**15, torch.device("cuda:0")) is None
    monkeypatch.setattr(linear, "free_memory", lambda _: 15 * 2**30)
    said = linear.lack_of_room(2**15, torch.device("cuda:0"))
    assert said == "matrices of 32,768 × 32,768 items need 16 GiB, but only 15 GiB are free"


class Squares(TorchDispatchMode):
    """Counts the items × items matrices that exist at once."""

    def __init__(self, items: int) -> None:
        super().__init__()
        self._items, self.most = items, 0
        self._alive: dict[int, StorageWeakRef] = {}

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        result = function(*arguments, **options or {})
        for tensor in tree_leaves((arguments, options, result)):
            if isinstance(tensor, torch.Tensor) and tensor.shape == (self._items, self._items):
                kept = StorageWeakRef(tensor.untyped_storage())
                self._alive[kept.cdata] = kept
        self._alive = {place: kept for place, kept in self._alive.items() if not kept.expired()}
        self.most = max(self.most, len(self._alive))
        return result


def test_ease_holds_no_more_matrices_than_it_demands_room_for(snapshot: Snapshot, offline: Settings) -> None:
    with Squares(40) as squares:
        train(snapshot, "ease", settings=offline)
    assert squares.most == linear.SQUARES

from __future__ import annotations

import inspect
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch

from cikg.graph.snapshot import Snapshot
from cikg.recommend import method, methods
from cikg.recommend.data.views import training_data
from cikg.recommend.engine import train
from cikg.recommend.evaluation.measuring import evaluate
from cikg.recommend.method import Config, Gradient
from cikg.recommend.methods.ease import Ease, EaseConfig
from cikg.schema import SplitCode
from cikg.settings import Settings
from tests.unit.recommend.planted import write_snapshot

SMALL = {
    "cikgrec": {"dimension": 16, "batch_size": 128, "learning_rate": 0.02, "translation_learning_rate": 0.02},
    "lightgcn": {"dimension": 16, "batch_size": 128, "learning_rate": 0.02},
    "seekrec": {"dimension": 16, "batch_size": 128, "learning_rate": 0.02},
    "colakg": {"dimension": 16, "batch_size": 128, "learning_rate": 0.02},
}
CPU = torch.device("cpu")


def ndcg(snapshot: Snapshot, name: str, settings: Settings, **overrides: object) -> float:
    trained = train(snapshot, name, settings=settings, overrides=SMALL.get(name, {}) | overrides, epochs=30)
    return float(evaluate(trained.path, snapshot)["test"]["ndcg@10"])


@pytest.mark.parametrize("name", [name for name in methods.names() if name != "popularity"])
def test_every_method_finds_the_planted_tastes(name: str, snapshot: Snapshot, offline: Settings) -> None:
    assert ndcg(snapshot, name, offline) > 1.3 * ndcg(snapshot, "popularity", offline)


def gradient_methods() -> list[str]:
    def is_gradient(name: str) -> bool:
        build = method.find(name).build
        return inspect.isclass(build) and issubclass(build, Gradient)

    return [name for name in methods.names() if is_gradient(name)]


@pytest.mark.parametrize("name", gradient_methods())
def test_ten_steps_lower_every_loss(name: str, snapshot: Snapshot) -> None:
    data = training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)
    torch.manual_seed(0)
    model = method.find(name).build(data, method.configure(name, SMALL.get(name, {})), CPU)
    optimisers, generator = model.optimisers(), torch.Generator().manual_seed(0)
    seen: dict[str, list[float]] = defaultdict(list)
    for epoch in range(20):
        for which, loss in model.steps(epoch, generator):
            optimisers[which].zero_grad()
            loss.backward()
            optimisers[which].step()
            seen[which].append(loss.item())
    for which, values in seen.items():
        assert np.mean(values[8:10]) < np.mean(values[:2]), which
        assert np.mean(values[-2:]) < 0.9 * np.mean(values[:2]), which


@pytest.mark.parametrize("name", methods.names())
def test_every_method_cites_its_paper_and_describes_its_settings(name: str) -> None:
    found = method.find(name)
    assert len(found.paper) > 30
    assert methods.summaries()[name].endswith("."), "a list of methods shows it"
    assert len(methods.summaries()[name].split()) > 5
    assert (name in methods.searched()) == bool(found.search), "read from the file as from the method"
    assert issubclass(found.config, Config)
    for field_name, field in found.config.model_fields.items():
        assert field.description, field_name
    assert method.configure(name, {}) == found.config()


def test_ease_is_its_formula(snapshot: Snapshot) -> None:
    data = training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)
    matrix = np.zeros((60, 40))
    matrix[data.fit.user_index, data.fit.item_index] = 1
    inverse = np.linalg.inv(matrix.T @ matrix + 7 * np.eye(40))
    weights = -inverse / np.diag(inverse)[None]
    np.fill_diagonal(weights, 0)
    ((chosen, scorer),) = Ease(data, EaseConfig(penalty=7), CPU).candidates()
    assert chosen == {"penalty": 7}
    np.testing.assert_allclose(scorer.scores(torch.arange(60)).numpy(), matrix @ weights, atol=1e-4)


def test_dropout_in_ease_is_what_many_thinned_copies_teach(snapshot: Snapshot) -> None:
    """Least squares, column by column, from 10,000 copies of the histories that each lack half of the choices."""
    data = training_data(snapshot, (SplitCode.TRAIN, SplitCode.VALID), None)
    whole = np.zeros((60, 40))
    whole[data.fit.user_index, data.fit.item_index] = 1.0
    random, copies, penalty = np.random.default_rng(0), 10_000, 7.0
    gram, target = np.zeros((40, 40)), np.zeros((40, 40))
    for _ in range(copies):
        thin = whole * random.integers(0, 2, whole.shape)
        gram += thin.T @ thin / copies
        target += thin.T @ whole / copies
    expected = np.zeros((40, 40))
    for item in range(40):
        others = np.arange(40) != item
        system = gram[np.ix_(others, others)] + penalty / 4 * np.eye(39)
        expected[others, item] = np.linalg.solve(system, target[others, item]) / 2
    ((_, scorer),) = Ease(data, EaseConfig(penalty=penalty, dropout=0.5), CPU).candidates()
    np.testing.assert_allclose(scorer.tensors()["weights"].numpy(), expected, atol=0.004)


def test_ease_with_facts_reaches_items_that_nobody_has_read(snapshot: Snapshot, offline: Settings) -> None:
    plain, with_facts = (ndcg(snapshot, "ease", offline, facts_weight=weight) for weight in (0, 30))
    assert with_facts > plain + 0.1


@pytest.mark.parametrize("name", ["ease"])
def test_the_candidate_that_is_best_on_valid_is_refitted(name: str, snapshot: Snapshot, offline: Settings) -> None:
    trained = train(snapshot, name, settings=offline)
    rows = json.loads((trained.path / "curve.json").read_text())["epochs"]
    tried = {row["penalty"]: row["ndcg@50"] for row in rows if row["phase"] == "select"}
    assert len(tried) > 2
    assert trained.manifest["chosen"]["penalty"] == max(tried, key=tried.__getitem__)


DBBOOK = Path(__file__).parents[4] / "shared" / "data" / "cikgrec" / "dbbook2014"


@pytest.mark.skipif(not DBBOOK.is_dir(), reason="needs DBbook2014 in ../shared/data, which is not ours to distribute")
def test_ease_reaches_its_reference_figures_on_dbbook2014(tmp_path: Path, offline: Settings) -> None:
    """λ = 100, fitted to the whole training file: recall@50 .4222, NDCG@50 .2458, at 100 .5097 and .2655."""
    interactions = []
    for name, split in (("train", SplitCode.TRAIN), ("test", SplitCode.TEST)):
        for line in (DBBOOK / f"{name}.txt").read_text().splitlines():
            user, *items = map(int, line.split())
            held = SplitCode.VALID if split == SplitCode.TRAIN and user % 8 == 0 else split
            interactions += [(user, item, held if place == 0 else split) for place, item in enumerate(items)]
    sizes = (max(u for u, _, _ in interactions) + 1, max(i for _, i, _ in interactions) + 1, 0, 0)
    snapshot = write_snapshot(tmp_path, sizes=sizes, interactions=interactions)
    trained = train(snapshot, "ease", settings=offline, overrides={"penalty": 100})
    test = evaluate(trained.path, snapshot)["test"]
    found = {name: round(test[name], 4) for name in ("recall@50", "ndcg@50", "recall@100", "ndcg@100")}
    assert found == {"recall@50": 0.4222, "ndcg@50": 0.2458, "recall@100": 0.5097, "ndcg@100": 0.2655}

"""The test split's firewall, for every method: what is selected, and with which weights, does not depend on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cikg.graph.snapshot import Snapshot
from cikg.recommend import methods, runs
from cikg.recommend.engine import Trained, train
from cikg.recommend.evaluation.measuring import evaluate
from cikg.settings import Settings
from tests.unit.recommend.planted import two_tastes
from tests.unit.recommend.test_methods import SMALL


def quick(name: str, snapshot: Snapshot, settings: Settings, **options: object) -> Trained:
    return train(snapshot, name, settings=settings, overrides=SMALL.get(name, {}), epochs=3, **options)


def weights(trained: Trained) -> bytes:
    return (trained.path / runs.WEIGHTS).read_bytes()


@pytest.mark.parametrize("name", methods.names())
def test_permuted_test_labels_change_neither_what_is_chosen_nor_the_weights(
    name: str, tmp_path: Path, offline: Settings
) -> None:
    here, there = two_tastes(tmp_path / "a"), two_tastes(tmp_path / "a", test_seed=7)
    assert here.hash != there.hash
    one, other = (quick(name, snapshot, offline) for snapshot in (here, there))
    assert one.run_id != other.run_id, "nothing was reused"
    for what in ("chosen", "chosen_epoch", "valid"):
        assert one.manifest[what] == other.manifest[what], what
    assert weights(one) == weights(other)
    assert evaluate(one.path, here)["test"] != evaluate(other.path, there)["test"]


def test_the_same_comparison_sees_a_selection_on_test(tmp_path: Path, offline: Settings) -> None:
    """Under the paper protocol the labels do matter: were they to leak, the test above would notice."""
    pair = [
        quick("cikgrec", two_tastes(tmp_path / "a", test_seed=seed), offline, protocol="paper") for seed in (None, 7)
    ]
    curves = [runs.read_json(each.path / runs.CURVE)["epochs"] for each in pair]
    assert [row["loss"] for row in curves[0]] == [row["loss"] for row in curves[1]], "training itself sees none"
    assert [row["ndcg@50"] for row in curves[0]] != [row["ndcg@50"] for row in curves[1]]


@pytest.mark.parametrize("name", methods.names())
def test_the_same_seed_gives_the_same_scores(name: str, snapshot: Snapshot, tmp_path: Path, offline: Settings) -> None:
    elsewhere = Settings(home=tmp_path / "elsewhere", device="cpu")
    one, again = quick(name, snapshot, offline), quick(name, snapshot, elsewhere)
    assert not again.reused
    assert weights(one) == weights(again)

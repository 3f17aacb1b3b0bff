from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap

from cikg.errors import InputError
from cikg.graph.snapshot import Snapshot
from cikg.recommend import runs
from cikg.recommend.engine import train
from cikg.recommend.evaluation import comparison
from cikg.recommend.evaluation.comparison import Interval, bootstrap, compare
from cikg.recommend.evaluation.measuring import evaluate
from cikg.settings import Settings
from tests.unit.recommend.planted import two_tastes

QUICK = {"dimension": 8, "batch_size": 256, "learning_rate": 0.01}


def trained(snapshot: Snapshot, settings: Settings, method: str, **options: object) -> Path:
    path = train(snapshot, method, settings=settings, **options).path
    evaluate(path, snapshot)
    return path


@pytest.mark.parametrize("at_once", [1 << 21, 1000])
def test_intervals_are_scipys(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same draws give the same interval, however many are drawn at once and however many columns there are."""
    monkeypatch.setattr(comparison, "DRAWN_AT_ONCE", at_once)
    values = np.random.default_rng(1).gamma(0.5, 1.0, (83, 2)) - 0.3
    low, high = bootstrap(values, seed=5, resamples=700)
    for column in range(2):
        theirs = scipy_bootstrap(
            (values[:, column],), np.mean, n_resamples=700, method="percentile", rng=np.random.default_rng(5)
        ).confidence_interval
        assert (low[column], high[column]) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        low, high = bootstrap(random.normal(0.3, 1, (60, 1)), seed, resamples=400)
        covered += low[0] <= 0.3 <= high[0]
    assert 0.90 <= covered / 200 <= 0.985


def test_runs_that_differ_in_their_seed_alone_are_one_entry(snapshot: Snapshot, offline: Settings) -> None:
    options = {"overrides": QUICK, "epochs": 4}
    seeds = [trained(snapshot, offline, "cikgrec", seed=seed, **options) for seed in (2, 0, 1)]
    other = trained(snapshot, offline, "cikgrec", overrides=QUICK | {"layers": 1}, epochs=4)
    popular = trained(snapshot, offline, "popularity")
    found = compare([popular, *seeds, seeds[0], other])
    assert [entry.name for entry in found.entries] == ["popularity", "cikgrec layers=3", "cikgrec layers=1"]
    entry = found.entries[1]
    assert [manifest["seed"] for manifest in entry.manifests] == [0, 1, 2]
    values = [runs.read_json(path / runs.EVALUATION)["test"]["ndcg@20"] for path in (seeds[1], seeds[2], seeds[0])]
    assert entry.figures("ndcg@20").tolist() == pytest.approx(values)
    gap = found.differences(["ndcg@20"])[0]["ndcg@20"]
    assert gap.mean == pytest.approx(np.mean(values) - found.entries[0].figures("ndcg@20")[0])


def test_a_planted_difference_is_sure_and_none_is_not(snapshot: Snapshot, offline: Settings) -> None:
    ease, popular = trained(snapshot, offline, "ease"), trained(snapshot, offline, "popularity")
    same = trained(snapshot, offline, "popularity", seed=1, refit=False)
    better, none = compare([popular, ease, same]).differences(["recall@20", "ndcg@10"])
    assert better["recall@20"].sure
    assert 0 < better["recall@20"].low < better["recall@20"].mean < better["recall@20"].high
    assert not none["recall@20"].sure
    back = compare([ease, popular]).differences(["recall@20"])[0]["recall@20"]
    assert back.mean == pytest.approx(-better["recall@20"].mean)
    assert back.sure, "worse for sure"


def test_intervals_repeat_and_do_not_depend_on_what_else_is_compared(snapshot: Snapshot, offline: Settings) -> None:
    ease, popular = trained(snapshot, offline, "ease"), trained(snapshot, offline, "popularity")
    other = trained(snapshot, offline, "ease", overrides={"penalty": 5})
    two = compare([popular, ease]).differences(["ndcg@10"], seed=3)
    three = compare([popular, other, ease]).differences(["recall@5", "ndcg@10"], seed=3)
    gap, again = two[0]["ndcg@10"], three[1]["ndcg@10"]
    assert (gap.low, gap.high) == pytest.approx((again.low, again.high), abs=1e-12)
    assert two != compare([popular, ease]).differences(["ndcg@10"], seed=4)


def test_on_valid_nothing_needs_to_be_evaluated(snapshot: Snapshot, offline: Settings) -> None:
    paths = [train(snapshot, method, settings=offline).path for method in ("popularity", "ease")]
    found = compare(paths, "valid")
    for path, entry in zip(paths, found.entries, strict=True):
        manifest = runs.read_json(path / runs.MANIFEST)
        assert entry.figures("ndcg@50")[0] == pytest.approx(manifest["valid"]["ndcg@50"])
    with pytest.raises(InputError, match=r"has not been measured on test.*cikg evaluate popularity-planted"):
        compare(paths)


def test_what_cannot_be_compared_is_refused_with_its_reason(tmp_path: Path, offline: Settings) -> None:
    here, there = two_tastes(tmp_path / "a"), two_tastes(tmp_path / "a", test_seed=7)
    one = trained(here, offline, "popularity")
    with pytest.raises(InputError, match=rf"different snapshots, {here.hash[:16]} and {there.hash[:16]}"):
        compare([one, other := trained(there, offline, "popularity")])
    with pytest.raises(InputError, match="different splits of the interactions"):
        compare([one, other], across_snapshots=True)
    paper = trained(here, offline, "popularity", protocol="paper")
    with pytest.raises(InputError, match="different protocols, honest and paper"):
        compare([one, paper])
    with pytest.raises(InputError, match="was not selected on valid"):
        compare([paper], "valid")


def test_graphs_that_differ_in_knowledge_alone_can_be_compared(tmp_path: Path, offline: Settings) -> None:
    whole = two_tastes(tmp_path / "a")
    bare = two_tastes(tmp_path / "a", facts=False)
    assert whole.hash != bare.hash
    settings = {"overrides": {"facts_weight": 30}}
    paths = [trained(snapshot, offline, "ease", **settings) for snapshot in (bare, whole)]
    found = compare(paths, across_snapshots=True)
    assert found.snapshots == 2
    assert [entry.name for entry in found.entries] == [
        f"ease snapshot={bare.hash[:8]}",
        f"ease snapshot={whole.hash[:8]}",
    ]
    assert found.differences(["recall@20"])[0]["recall@20"].low > 0, "facts tell who likes the items that nobody read"


def test_an_interval_that_touches_zero_is_not_sure() -> None:
    assert not Interval(0.1, 0.0, 0.2).sure
    assert not Interval(0.0, math.nan, math.nan).sure

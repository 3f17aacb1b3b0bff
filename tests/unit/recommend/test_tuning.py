from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import Field

from cikg.errors import ConflictError, InputError, NotFoundError
from cikg.files import alone
from cikg.graph.snapshot import Snapshot
from cikg.recommend import engine, method, methods, tuning
from cikg.recommend.data.views import TrainingData
from cikg.recommend.method import ClosedForm, Config, Method, Span
from cikg.recommend.scorers import Scorer, StaticScorer
from cikg.recommend.tuning import best, tune
from cikg.recommend.workshop import Progress
from cikg.schema import SplitCode
from cikg.settings import Settings
from tests.unit.recommend.planted import two_tastes, write_snapshot


class AimConfig(Config):
    """Two numbers and a word."""

    height: float = Field(-3.0, description="Best at 2")
    step: int = Field(1, description="Best at 4")
    kind: str = Field("bad", description="Best if good")


class Aim(ClosedForm):
    """Ranks held-out items the higher, the nearer its settings are to a known optimum."""

    def __init__(self, data: TrainingData, config: AimConfig, device: torch.device) -> None:
        if config.height > 9:
            raise InputError("too high")
        miss = abs(config.height - 2) + abs(config.step - 4) + 3 * (config.kind != "good")
        known = torch.bincount(torch.from_numpy(data.selection.item_index), minlength=data.nodes.items)
        noise = torch.randn(data.nodes.items, generator=torch.Generator().manual_seed(3))
        self._scores = known / known.max() + noise * miss / 5

    def candidates(self) -> Iterator[tuple[dict[str, Any], Scorer]]:
        yield {}, StaticScorer(self._scores)


AIM = Method(
    paper="",
    departures=(),
    config=AimConfig,
    build=Aim,
    search={"height": Span(-5.0, 5.0), "step": Span(1, 8), "kind": ("good", "bad")},
)


@pytest.fixture
def aim(monkeypatch: pytest.MonkeyPatch) -> Method:
    """The method `aim`."""
    for module in ("cikg.recommend.method", "cikg.recommend.engine", "cikg.recommend.tuning"):
        monkeypatch.setattr(f"{module}.find", lambda _: AIM)
    return AIM


def tried(found: tuning.Tuned) -> list[tuple[dict[str, Any], float | None, str]]:
    return [(trial.settings, trial.value, trial.state) for trial in found.trials]


def test_finds_a_planted_optimum_from_a_bad_default(aim: Method, snapshot: Snapshot, offline: Settings) -> None:
    found = tune(snapshot, "aim", settings=offline, trials=40)
    assert len(found.trials) == 40
    first = found.trials[0]
    assert first.settings == {"height": -3.0, "step": 1, "kind": "bad"}, "the default is tried first"
    assert found.best.settings["kind"] == "good"
    miss = abs(found.best.settings["height"] - 2) + abs(found.best.settings["step"] - 4)
    assert miss < 2.5
    assert found.best.value > first.value
    assert found.best.value == max(trial.value for trial in found.trials)


def test_the_same_seed_tries_the_same_and_another_does_not(
    aim: Method, snapshot: Snapshot, offline: Settings, tmp_path: Path
) -> None:
    elsewhere = Settings(home=tmp_path / "elsewhere", device="cpu")
    one = tune(snapshot, "aim", settings=offline, trials=14)
    assert tried(tune(snapshot, "aim", settings=elsewhere, trials=14)) == tried(one)
    other = tune(snapshot, "aim", settings=elsewhere, trials=14, seed=1)
    assert len(other.trials) == 14, "another seed is another study"
    assert tried(other)[1:] != tried(one)[1:]


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("at", [0, 1, 6, 12])
def test_an_interrupted_tuning_goes_on_as_if_it_had_not_been(
    aim: Method, snapshot: Snapshot, offline: Settings, tmp_path: Path, at: int
) -> None:
    whole = tune(snapshot, "aim", settings=offline, trials=14)
    elsewhere = Settings(home=tmp_path / "elsewhere", device="cpu")

    def stop(done: int, known: object, standing: object) -> None:
        if done == at and standing is not None:
            raise StoppedError

    with pytest.raises(StoppedError):
        tune(snapshot, "aim", settings=elsewhere, trials=14, observer=stop)
    if at:
        assert tried(best(elsewhere, snapshot, "aim")) == tried(whole)[:at], "what was found is kept"
    assert tried(tune(snapshot, "aim", settings=elsewhere, trials=14)) == tried(whole)


def test_enough_trials_are_enough(aim: Method, snapshot: Snapshot, offline: Settings) -> None:
    found = tune(snapshot, "aim", settings=offline, trials=3)
    standings: list[object] = []
    again = tune(snapshot, "aim", settings=offline, trials=3, observer=lambda *told: standings.append(told[2]))
    assert again == found
    assert standings == [None]
    assert len(tune(snapshot, "aim", settings=offline, trials=4).trials) == 4
    assert len(tune(snapshot, "aim", settings=offline, trials=100, seconds=0).trials) == 4


def test_what_is_set_is_not_searched(aim: Method, snapshot: Snapshot, offline: Settings) -> None:
    found = tune(snapshot, "aim", settings=offline, overrides={"height": 1.5}, trials=5)
    assert {trial.settings["height"] for trial in found.trials} == {1.5}
    with pytest.raises(InputError, match="no hyperparameters to search"):
        tune(snapshot, "aim", settings=offline, overrides={"height": 1, "step": 1, "kind": "good"})


def test_a_trial_that_fails_is_noted_and_costs_nothing_else(
    aim: Method, snapshot: Snapshot, offline: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(AIM.search, "height", Span(-5.0, 25.0))
    found = tune(snapshot, "aim", settings=offline, trials=12)
    failed = [trial for trial in found.trials if trial.state == "failed"]
    assert 0 < len(failed) < 12
    assert {trial.error for trial in failed} == {"too high"}
    assert found.best.state == "complete"
    monkeypatch.setitem(AIM.search, "height", Span(10.0, 25.0))
    with pytest.raises(InputError, match=r"no trial of aim succeeded: too high"):
        tune(snapshot, "aim", settings=offline, trials=3, seed=8)


def test_trials_leave_no_weights_behind_and_no_runs_among_the_others(
    aim: Method, snapshot: Snapshot, offline: Settings
) -> None:
    tune(snapshot, "aim", settings=offline, trials=3)
    assert not offline.runs.exists()
    assert [path.name for path in (offline.home / "tuning").rglob("*") if path.is_file()] == [tuning.JOURNAL]


def test_one_process_tunes_at_a_time_and_half_a_line_is_no_harm(
    aim: Method, snapshot: Snapshot, offline: Settings
) -> None:
    tune(snapshot, "aim", settings=offline, trials=2)
    (journal,) = offline.home.rglob(tuning.JOURNAL)
    with alone(journal.parent), pytest.raises(ConflictError, match="another process is tuning aim"):
        tune(snapshot, "aim", settings=offline, trials=3)
    with journal.open("a") as file:
        file.write('{"op_code": 4, "worker')
    assert len(tune(snapshot, "aim", settings=offline, trials=3).trials) == 3
    assert len(tune(snapshot, "aim", settings=offline, trials=4).trials) == 4


def test_the_best_of_all_studies_of_a_metric_is_found_again(aim: Method, snapshot: Snapshot, offline: Settings) -> None:
    with pytest.raises(NotFoundError, match=r"has not been tuned for ndcg@50.*cikg tune aim --dataset planted"):
        best(offline, snapshot, "aim")
    studies = [tune(snapshot, "aim", settings=offline, trials=5, seed=seed) for seed in (0, 1)]
    tune(snapshot, "aim", settings=offline, trials=2, metric="recall@5")
    assert best(offline, snapshot, "aim").best.value == max(study.best.value for study in studies)
    assert len(best(offline, snapshot, "aim", "recall@5").trials) == 2


def test_tuning_sees_no_test_item(aim: Method, tmp_path: Path, offline: Settings) -> None:
    here, there = two_tastes(tmp_path / "a"), two_tastes(tmp_path / "a", test_seed=7)
    assert tried(tune(here, "aim", settings=offline, trials=6)) == tried(tune(there, "aim", settings=offline, trials=6))
    assert not list(offline.home.rglob("places-test*"))


def test_valid_does_not_choose_the_graph_where_interests_may_know_it(
    tmp_path: Path, offline: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = [
        (user, item, SplitCode.VALID if item == user else SplitCode.TRAIN) for user in range(6) for item in range(6)
    ]
    quick: dict[str, Any] = {"settings": offline, "overrides": {"dimension": 4, "layers": 1}, "epochs": 1, "trials": 2}

    def planted(*, proven: bool) -> Snapshot:
        return write_snapshot(
            tmp_path, sizes=(6, 8, 0, 1), interactions=read, has_interest=[(0, 0)], from_evidence=proven
        )

    free = tune(planted(proven=True), "lightgcn", **quick)
    assert all("graph" in trial.settings for trial in free.trials)
    assert free.warnings == ()
    unproven = planted(proven=False)
    with monkeypatch.context() as before:
        before.setattr(tuning, "_unsearched", lambda *_: [])
        older = tune(unproven, "lightgcn", **quick)
    with pytest.raises(NotFoundError, match="has not been tuned"):  # an older search may have chosen a graph
        best(offline, unproven, "lightgcn")
    found = tune(unproven, "lightgcn", **quick)
    assert [trial.settings.keys() for trial in found.trials] == [older.trials[0].settings.keys() - {"graph"}] * 2
    assert found.warnings == (
        "'graph' was not searched: interests have no evidence, and may know what is in the validation split",
    )
    assert best(offline, unproven, "lightgcn") == found
    fixed = quick | {"overrides": quick["overrides"] | {"graph": "ckg"}}
    assert {trial.settings["graph"] for trial in tune(unproven, "lightgcn", **fixed).trials} == {"ckg"}


@pytest.mark.parametrize("at", [3, 8])
def test_an_interrupted_gradient_trial_reports_every_epoch(
    at: int, snapshot: Snapshot, offline: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is given up later depends on the epochs of all trials, also on those before the checkpoint."""
    monkeypatch.setattr(tuning, "train", partial(engine.train, checkpoint_seconds=0))
    overrides = {"dimension": 4, "batch_size": 512, "translation": False, "contrast_weight": 0}
    options: dict[str, Any] = {"overrides": overrides, "epochs": 8, "patience": 8}

    def stop(done: int, known: object, standing: Progress | None) -> None:
        if done == 1 and standing is not None and standing.done == at:
            raise StoppedError

    def reported(settings: Settings) -> list[tuple[Any, dict[int, float]]]:
        (journal,) = settings.home.rglob(tuning.JOURNAL)
        (study,) = tuning._studies(journal, "ndcg@50")
        return [(trial.state, trial.intermediate_values) for trial in tuning._finished(study)]

    tune(snapshot, "cikgrec", settings=offline, trials=3, **options)
    elsewhere = Settings(home=tmp_path / "elsewhere", device="cpu")
    for _ in range(2):  # the second is interrupted at once, before it has told anything
        with pytest.raises(StoppedError):
            tune(snapshot, "cikgrec", settings=elsewhere, trials=3, observer=stop, **options)
    tune(snapshot, "cikgrec", settings=elsewhere, trials=3, **options)
    assert reported(elsewhere) == reported(offline)
    assert sorted(reported(offline)[1][1]) == list(range(1, 9))


def test_hopeless_trials_of_a_gradient_method_are_given_up(
    snapshot: Snapshot, offline: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two learning rates one learns nothing; once the median is known, it does not train to the end."""
    rates = {"learning_rate": Span(1e-9, 0.05, log=True)}
    quick = dataclasses.replace(method.find("cikgrec"), epochs=8, patience=8, search=rates)
    monkeypatch.setattr("cikg.recommend.tuning.find", lambda _: quick)
    monkeypatch.setattr("cikg.recommend.engine.find", lambda _: quick)
    overrides = {"dimension": 4, "batch_size": 512, "translation": False, "contrast_weight": 0}
    result = tune(snapshot, "cikgrec", settings=offline, overrides=overrides, trials=14)
    states = [trial.state for trial in result.trials]
    assert set(states) == {"complete", "pruned"}
    assert states[: tuning.STARTUP] == ["complete"] * tuning.STARTUP
    pruned = [trial.settings["learning_rate"] for trial in result.trials if trial.state == "pruned"]
    assert result.best.settings["learning_rate"] > max(pruned)


@pytest.mark.parametrize("name", methods.names())
def test_every_method_searches_settings_that_it_has(name: str) -> None:
    found = method.find(name)
    for setting, where in found.search.items():
        ends = (where.low, where.high) if isinstance(where, Span) else where
        for value in ends:
            assert getattr(method.configure(name, {setting: value}), setting) == value
        if isinstance(where, Span):
            assert where.low < where.high
            assert where.low > 0 or not where.log


def test_a_killed_tuning_goes_on(tmp_path: Path, snapshot: Snapshot, offline: Settings) -> None:
    script = """
import json, pathlib, sys, torch
from cikg.graph.snapshot import open_snapshot
from cikg.recommend.tuning import tune
from cikg.settings import Settings
torch.set_num_threads(1)
def tell(done, known, standing):
    print(done, standing is not None, flush=True)
tune(open_snapshot(pathlib.Path(sys.argv[1])), "cikgrec", settings=Settings(home=sys.argv[2], device="cpu"),
     observer=tell, **json.loads(sys.argv[3]))
"""
    quick: dict[str, Any] = {"overrides": {"dimension": 4, "translation": False}, "epochs": 2, "trials": 4}
    home = tmp_path / "killed"
    command = [sys.executable, "-c", script, str(snapshot.path), str(home), json.dumps(quick)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.strip() == "2 True":
                os.kill(process.pid, signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    again = tune(snapshot, "cikgrec", settings=Settings(home=home, device="cpu"), **quick)
    assert tried(again) == tried(tune(snapshot, "cikgrec", settings=offline, **quick))

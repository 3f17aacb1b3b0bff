from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cikg.errors import InputError, NotFoundError, SettingsError, SnapshotError
from cikg.graph.snapshot import Snapshot
from cikg.recommend import method, runs, stages
from cikg.recommend.data.views import TrainingData
from cikg.recommend.devices import free_memory
from cikg.recommend.engine import Trained, pick_device, train
from cikg.recommend.evaluation.comparison import compare
from cikg.recommend.evaluation.measuring import evaluate, split_digest
from cikg.recommend.evaluation.places import Places
from cikg.recommend.method import ClosedForm, Config, Gradient, Method
from cikg.recommend.scorers import StaticScorer
from cikg.recommend.workshop import Progress
from cikg.schema import SplitCode
from cikg.settings import Settings
from tests.unit.recommend.planted import two_tastes, write_snapshot

QUICK = {"dimension": 8, "batch_size": 256, "learning_rate": 0.003}
"""Slow enough steps that the best of eight epochs is a late one."""


def quick(snapshot: Snapshot, settings: Settings, **options: object) -> Trained:
    return train(snapshot, "cikgrec", settings=settings, overrides=QUICK, **({"epochs": 8} | options))


def weights(trained: Trained) -> bytes:
    return (trained.path / runs.WEIGHTS).read_bytes()


def losses(trained: Trained) -> list[object]:
    return [(row["phase"], row["loss"]) for row in json.loads((trained.path / runs.CURVE).read_text())["epochs"]]


class Constant(Gradient):
    """Each step's gradient is 1, so after n steps of plain descent the weight is start - n·rate exactly."""

    def __init__(self, *_: object) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"only": torch.optim.SGD([self.weight], lr=0.5)}

    def steps(self, epoch: int, generator: torch.Generator) -> Iterator[tuple[str, torch.Tensor]]:
        for _ in range(4):
            yield "only", self.weight * 1.0

    def scorer(self) -> StaticScorer:
        return StaticScorer(self.weight.detach() * torch.ones(40))


@pytest.fixture
def as_method(monkeypatch: pytest.MonkeyPatch) -> object:
    """Make a class trainable as the method `mine`."""

    def install(kind: type[Gradient]) -> None:
        found = Method(paper="", departures=(), config=Config, build=kind, epochs=6, patience=6)
        monkeypatch.setattr("cikg.recommend.engine.find", lambda _: found)
        monkeypatch.setattr("cikg.recommend.engine.configure", lambda *_: Config())

    return install


def test_gradients_do_not_add_up_over_steps(snapshot: Snapshot, offline: Settings, as_method: object) -> None:
    as_method(Constant)
    trained = train(snapshot, "mine", settings=offline, refit=False, patience=1)
    assert trained.manifest["chosen_epoch"] == 1, "the metric never improves, so the first epoch stays best"
    tensors, _ = runs.read_tensors(trained.path / runs.WEIGHTS)
    assert tensors["item_scores"].tolist() == [-4 * 0.5] * 40


class Peak(Constant):
    """Right after two epochs, wrong before and after: what is chosen must be the second epoch's scores."""

    def scorer(self) -> StaticScorer:
        epoch = round(float(-self.weight) / 2)
        right = torch.zeros(40)
        right[:20] = 5.0 if epoch == 2 else -5.0
        return StaticScorer(right + epoch / 100)


def test_early_stopping_restores_the_best_epoch(tmp_path: Path, offline: Settings, as_method: object) -> None:
    as_method(Peak)
    interactions = [(u, i, SplitCode.TRAIN) for u in range(5) for i in (30, 31)]
    interactions += [(u, u, SplitCode.VALID) for u in range(5)]
    snapshot = write_snapshot(tmp_path, sizes=(5, 40, 0, 0), interactions=interactions)
    seen: list[Progress] = []
    trained = train(snapshot, "mine", settings=offline, refit=False, patience=3, observer=seen.append)
    assert trained.manifest["chosen_epoch"] == 2
    assert len(seen) == 2 + 3, "three epochs without improvement, then it stops"
    tensors, _ = runs.read_tensors(trained.path / runs.WEIGHTS)
    assert tensors["item_scores"][0] > tensors["item_scores"][39]


def test_a_best_epoch_that_is_the_last_is_said_after_the_refit_too(
    snapshot: Snapshot, offline: Settings, as_method: object
) -> None:
    as_method(Constant)
    for epochs, last in ((1, True), (2, False)):
        trained = train(snapshot, "mine", settings=offline, epochs=epochs)
        assert trained.manifest["refit"]
        assert any(f"the best epoch is the last of {epochs}" in note for note in trained.manifest["notes"]) == last


class Trade(Constant):
    """First one of three items at the first place, then two of them at the fourth and fifth."""

    def scorer(self) -> StaticScorer:
        scores = torch.arange(40, 0, -1).float()  # item 0 at the first place, and so on
        scores[9:12] = torch.tensor(
            {1: [50.0, -1.0, -1.0], 2: [37.2, 37.1, -1.0]}.get(round(float(-self.weight) / 2), [-1.0] * 3)
        )
        return StaticScorer(scores)


@pytest.mark.parametrize(("metric", "epoch"), [("ndcg@5", 1), ("recall@5", 2), ("recall@5+ndcg@5", 2)])
def test_an_epoch_is_chosen_by_a_metric_or_by_a_sum(
    tmp_path: Path, offline: Settings, as_method: object, metric: str, epoch: int
) -> None:
    as_method(Trade)
    read = [(0, item, SplitCode.VALID) for item in (9, 10, 11)] + [(0, 30, SplitCode.TRAIN)]
    snapshot = write_snapshot(tmp_path, sizes=(1, 40, 0, 0), interactions=read)
    seen: list[Progress] = []
    trained = train(snapshot, "mine", settings=offline, refit=False, metric=metric, patience=3, observer=seen.append)
    assert trained.manifest["chosen_epoch"] == epoch
    assert seen[epoch - 1].metric == seen[-1].best == sum(trained.valid[each] for each in metric.split("+"))


class SignedConfig(Config):
    sign: float | None = None


class Signed(Constant):
    """Scores whose sign no loss reads: with the right one the odd items come first."""

    def __init__(self, data: object, config: SignedConfig, _: object) -> None:
        super().__init__()
        self.sign = config.sign

    def candidates(self) -> Iterator[tuple[dict[str, Any], StaticScorer]]:
        for sign in (-1.0, 1.0, -2.0) if self.sign is None else (self.sign,):
            yield {"sign": sign}, StaticScorer(sign * (torch.arange(40) % 2).float())

    def scorer(self) -> StaticScorer:
        return next(self.candidates())[1]


def test_a_setting_that_no_loss_reads_is_found_on_valid_and_fitted_again(
    tmp_path: Path, offline: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = [(0, item, SplitCode.VALID if item == 1 else SplitCode.TRAIN) for item in (1, 2, 4)]
    snapshot = write_snapshot(tmp_path, sizes=(1, 40, 0, 0), interactions=read)
    found = Method(paper="", departures=(), config=SignedConfig, build=Signed, epochs=2, patience=2)
    monkeypatch.setattr("cikg.recommend.engine.find", lambda _: found)
    monkeypatch.setattr("cikg.recommend.engine.configure", lambda *_: SignedConfig())
    for refit in (False, True):
        trained = train(snapshot, "mine", settings=offline, refit=refit)
        assert trained.manifest["chosen"] == {"sign": 1.0}
        assert trained.manifest["valid"]["recall@20"] == 1.0
        tensors, _ = runs.read_tensors(trained.path / runs.WEIGHTS)
        assert tensors["item_scores"].tolist() == [0.0, 1.0] * 20


class Diverging(Constant):
    def steps(self, epoch: int, generator: torch.Generator) -> Iterator[tuple[str, torch.Tensor]]:
        yield "only", self.weight * float("inf")


def test_a_loss_that_is_not_finite_stops_with_a_cure(snapshot: Snapshot, offline: Settings, as_method: object) -> None:
    as_method(Diverging)
    with pytest.raises(InputError, match="--set learning_rate="):
        train(snapshot, "mine", settings=offline)


def test_the_paper_protocol_does_look_at_test_and_says_so(tmp_path: Path, offline: Settings) -> None:
    trained = quick(two_tastes(tmp_path / "a"), offline, protocol="paper")
    assert trained.manifest["selected_on"] == "test"
    assert not trained.manifest["refit"]
    assert trained.valid == {}
    assert any("selected on the test split" in warning for warning in trained.manifest["warnings"])


def test_the_same_seed_gives_the_same_scores_and_another_does_not(
    snapshot: Snapshot, tmp_path: Path, offline: Settings
) -> None:
    elsewhere = Settings(home=tmp_path / "elsewhere", device="cpu")
    torch.manual_seed(99)
    one = quick(snapshot, offline)
    torch.manual_seed(5)
    again, other = quick(snapshot, elsewhere), quick(snapshot, offline, seed=1)
    assert again.run_id == one.run_id
    assert not again.reused
    assert weights(again) == weights(one)
    assert weights(other) != weights(one)


@pytest.mark.parametrize("name", ["cikgrec", "lightgcn"])
def test_mixed_precision_has_nearly_the_same_curve(name: str, snapshot: Snapshot, offline: Settings) -> None:
    options = {"settings": offline, "overrides": QUICK | {"loss": "psl", "negatives": 32}, "epochs": 6}
    exact, mixed = (train(snapshot, name, precision=precision, **options) for precision in ("float32", "mixed"))
    assert exact.run_id != mixed.run_id
    for (_, ours), (_, theirs) in zip(losses(exact), losses(mixed), strict=False):
        assert theirs == pytest.approx(ours, rel=0.02)
    assert losses(exact) != losses(mixed)
    tensors, _ = runs.read_tensors(mixed.path / runs.WEIGHTS)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_training_leaves_torchs_own_randomness_alone(snapshot: Snapshot, offline: Settings) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    quick(snapshot, offline, epochs=1)
    assert torch.equal(torch.rand(2), expected)


def test_a_finished_run_is_found_again(snapshot: Snapshot, offline: Settings) -> None:
    first = quick(snapshot, offline)
    again = quick(snapshot, offline)
    assert again.reused
    assert again.manifest == first.manifest
    assert not list(first.path.glob("checkpoint*"))


def test_a_refit_uses_the_valid_items(snapshot: Snapshot, offline: Settings) -> None:
    """Popularity counts: without a refit the train split's, with it those of train and valid."""
    splits = np.asarray(snapshot.interactions.split)
    for refit, allowed in ((False, [0]), (True, [0, 1])):
        trained = train(snapshot, "popularity", settings=offline, refit=refit)
        items = np.asarray(snapshot.interactions.item_index)[np.isin(splits, allowed)]
        tensors, _ = runs.read_tensors(trained.path / runs.WEIGHTS)
        assert tensors["item_scores"].tolist() == np.bincount(items, minlength=40).tolist()


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("phase", ["select", "refit"])
def test_an_interrupted_training_goes_on_as_if_it_had_not_been(
    snapshot: Snapshot, tmp_path: Path, offline: Settings, phase: str
) -> None:
    def stop(progress: Progress) -> None:
        if progress.phase == phase and progress.done == 4:
            raise StoppedError

    whole = quick(snapshot, offline)
    assert whole.manifest["chosen_epoch"] >= 4
    elsewhere = Settings(home=tmp_path / "elsewhere", device="cpu")
    with pytest.raises(StoppedError):
        quick(snapshot, elsewhere, checkpoint_seconds=0, observer=stop)
    seen: list[tuple[str, int]] = []
    resumed = quick(snapshot, elsewhere, checkpoint_seconds=0, observer=lambda p: seen.append((p.phase, p.done)))
    assert seen[0] == (phase, 4), "the epoch whose checkpoint was not yet written is repeated, no other"
    assert weights(resumed) == weights(whole)
    assert losses(resumed) == losses(whole)
    assert resumed.valid == whole.valid


def test_a_training_killed_as_it_saves_goes_on_with_the_same_curve(
    snapshot: Snapshot, tmp_path: Path, offline: Settings
) -> None:
    """Its third checkpoint is written whole, and not yet in its place."""
    script = """
import json, os, pathlib, signal, sys, torch
from cikg import files
from cikg.graph.snapshot import open_snapshot
from cikg.recommend.engine import train
from cikg.settings import Settings
torch.set_num_threads(1)
sync, saved = files._sync, []
def dying(path):
    sync(path)
    if path.name.startswith(".checkpoint-select"):
        saved.append(path)
        if len(saved) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
files._sync = dying
train(open_snapshot(pathlib.Path(sys.argv[1])), "cikgrec", settings=Settings(home=sys.argv[2], device="cpu"),
      overrides=json.loads(sys.argv[3]), epochs=8, checkpoint_seconds=0)
"""
    home = tmp_path / "killed"
    command = [sys.executable, "-c", script, str(snapshot.path), str(home), json.dumps(QUICK)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    (half,) = home.glob("runs/*/.checkpoint-select*")
    seen: list[int] = []
    resumed = quick(snapshot, Settings(home=home, device="cpu"), observer=lambda p: seen.append(p.done))
    whole = quick(snapshot, offline)
    assert seen[0] == 3, "it went on from the second checkpoint"
    assert weights(resumed) == weights(whole)
    assert losses(resumed) == losses(whole)
    assert not half.exists(), "what was half saved takes no room for ever"


def test_a_disk_without_room_for_a_checkpoint_leaves_the_last_one(
    snapshot: Snapshot, tmp_path: Path, offline: Settings
) -> None:
    room, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    elsewhere = Settings(home=tmp_path / "elsewhere", device="cpu")

    def fill(progress: Progress) -> None:
        if progress.done == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, most))

    try:
        with pytest.raises(OSError, match="File too large"):
            quick(snapshot, elsewhere, checkpoint_seconds=0, observer=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))
    (folder,) = elsewhere.runs.iterdir()
    assert [path.name for path in folder.glob("*checkpoint*")] == [runs.CHECKPOINT.format(phase="select")]
    seen: list[int] = []
    resumed = quick(snapshot, elsewhere, observer=lambda progress: seen.append(progress.done))
    assert seen[0] == 4, "it goes on from the checkpoint before"
    assert weights(resumed) == weights(quick(snapshot, offline))


def test_a_damaged_checkpoint_costs_time_alone(snapshot: Snapshot, tmp_path: Path, offline: Settings) -> None:
    whole = quick(snapshot, offline)
    elsewhere = Settings(home=tmp_path / "elsewhere", device="cpu")
    checkpoint = elsewhere.runs / whole.run_id / runs.CHECKPOINT.format(phase="select")
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"half a file")
    assert weights(quick(snapshot, elsewhere)) == weights(whole)


@pytest.mark.parametrize("name", [runs.MANIFEST, runs.WEIGHTS])
@pytest.mark.parametrize("damage", ["truncated", "changed", "missing"])
def test_a_damaged_run_is_refused_by_name_and_trained_anew(
    snapshot: Snapshot, offline: Settings, name: str, damage: str
) -> None:
    trained = quick(snapshot, offline, epochs=1)
    content = weights(trained)
    path = trained.path / name
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "truncated" else whole[:-20] + b"\0" * 20)
    with pytest.raises(SnapshotError, match=name):
        runs.load(trained.path)
    again = quick(snapshot, offline, epochs=1)
    assert not again.reused
    assert weights(again) == content


def test_a_loaded_run_scores_every_item_for_each_user(snapshot: Snapshot, offline: Settings) -> None:
    trained = quick(snapshot, offline)
    recommender = runs.load(trained.path)
    assert recommender.snapshot_hash == snapshot.hash
    users = np.array([0, 5, 0])
    scores = recommender.scores(users)
    assert scores.shape == (3, 40)
    assert scores.dtype == np.float32
    assert np.array_equal(scores[0], scores[2])
    own, other = scores[0][0:36:2].mean(), scores[0][1:36:2].mean()
    assert own > other


def test_evaluation_refuses_another_snapshot(tmp_path: Path, offline: Settings) -> None:
    trained = train(two_tastes(tmp_path / "a"), "popularity", settings=offline)
    with pytest.raises(InputError, match="was trained on snapshot"):
        evaluate(trained.path, two_tastes(tmp_path / "a", test_seed=7))


def test_evaluation_is_written_beside_the_run(snapshot: Snapshot, offline: Settings) -> None:
    trained = train(snapshot, "ease", settings=offline)
    result = evaluate(trained.path, snapshot)
    assert runs.read_json(trained.path / runs.EVALUATION) == result
    for split in ("valid", "test"):
        places, note = Places.load(trained.path / runs.PLACES.format(split=split))
        assert places.metrics().items() <= result[split].items()
        assert note == {"interactions": split_digest(snapshot)}
    assert result["valid"] == trained.valid
    assert {"recall@50", "ndcg@100", "coverage@20"} <= set(result["test"])


def test_what_was_measured_of_earlier_weights_is_gone(
    snapshot: Snapshot, offline: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = train(snapshot, "popularity", settings=offline)
    evaluate(trained.path, snapshot)
    (trained.path / stages.REPORT.format(metric="recall@20")).write_text("{}")
    assert train(snapshot, "popularity", settings=offline).reused
    assert compare([trained.path]).entries[0].figures("ndcg@20") > 0
    monkeypatch.setattr("cikg.recommend.engine.code_version", lambda: "1+other")
    again = train(snapshot, "popularity", settings=offline)
    assert (again.path, again.reused) == (trained.path, False)
    with pytest.raises(InputError, match=r"has not been measured on test.*cikg evaluate"):
        compare([again.path])
    assert not (again.path / runs.EVALUATION).exists()
    assert stages.measured(offline, again.run_id) is None
    assert compare([again.path], "valid").entries[0].manifests[0]["code"] == "1+other"


def test_the_manifest_says_what_was_done(snapshot: Snapshot, offline: Settings) -> None:
    manifest = quick(snapshot, offline).manifest
    assert manifest["snapshot"] == snapshot.hash
    assert manifest["config"]["dimension"] == 8
    assert manifest["seed"] == 0
    assert manifest["protocol"] == "honest"
    assert manifest["device"] == "cpu"
    assert manifest["peak_memory_mb"] > 50
    assert manifest["timings"]["total"] == pytest.approx(
        manifest["timings"]["select"] + manifest["timings"]["refit"], abs=0.01
    )
    assert 1 <= manifest["chosen_epoch"] <= 8
    assert manifest["departures"]


@pytest.mark.parametrize("splits", [[SplitCode.VALID, SplitCode.TEST], [SplitCode.TRAIN, SplitCode.TEST]])
def test_nothing_to_fit_or_to_select_on_is_said(tmp_path: Path, offline: Settings, splits: list[SplitCode]) -> None:
    snapshot = write_snapshot(tmp_path, sizes=(1, 3, 0, 0), interactions=[(0, i, s) for i, s in enumerate(splits)])
    with pytest.raises(InputError, match=r"no (training|validation) interactions"):
        train(snapshot, "popularity", settings=offline)


@pytest.mark.parametrize("name", ["lightgcn", "cikgrec", "simplex", "colakg", "seekrec", "ikgr", "mixture"])
def test_a_training_that_does_not_fit_in_memory_is_refused_before_it_begins(
    name: str, snapshot: Snapshot, offline: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cikg.recommend.devices.available_memory", lambda: 2**28)
    small = {"dimension": 8} | ({"most_epochs": 1} if name == "mixture" else {})
    train(snapshot, name, settings=offline, overrides=small, epochs=1)
    with pytest.raises(InputError, match=r"needs about \d+\.\d GiB of memory on cpu, but 0\.2 GiB are free.*dimension"):
        train(snapshot, name, settings=offline, overrides={"dimension": 10**6}, epochs=1)


def test_what_was_selected_is_gone_before_the_refit_asks_for_memory(
    snapshot: Snapshot, offline: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[StaticScorer]] = []
    alive: list[list[bool]] = []

    class Watched(ClosedForm):
        def __init__(self, data: TrainingData, *_: object) -> None:
            self._items = data.nodes.items
            alive.append([each() is not None for each in made])

        def candidates(self) -> Iterator[tuple[dict[str, Any], StaticScorer]]:
            made.append(weakref.ref(scorer := StaticScorer(torch.arange(self._items).float())))
            yield {}, scorer

    watched = Method(paper="", departures=(), config=Config, build=Watched)
    monkeypatch.setattr("cikg.recommend.engine.find", lambda _: watched)
    monkeypatch.setattr("cikg.recommend.engine.configure", lambda *_: Config())
    train(snapshot, "watched", settings=offline)
    assert alive == [[], [False]]


def test_memory_that_an_earlier_training_has_given_back_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch keeps it, and the GPU says that it is taken."""
    sizes = {"mem_get_info": (10, 100), "memory_reserved": 80, "memory_allocated": 30}
    for name, size in sizes.items():
        monkeypatch.setattr(torch.cuda, name, lambda _, size=size: size)
    assert free_memory(torch.device("cuda:0")) == 10 + 80 - 30


def test_unknown_methods_and_settings_name_the_known() -> None:
    with pytest.raises(NotFoundError, match=r"The methods are .*cikgrec, .*ease"):
        method.find("luck")
    with pytest.raises(NotFoundError, match="Did you mean 'mixture'"):
        method.find("mixtur")
    with pytest.raises(InputError, match=r"no hyperparameter 'learningrate'.*learning_rate"):
        method.configure("cikgrec", {"learningrate": "1"})
    with pytest.raises(InputError, match=r"'-1' cannot be the hyperparameter 'temperature'.*greater than 0"):
        method.configure("cikgrec", {"temperature": "-1"})
    with pytest.raises(SettingsError, match="no device 'gpu9'"):
        pick_device("gpu9")


def test_a_run_is_found_by_name_prefix_or_path(snapshot: Snapshot, offline: Settings) -> None:
    one = train(snapshot, "popularity", settings=offline)
    other = train(snapshot, "popularity", settings=offline, refit=False)
    assert runs.directory(offline, one.run_id) == one.path
    assert runs.directory(offline, str(one.path)) == one.path
    assert runs.directory(offline, other.run_id[:-4]) == other.path
    with pytest.raises(NotFoundError, match="several runs"):
        runs.directory(offline, "popularity")
    with pytest.raises(NotFoundError, match=one.run_id):
        runs.directory(offline, "bpr-mf")

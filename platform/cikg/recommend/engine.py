"""The training loop of every method: seeds, steps, early stopping, checkpoints, refit, manifest.

The test split has a firewall: what a model is built from (`TrainingData`) has no test column, and under the `honest`
protocol nothing here reads one. `paper` selects the epoch on test, as published code does, and says so in its manifest.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from cikg import __version__
from cikg.errors import InputError, SettingsError, SnapshotError
from cikg.memory import peak_memory
from cikg.recommend import distributed, runs
from cikg.recommend.data.views import TrainingData, training_data
from cikg.recommend.devices import free_memory
from cikg.recommend.evaluation.measuring import Metrics, judge, measure, split_digest
from cikg.recommend.evaluation.places import total
from cikg.recommend.fitting import Fitted, GradientFit
from cikg.recommend.method import ClosedForm, Config, Gradient, Method, configure, find
from cikg.recommend.options import Options, Precision, Protocol
from cikg.recommend.scorers import StaticScorer
from cikg.recommend.workshop import Progress, Workshop, seeded
from cikg.schema import SplitCode
from cikg.settings import Settings

if TYPE_CHECKING:
    from cikg.graph.snapshot import Snapshot

Observer = Callable[[Progress], None]


@dataclass(frozen=True)
class Trained:
    """A finished run.

    Attributes:
        run_id: its name.
        path: its directory.
        manifest: what was trained and how.
        valid: metrics on the validation split (empty under the `paper` protocol).
        reused: it was there already, made by the same code from the same snapshot and settings.
    """

    run_id: str
    path: Path
    manifest: dict[str, Any]
    valid: Metrics
    reused: bool = False


def train(
    snapshot: Snapshot,
    method: str,
    *,
    settings: Settings,
    overrides: Mapping[str, Any] | None = None,
    seed: int = 0,
    protocol: Protocol = "honest",
    refit: bool = True,
    epochs: int | None = None,
    patience: int | None = None,
    metric: str = "ndcg@50",
    precision: Precision = "float32",
    checkpoint_seconds: float = 10.0,
    observer: Observer | None = None,
) -> Trained:
    """Select on the validation split, refit, and write the run's directory.

    A repeated call returns the finished run; one that was killed goes on from its checkpoint, with the same result.

    Args:
        snapshot: the data.
        method: its file's name.
        settings: say where runs live and on which device to train.
        overrides: hyperparameters by name.
        seed: see `Options`, like the next five.
        protocol: whether to select on valid or on test.
        refit: whether to fit train and valid afterwards.
        epochs: None takes the method's own.
        patience: None takes the method's own.
        metric: what is selected on.
        precision: of gradient methods.
        checkpoint_seconds: the least time between checkpoints; changes no result.
        observer: told after every epoch or candidate.

    Raises:
        NotFoundError: there is no such method.
        InputError: a hyperparameter is wrong, the snapshot has nothing to learn from, or the loss diverged.
    """
    found, config = find(method), configure(method, overrides or {})
    options = Options(
        seed=seed,
        protocol=protocol,
        refit=refit and protocol == "honest",  # a selection on test leaves nothing to add
        epochs=found.epochs if epochs is None else epochs,
        patience=found.patience if patience is None else patience,
        metric=metric,
        precision=precision,
    )
    determining = dataclasses.asdict(options) | {"snapshot": snapshot.hash, "config": config.model_dump(mode="json")}
    run = runs.run_id(method, snapshot.dataset, determining)
    path = settings.runs / run
    device = pick_device(settings.device)
    distributed.join(device)
    if (finished := distributed.agreed(_finished(path))) is not None:
        return Trained(run, path, finished, finished["valid"], reused=True)
    task = _Task(found, config, options, device, path, checkpoint_seconds, observer or (lambda _: None))
    known = determining | {"run": run, "method": method, "dataset": snapshot.dataset}
    manifest = distributed.agreed(task.run(snapshot, known))
    return Trained(run, path, manifest, manifest["valid"])


@dataclass(frozen=True)
class _Task:
    """One method with its settings, to be fitted to one or two cuts of a snapshot."""

    method: Method
    config: Config
    options: Options
    device: torch.device
    directory: Path
    checkpoint_seconds: float
    observer: Observer

    def run(self, snapshot: Snapshot, known: dict[str, Any]) -> dict[str, Any]:
        """Select, refit and write. Returns the manifest: what is known and what was measured."""
        data = _select_on(snapshot, self.options)
        fitted, chosen = self.select(data)
        fitted = dataclasses.replace(fitted, notes=(*fitted.notes, *self._remarks(data, fitted)))
        if data.selection is not None and self.options.protocol == "honest" and not distributed.rank():
            outcome = measure(fitted.scorer, data.nodes, data.fit, data.selection)
            outcome.places.save(
                self.directory / runs.PLACES.format(split="valid"), {"interactions": split_digest(snapshot)}
            )
        if self.options.refit:
            fitted = dataclasses.replace(fitted, scorer=StaticScorer(torch.empty(0)))  # its place is the next one's
            fitted = self.refit(_refit_on(snapshot), chosen, fitted)
        warnings = [*data.warnings, *_protocol_warnings(self.options)]
        return self.write(known | {"chosen": chosen, "warnings": warnings}, fitted)

    def select(self, data: TrainingData) -> tuple[Fitted, dict[str, Any]]:
        """Fit; choose the epoch or the candidate by the selection metric. Returns what was chosen beside it."""
        model = self._build(data, self.config)
        if isinstance(model, Gradient):
            fitted = self._fit_gradient(model, data, None)
            return fitted, fitted.chosen
        return self._best_candidate(model, data)

    def refit(self, data: TrainingData, chosen: dict[str, Any], selected: Fitted) -> Fitted:
        """Fit more data with what was chosen; metrics and chosen epoch stay those of the selection."""
        model = self._build(data, self.config.model_copy(update=chosen))
        if isinstance(model, Gradient):
            return dataclasses.replace(self._fit_gradient(model, data, selected), notes=selected.notes)
        start = time.perf_counter()
        model.workshop = self._workshop.within(runs.PARTS.format(phase="refit"))
        _, scorer = next(model.candidates())
        row = {"phase": "refit", "seconds": time.perf_counter() - start}
        notes = (*selected.notes, *model.notes(chosen))
        return dataclasses.replace(selected, scorer=scorer, curve=[*selected.curve, row], notes=notes)

    def write(self, known: dict[str, Any], fitted: Fitted) -> dict[str, Any]:
        """Write the run, the manifest last. Returns the manifest."""
        if distributed.rank():
            return {}
        path = self.directory
        weights, honest = path / runs.WEIGHTS, self.options.protocol == "honest"
        runs.forget_measurements(path)
        runs.write_tensors(weights, fitted.scorer.tensors(), {"kind": type(fitted.scorer).__name__})
        runs.write_json(path / runs.CURVE, {"epochs": fitted.curve})
        manifest = known | {
            "paper": self.method.paper,
            "departures": list(self.method.departs(self.config) if self.method.departs else self.method.departures),
            "chosen_epoch": fitted.chosen_epoch,
            "selected_on": "valid" if honest else "test",
            "valid": fitted.metrics if honest else {},
            "fitted": fitted.scorer.report(),
            "notes": list(fitted.notes),
            "code": code_version(),
            "device": _describe(self.device),
            "processes": distributed.size(),
            "threads": torch.get_num_threads(),
            "timings": fitted.timings(),
            "peak_memory_mb": peak_memory_mb(self.device),
            "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "weights": runs.digest(weights),
        }
        runs.write_json(path / runs.MANIFEST, manifest)
        for checkpoint in path.glob(f"*{runs.CHECKPOINT.format(phase='*')}*"):  # and what was half saved
            checkpoint.unlink()
        for parts in path.glob(runs.PARTS.format(phase="*")):
            shutil.rmtree(parts)
        return manifest

    def _remarks(self, data: TrainingData, fitted: Fitted) -> Iterator[str]:
        """What the selection could not do, in sentences."""
        proven = {"interests": data.interests_proven, "profiles": data.profiles_proven}
        for what in () if self.options.refit else self.method.cautious:
            if not proven[what]:
                about = "interests have" if what == "interests" else "profiles of users have"
                yield f"{about} no evidence, so only a refit would use them: this run has none"
        if fitted.chosen_epoch == (most := self.options.epochs):
            yield f"the best epoch is the last of {most}: with more (--epochs) the run may still get better"

    @property
    def _workshop(self) -> Workshop:
        return Workshop(
            device=self.device,
            directory=self.directory,
            checkpoint_seconds=self.checkpoint_seconds,
            mixed=self.options.precision == "mixed",
            code=code_version(),
            observe=self.observer,
        )

    def _build(self, data: TrainingData, config: Config) -> ClosedForm | Gradient:
        build = self.method.build
        if isinstance(build, type) and issubclass(build, ClosedForm | Gradient):
            _check_memory(build.memory(data, config), self.device)
        with seeded(self.options.seed, self.device):
            return build(data, config, self.device)

    def _fit_gradient(self, model: Gradient, data: TrainingData, selected: Fitted | None) -> Fitted:
        options = self.options
        fit = GradientFit(model, data, options.seed, options.metric, options.patience, self._workshop)
        return fit.select(options.epochs) if selected is None else fit.refit(selected.chosen_epoch or 0, selected)

    def _best_candidate(self, model: ClosedForm, data: TrainingData) -> tuple[Fitted, dict[str, Any]]:
        assert data.selection is not None  # noqa: S101
        curve: list[dict[str, Any]] = []
        best: tuple[Fitted, dict[str, Any]] | None = None
        model.workshop = self._workshop.within(runs.PARTS.format(phase="select"))
        start = time.perf_counter()
        for chosen, scorer in model.candidates():
            metrics = judge(scorer, data.nodes, data.fit, data.selection)
            score = total(metrics, self.options.metric)
            now = time.perf_counter()
            curve.append({"phase": "select", "seconds": now - start, self.options.metric: score, **chosen})
            start = now
            if best is None or score > total(best[0].metrics, self.options.metric):
                best = Fitted(scorer, None, metrics, curve), chosen
            leading = total(best[0].metrics, self.options.metric)
            self.observer(Progress("select", len(curve), None, {}, score, leading, None))
            del scorer  # unless it is the best: the next takes as much memory
        assert best is not None  # noqa: S101
        fitted, chosen = best
        return dataclasses.replace(fitted, notes=tuple(model.notes(chosen))), chosen


def _select_on(snapshot: Snapshot, options: Options) -> TrainingData:
    if options.protocol == "honest":
        data = training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)
    else:
        data = training_data(snapshot, (SplitCode.TRAIN, SplitCode.VALID), SplitCode.TEST)
    if not len(data.fit):
        raise InputError(
            f"the dataset {snapshot.dataset!r} has no training interactions", cure="Import a dataset that has some"
        )
    if not data.selection:
        split, option = ("validation", "--valid-share") if options.protocol == "honest" else ("test", "--test-share")
        raise InputError(
            f"the dataset {snapshot.dataset!r} has no {split} interactions to select on",
            cure=f"Import it again with a larger {option}",
        )
    return data


def _refit_on(snapshot: Snapshot) -> TrainingData:
    return training_data(snapshot, (SplitCode.TRAIN, SplitCode.VALID), None)


def _protocol_warnings(options: Options) -> list[str]:
    if options.protocol == "paper":
        return ["selected on the test split: comparable only with published tables, and evidence of nothing else"]
    return []


def _finished(path: Path) -> dict[str, Any] | None:
    """The manifest of a whole run that this very code made, or None."""
    try:
        manifest = runs.read_json(path / runs.MANIFEST)
        whole = runs.digest(path / runs.WEIGHTS) == manifest.get("weights")
    except (SnapshotError, OSError):
        return None
    return manifest if whole and manifest.get("code") == code_version() else None


@cache
def code_version() -> str:
    """The package's version and a digest of the code that decides what a training gives."""
    directory = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*.py")):
        digest.update(path.relative_to(directory).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"


def pick_device(name: str) -> torch.device:
    """The device called `name`; `auto` takes a GPU where there is one. Of several processes each takes its own.

    Raises:
        SettingsError: it does not exist here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise SettingsError(
            f"there is no device {name!r} to train on", cure="Set CIKG_DEVICE or --device to auto, cpu or cuda"
        ) from None
    return device


def _check_memory(need: int, device: torch.device) -> None:
    """Refuse a training that would be killed for its memory after it has begun.

    Raises:
        InputError: it needs more than there is; says both.
    """
    have = free_memory(device)
    if need > have:
        raise InputError(
            f"training needs about {need / 2**30:.1f} GiB of memory on {device}, but {have / 2**30:.1f} GiB are free",
            cure="Set a smaller dimension or batch_size, or train elsewhere with --device",
        )


def _describe(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def peak_memory_mb(device: torch.device) -> float:
    """The most memory held so far: of the GPU, or of this process. In MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return peak_memory() / 2**20

"""Looks for a method's best hyperparameters on the validation split, with Optuna; test stays closed.

    <home>/tuning/<dataset>/<snapshot>/<method>/
        journal.log     every trial, appended as it happens
        runs/           the trial under way: its checkpoint

What a study tries next depends on its seed and on the trials before, and on nothing else. So a tuning that was
interrupted or killed goes on in the middle of the trial, and tries what it would have tried.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState
from typing_extensions import override

from cikg.errors import CikgError, ConflictError, InputError, NotFoundError
from cikg.files import alone
from cikg.recommend.engine import train
from cikg.recommend.evaluation.places import total
from cikg.recommend.method import Search, Span, configure, find
from cikg.recommend.methods import nothing_to_search
from cikg.recommend.workshop import Progress
from cikg.settings import Settings

if TYPE_CHECKING:
    from cikg.graph.snapshot import Snapshot

JOURNAL = "journal.log"
STARTUP, WARMUP = 5, 3
"""Trials, and epochs of a trial, before any is given up for being worse than the median of others at the same epoch."""

GRAPH = "graph"
"""The setting that says whether a model sees interests."""
UNSEARCHED = "unsearched"
"""Where a study notes what it must not search."""

DONE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True)
class Trial:
    """One configuration that was tried.

    Attributes:
        settings: hyperparameters by name: those fixed and those chosen.
        value: the metric on valid, the best of all epochs; None where training failed.
        state: `complete`, `pruned` (given up early) or `failed`.
        seconds: how long it took.
        error: why it failed.
    """

    settings: dict[str, Any]
    value: float | None
    state: str
    seconds: float
    error: str | None = None


@dataclass(frozen=True)
class Tuned:
    """What is known after a tuning.

    Attributes:
        method: its name.
        metric: what was looked for.
        best: the best trial that was completed.
        trials: all of them, in order.
        warnings: what people should know of the search.
    """

    method: str
    metric: str
    best: Trial
    trials: tuple[Trial, ...]
    warnings: tuple[str, ...] = ()


Observer = Callable[[int, Tuned | None, Progress | None], None]
"""Told how many trials are done, what is known so far, and where the trial under way stands."""


def tune(
    snapshot: Snapshot,
    method: str,
    *,
    settings: Settings,
    overrides: Mapping[str, Any] | None = None,
    trials: int = 50,
    seconds: float | None = None,
    seed: int = 0,
    metric: str = "ndcg@50",
    epochs: int | None = None,
    patience: int | None = None,
    observer: Observer | None = None,
) -> Tuned:
    """Try configurations until there are enough trials or time is up; go on where an earlier call stopped.

    The first trial is the method as it is by default, where that lies in what is searched. The graph is not searched
    where interests may know the validation split, which would favour the graphs that have them.

    Args:
        snapshot: the data.
        method: its file's name.
        settings: say where things live and on which device to train.
        overrides: hyperparameters that are set and not searched.
        trials: how many there should be, counting those of earlier calls with the same arguments.
        seconds: begin no other trial after this time.
        seed: of trainings and of what is tried.
        metric: what to look for, on valid.
        epochs: see `engine.train`.
        patience: see `engine.train`.
        observer: told of progress.

    Raises:
        InputError: the method has nothing to search, or no trial succeeded.
        ConflictError: another process is tuning the same.
    """
    fixed = dict(overrides or {})
    unsearched = _unsearched(snapshot, method)
    search = {name: where for name, where in find(method).search.items() if name not in {*fixed, *unsearched}}
    configure(method, fixed)
    if not search:
        raise nothing_to_search(method)
    options = {"seed": seed, "metric": metric, "epochs": epochs, "patience": patience}
    folder = _folder(settings, snapshot, method)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _only_here(folder, method):
        study = _study(folder, metric, {"fixed": fixed, **options} | ({UNSEARCHED: unsearched} if unsearched else {}))
        _first(study, method, search)
        tuning = _Tuning(snapshot, method, fixed, search, options, study, settings.model_copy(update={"home": folder}))
        begun, tell = time.monotonic(), observer or (lambda *_: None)
        while (done := len(tuning.finished())) < trials and (seconds is None or time.monotonic() - begun < seconds):
            tell(done, tuning.known(), None)
            tuning.try_one(lambda standing: tell(done, tuning.known(), standing))
        tell(done, tuning.known(), None)
    return tuning.tuned()


def best(settings: Settings, snapshot: Snapshot, method: str, metric: str = "ndcg@50") -> Tuned:
    """The best of all tunings of a method for this metric, on this very snapshot.

    On another snapshot the splits may be others, and what was valid there may be test here. A study that searched what
    must not be searched here does not count.

    Raises:
        NotFoundError: there is none.
    """
    journal = _folder(settings, snapshot, method) / JOURNAL
    unsearched = _unsearched(snapshot, method)
    studies = (study for study in _studies(journal, metric) if study.user_attrs.get(UNSEARCHED, []) == unsearched)
    known = [_tuned(method, metric, study) for study in studies]
    found = [tuned for tuned in known if tuned is not None]
    if not found:
        raise NotFoundError(
            f"{method} has not been tuned for {metric} on the snapshot {snapshot.hash[:16]}",
            cure=f"Tune it with `cikg tune {method} --dataset {snapshot.dataset}`",
        )
    return max(found, key=lambda tuned: tuned.best.value or 0.0)


@dataclass(frozen=True)
class _Tuning:
    """A study and what its trials train."""

    snapshot: Snapshot
    method: str
    fixed: dict[str, Any]
    search: dict[str, Search]
    options: dict[str, Any]
    study: optuna.Study
    settings: Settings

    def finished(self) -> list[FrozenTrial]:
        """All trials but those that were interrupted."""
        return _finished(self.study)

    def known(self) -> Tuned | None:
        """What is known, once a trial is complete."""
        return _tuned(self.method, self.options["metric"], self.study)

    def tuned(self) -> Tuned:
        """What is known.

        Raises:
            InputError: no trial was completed.
        """
        known = self.known()
        if known is None:
            errors = [trial.user_attrs.get("error") for trial in self.finished()]
            raise InputError(
                f"no trial of {self.method} succeeded: {errors[0] if errors else '--seconds left no time for one'}"
            )
        return known

    def try_one(self, observe: Callable[[Progress], None]) -> None:
        """Choose a configuration, train it on train, and note what valid says."""
        seed = np.random.SeedSequence([self.options["seed"], len(self.finished())]).generate_state(1)
        self.study.sampler = optuna.samplers.TPESampler(seed=int(seed[0]))
        trial = self.study.ask()
        chosen = self.fixed | {name: _suggest(trial, name, where) for name, where in self.search.items()}
        trial.set_user_attr("settings", chosen)
        value, state = None, TrialState.FAIL
        begun = time.monotonic()
        try:
            value, state = self._value(trial, chosen, observe)
        except CikgError as error:
            trial.set_user_attr("error", str(error))
        trial.set_user_attr("seconds", round(time.monotonic() - begun, 3))
        self.study.tell(trial, value, state)
        shutil.rmtree(self.settings.runs, ignore_errors=True)

    def _value(
        self, trial: optuna.Trial, chosen: dict[str, Any], observe: Callable[[Progress], None]
    ) -> tuple[float | None, TrialState]:
        for earlier in self.finished():
            if earlier.user_attrs.get("settings") == chosen and earlier.state == TrialState.COMPLETE:
                return earlier.value, TrialState.COMPLETE

        told = self._told_before(chosen)

        def tell_again(before: int | None = None) -> None:
            for step in sorted(step for step in told if before is None or step < before):
                trial.report(told.pop(step), step)

        def watch(standing: Progress) -> None:
            observe(standing)
            if standing.loss and standing.best is not None:
                tell_again(standing.done)
                told.pop(standing.done, None)
                trial.report(standing.best, standing.done)
                if trial.should_prune():
                    raise optuna.TrialPruned

        try:
            done = train(
                self.snapshot,
                self.method,
                settings=self.settings,
                overrides=chosen,
                refit=False,
                observer=watch,
                **self.options,
            )
        except optuna.TrialPruned:
            return None, TrialState.PRUNED
        tell_again()
        return total(done.valid, self.options["metric"]), TrialState.COMPLETE

    def _told_before(self, chosen: dict[str, Any]) -> dict[int, float]:
        """What the same trial reported until it was interrupted, by epoch: a resumed training repeats none of it."""
        told: dict[int, float] = {}
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.FAIL,)):
            if "seconds" not in trial.user_attrs and trial.user_attrs.get("settings") == chosen:
                told |= trial.intermediate_values
        return told


def _suggest(trial: optuna.Trial, name: str, where: Search) -> Any:
    if not isinstance(where, Span):
        return trial.suggest_categorical(name, where)
    if isinstance(where.low, int) and isinstance(where.high, int):
        return trial.suggest_int(name, where.low, where.high, log=where.log)
    return trial.suggest_float(name, where.low, where.high, log=where.log)


def _unsearched(snapshot: Snapshot, method: str) -> list[str]:
    """Settings that a search on valid must not choose: the graph, where interests may know what is in valid."""
    proven = bool(np.all(snapshot.has_interest.from_evidence))
    return [] if proven or GRAPH not in find(method).search else [GRAPH]


def _folder(settings: Settings, snapshot: Snapshot, method: str) -> Path:
    return settings.home / "tuning" / snapshot.dataset / snapshot.hash[:16] / method


class _Unlocked(JournalFileOpenLock):
    """No lock on the journal: the folder's is held, and falls with its process however that ends."""

    @override
    def acquire(self) -> bool:
        return True

    @override
    def release(self) -> None:
        pass


@contextmanager
def _only_here(folder: Path, method: str) -> Iterator[None]:
    """Keep others out, and cut off a line of the journal that was not written to its end.

    Raises:
        ConflictError: another process is in.
    """
    try:
        with alone(folder, wait=False):
            journal = folder / JOURNAL
            if journal.exists():
                whole = journal.read_bytes().rfind(b"\n") + 1
                os.truncate(journal, whole)
            yield
    except BlockingIOError:
        raise ConflictError(
            f"another process is tuning {method} on this snapshot", cure="Wait until it has finished"
        ) from None


def _storage(journal: Path) -> JournalStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return JournalStorage(JournalFileBackend(str(journal), lock_obj=_Unlocked(str(journal))))


def _study(folder: Path, metric: str, parts: dict[str, Any]) -> optuna.Study:
    """The study of exactly these arguments. What was under way when it was interrupted will be chosen again."""
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]
    study = optuna.create_study(
        storage=_storage(folder / JOURNAL),
        study_name=f"{metric}/{digest}",
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=WARMUP),
    )
    if UNSEARCHED in parts:
        study.set_user_attr(UNSEARCHED, parts[UNSEARCHED])
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _studies(journal: Path, metric: str) -> Iterator[optuna.Study]:
    if not journal.exists():
        return
    storage = _storage(journal)
    for name in optuna.get_all_study_names(storage):
        if name.startswith(f"{metric}/"):
            yield optuna.load_study(study_name=name, storage=storage)


def _first(study: optuna.Study, method: str, search: Mapping[str, Search]) -> None:
    """Have the default configuration tried first, if it can be found by searching."""
    fields = find(method).config.model_fields
    default = {name: fields[name].default for name in search}
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    if not _finished(study) and not waiting and all(_holds(where, default[name]) for name, where in search.items()):
        study.enqueue_trial(default)


def _holds(where: Search, value: Any) -> bool:
    if isinstance(where, Span):
        return isinstance(value, int | float) and where.low <= value <= where.high
    return value in where


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    return [trial for trial in study.get_trials(deepcopy=False, states=DONE) if "seconds" in trial.user_attrs]


def _tuned(method: str, metric: str, study: optuna.Study) -> Tuned | None:
    trials = tuple(_trial(trial) for trial in _finished(study))
    complete = [trial for trial in trials if trial.state == "complete"]
    if not complete:
        return None
    return Tuned(method, metric, max(complete, key=lambda trial: trial.value or 0.0), trials, _warnings(study))


def _warnings(study: optuna.Study) -> tuple[str, ...]:
    return tuple(
        f"{name!r} was not searched: interests have no evidence, and may know what is in the validation split"
        for name in study.user_attrs.get(UNSEARCHED, ())
    )


def _trial(trial: FrozenTrial) -> Trial:
    state = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}.get(trial.state, "failed")
    known = trial.user_attrs
    return Trial(known["settings"], trial.value, state, known["seconds"], known.get("error"))

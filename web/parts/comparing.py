"""Runs side by side: which were chosen, what is known of them at once, and what takes a moment to measure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from flask import url_for
from markupsafe import Markup

from cikg.errors import CikgError, InputError, NotFoundError
from cikg.graph import Graph
from cikg.recommend import runs
from cikg.recommend.evaluation.charts import lines
from cikg.recommend.evaluation.comparison import Split, compare
from cikg.recommend.evaluation.groups import By
from cikg.recommend.evaluation.report import AXES, Question, drawing, is_kept, kept
from cikg.settings import Settings
from web.parts.runs import training

FEWEST, MOST = 2, 12
MOST_ENTRIES = 4
"""Methods or settings beside each other; seeds of one are one."""
FIGURES, GROUPS = "figures", "groups"


@dataclass(frozen=True)
class Chosen:
    """A run that was chosen; `first` is the address where all others are compared with it."""

    run: str
    method: str
    first: str


@dataclass(frozen=True)
class ComparePage:
    """Runs side by side.

    Attributes:
        dataset: their dataset.
        chosen: the runs; all others are compared with the first.
        split: what they are measured on.
        other: the address of the same on the other split.
        refusal: why they cannot be compared, and what to do; None where they can.
        across: where they would be compared all the same, if they differ in knowledge alone.
        report: figures, differences and settings; None where that is not known yet.
        shared: of the settings that differ, those that all of them have.
        own: those that only some have.
        curves: a picture a metric that was watched in training.
        groups: a picture for users and for items, by how much is known of them; None where that is not known yet.
        here: where this page is, to which `&show=figures` or `&show=groups` adds what takes a moment.
    """

    template: ClassVar[str] = "compare.html"
    dataset: str
    chosen: tuple[Chosen, ...]
    split: Split
    other: str
    refusal: str | None
    across: str
    report: dict[str, Any] | None
    shared: dict[str, list[Any]]
    own: dict[str, list[Any]]
    curves: dict[str, str]
    groups: dict[str, str] | None
    here: str


def load(
    graph: Graph,
    settings: Settings,
    dataset: str,
    names: Sequence[str],
    *,
    split: str = "",
    across: bool = False,
    show: Sequence[str] = (),
) -> ComparePage:
    """Put runs side by side.

    Args:
        graph: the graph.
        settings: say where runs are.
        dataset: their dataset.
        names: of the runs; the first is what others are compared with.
        split: `test` or `valid`; test where all were measured there, unless it is said.
        across: see `comparison.compare`.
        show: what to measure if it is not known yet: `figures`, `groups`.
    """
    names = list(dict.fromkeys(names))
    try:
        question = ask(graph, settings, dataset, names, split=split, across=across)
    except CikgError as error:
        return _refused(dataset, names, "valid" if split == "valid" else "test", error)
    found, pictures = None, None
    try:
        check(question)
        if FIGURES in show or is_kept(question):
            found = kept(settings, question)
        if GROUPS in show or all(is_kept(replace(question, by=by)) for by in AXES):
            pictures = _pictures(settings, question)
    except CikgError as error:
        return _refused(dataset, names, question.split, error)
    methods = [runs.read_json(path / runs.MANIFEST)["method"] for path in question.paths]
    return ComparePage(
        dataset=dataset,
        chosen=tuple(
            Chosen(name, method, _address(dataset, _led_by(names, name), question.split, across=across))
            for name, method in zip(names, methods, strict=True)
        ),
        split=question.split,
        other=_address(dataset, names, "valid" if question.split == "test" else "test", across=across),
        refusal=None,
        across="",
        report=found,
        **_settings(found),
        curves=_curves(settings, found) if found else {},
        groups=pictures,
        here=_address(dataset, names, question.split, across=across),
    )


def ask(
    graph: Graph, settings: Settings, dataset: str, names: Sequence[str], *, split: str = "", across: bool = False
) -> Question:
    """The question that a choice of runs is.

    Raises:
        InputError: too few or too many are chosen.
        NotFoundError: there is no such run of this dataset, or its files are not on this machine.
    """
    if not FEWEST <= len(names) <= MOST:
        raise InputError(
            f"{len(names) or 'no'} run{'s are' if len(names) != 1 else ' is'} chosen",
            cure=f"Choose {FEWEST} to {MOST_ENTRIES} of the listed models; runs that differ in seed alone count as one",
        )
    paths = []
    for name in names:
        paths.append(settings.runs / training(graph, dataset, name)["id"])
        if not (paths[-1] / runs.MANIFEST).is_file():
            raise NotFoundError(
                f"the files of the run {name} are not in {settings.runs}", cure="Train it again on this machine"
            )
    measured = all((path / runs.PLACES.format(split="test")).is_file() for path in paths)
    chosen: Split = "valid" if split == "valid" or (not split and not measured) else "test"
    return Question(tuple(paths), chosen, across_snapshots=across)


def refined(question: Question, metrics: Sequence[str], by: By | None, by_metric: str) -> Question:
    """The same question about other metrics, and about groups."""
    return replace(question, metrics=tuple(dict.fromkeys(metrics)), by=by, by_metric=by_metric)


def check(question: Question) -> None:
    """Make sure that runs can be compared, and that there is room for them. Nothing is drawn for that.

    Raises:
        InputError: they cannot, or there are too many methods and settings.
        SnapshotError: a run is damaged.
    """
    entries = compare(question.paths, question.split, across_snapshots=question.across_snapshots).entries
    if len(entries) > MOST_ENTRIES:
        raise InputError(
            f"{len(entries)} methods or settings are chosen, but at most {MOST_ENTRIES} can be compared",
            cure="Choose fewer, or use `cikg compare`",
        )


def _refused(dataset: str, names: Sequence[str], split: Split, error: CikgError) -> ComparePage:
    """A page that says why nothing is compared, and offers what would be possible all the same."""
    across = _address(dataset, names, split, across=True) if "different snapshots" in error.message else ""
    return ComparePage(
        dataset=dataset,
        chosen=tuple(Chosen(name, name, "") for name in names),
        split=split,
        other=_address(dataset, names, "valid", across=False) if "measured on test" in error.message else "",
        refusal=f"{error}.",
        across=across,
        report=None,
        shared={},
        own={},
        curves={},
        groups=None,
        here=_address(dataset, names, split, across=False),
    )


def _settings(report: dict[str, Any] | None) -> dict[str, dict[str, list[Any]]]:
    """The settings that differ, parted by whether all entries have them."""
    found = report["settings"].items() if report else ()
    return {
        "shared": {name: values for name, values in found if None not in values},
        "own": {name: values for name, values in found if None in values},
    }


def _address(dataset: str, names: Sequence[str], split: str, *, across: bool) -> str:
    further = "1" if across else None
    return url_for("models.compare_runs", dataset=dataset, run=list(names), split=split, across=further)


def _led_by(names: Sequence[str], first: str) -> list[str]:
    return [first, *(name for name in names if name != first)]


def _pictures(settings: Settings, question: Question) -> dict[str, str]:
    """Pictures of groups: of users, of items."""

    def picture(by: By) -> str:
        return Markup(drawing(kept(settings, replace(question, by=by)), by))  # noqa: S704 - ours, and escaped there

    return {f"By how much is known about {by}": picture(by) for by in AXES}


def _curves(settings: Settings, report: dict[str, Any]) -> dict[str, str]:
    """Curves of the entries' first runs over each other, for each metric that several of them watched in training."""
    names = [entry["name"] for entry in report["entries"]]
    each: list[dict[str, list[tuple[float, float]]]] = []
    for entry in report["entries"]:
        path, found = settings.runs / entry["runs"][0] / runs.CURVE, dict[str, list[tuple[float, float]]]()
        epochs = json.loads(path.read_text(encoding="utf-8"))["epochs"] if path.is_file() else []
        for place, row in enumerate([row for row in epochs if row["phase"] == "select"], start=1):
            for metric in (name for name in row if "@" in name):
                found.setdefault(metric, []).append((row.get("epoch", place), row[metric]))
        each.append(found)
    pictures: dict[str, str] = {}
    for metric in dict.fromkeys(metric for found in each for metric in found):
        curves = [found.get(metric, []) for found in each]
        drawn = lines(f"{metric} on valid, during training", names, curves, metric=metric, axis="Epoch or candidate")
        pictures[metric] = Markup(drawn)  # noqa: S704 - ours, and escaped there
    return pictures

"""What each extraction stage is worth to a run: trained again without its product, and compared user by user.

A stage's lift is the difference between the whole and the same method without what the stage wrote, fitted and selected
in the same way, over the same seeds, with a paired interval. Beside it stands what the stage cost, so that a point of
recall has a price. Trainings without a stage are runs like all others: made once, resumed, found again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cikg.errors import InputError
from cikg.recommend import runs
from cikg.recommend.evaluation.comparison import Interval, Split
from cikg.recommend.evaluation.places import parse_metric
from cikg.recommend.evaluation.report import Question, kept
from cikg.settings import Settings

if TYPE_CHECKING:
    from cikg.graph.snapshot import Snapshot
    from cikg.recommend.engine import Observer, Trained

METRIC = "recall@20"
POINT = 0.01
"""What a point of a metric is."""
REPORT = runs.STAGES
"""Beside the first run: its report."""


@dataclass(frozen=True)
class Stage:
    """A stage of extraction, or several that only count together.

    Attributes:
        name: what it is called.
        jobs: those whose questions it consists of.
        left_out: what a training without it does not see; or, where nothing can be left out, why.
        settings: by hyperparameter, what its values become without the stage's product; None where nothing leaves it
            out. Values that are not named do without it as they are. Empty where nothing can be left out.
    """

    name: str
    jobs: tuple[str, ...]
    left_out: str
    settings: Mapping[str, Mapping[str, str | None]]


THROUGH_PROFILES = "reaches the recommender only through the profiles; leaving it out would need new answers"
CANNOT = "no setting leaves it out of a run like this one"
_SEEKREC = ("user_preferences", "preference_alignment", "user_subgraphs", "item_subgraphs")

_INTERESTS = Stage("interests", ("user_interests",), "the edges between users and interests",
                   {"graph": {"cikg": "ckg", "cig": "cg"}})  # fmt: skip
_WITHOUT_USERS, _WITHOUT_ITEMS = {"both": "items", "users": "none"}, {"both": "users", "items": "none"}
_WITHOUT_BOTH = dict.fromkeys(("both", "users", "items"), "none")

STAGES: dict[str, tuple[Stage, ...]] = {
    "cikgrec": (_INTERESTS,),
    "lightgcn": (_INTERESTS,),
    "ikgr": (
        Stage(
            "round 1",
            ("glossary", "item_intents", "user_intents"),
            "all intents, since those of round 2 are chosen from the pool that round 1 makes",
            {"knowledge": dict.fromkeys(("intents", "exact", "interactions"), "none")},
        ),
        Stage(
            "round 2",
            ("related_item_intents", "related_user_intents"),
            "intents of round 2",
            {"knowledge": {"intents": "exact", "interactions": None}},
        ),
    ),
    "colakg": (
        Stage(
            "item comprehension",
            ("item_comprehension",),
            "items' texts, and neighbours by text",
            {"texts": _WITHOUT_ITEMS},
        ),
        Stage("user comprehension", ("user_comprehension",), "users' texts", {"texts": _WITHOUT_USERS}),
        Stage("both", ("item_comprehension", "user_comprehension"), "all texts", {"texts": _WITHOUT_BOTH}),
    ),
    "seekrec": (
        Stage("preferences", ("user_preferences",), THROUGH_PROFILES, {}),
        Stage("alignment", ("preference_alignment",), THROUGH_PROFILES, {}),
        Stage("pruning and evaluating", ("user_subgraphs", "item_subgraphs"), THROUGH_PROFILES, {}),
        Stage("refining users", ("user_profiles",), "users' profiles", {"semantics": _WITHOUT_USERS}),
        Stage(
            "refining items",
            ("item_profiles",),
            "items' profiles, and neighbours by profile",
            {"semantics": _WITHOUT_ITEMS},
        ),
        Stage("all", (*_SEEKREC, "user_profiles", "item_profiles"), "all profiles", {"semantics": _WITHOUT_BOTH}),
    ),
}
"""By method, in the order in which they are carried out. A new method's stages are a row here."""


@dataclass(frozen=True)
class Spent:
    """What a stage's jobs have asked of the LLM in a dataset; answers that were there already cost nothing.

    Attributes:
        calls: questions.
        tokens: sent and received.
        cost: in money.
    """

    calls: int
    tokens: int
    cost: float


@dataclass(frozen=True)
class Lift:
    """What a stage is worth.

    Attributes:
        stage: its name.
        left_out: see `Stage`.
        runs: those without it; none where it cannot be left out.
        valid: how much better the whole is on valid; None where that is not known.
        test: the same on test.
    """

    stage: str
    left_out: str
    runs: tuple[str, ...]
    valid: Interval | None = None
    test: Interval | None = None


def of_method(method: str) -> tuple[Stage, ...]:
    """The stages that a method's knowledge comes from.

    Raises:
        InputError: it uses none, or cannot do without them.
    """
    if method not in STAGES:
        raise InputError(
            f"{method} has no extraction stages to leave out", cure=f"These methods have: {', '.join(STAGES)}"
        )
    return STAGES[method]


@dataclass(frozen=True)
class Report:
    """The stages of a run.

    Attributes:
        method: its method.
        dataset: its dataset.
        metric: what is measured.
        runs: of the complete method, one per seed.
        valid: the whole's figure on valid.
        test: the same on test.
        stages: in order.
    """

    method: str
    dataset: str
    metric: str
    runs: tuple[str, ...]
    valid: float
    test: float
    stages: tuple[Lift, ...]


def measure(
    settings: Settings,
    paths: Sequence[Path],
    watch: Callable[[str], AbstractContextManager[Observer]],
    done: Callable[[Trained, Mapping[str, Any]], None],
    metric: str = METRIC,
) -> Report:
    """Train what is missing, and say what each stage is worth. The report is written beside the first run as well.

    Args:
        settings: say where runs and snapshots are.
        paths: directories of runs of one method and configuration, over seeds.
        watch: shows the progress of a training that has a title.
        done: told of each training that was needed, and its evaluation.
        metric: as `recall@20`.

    Raises:
        InputError: the method has no stages, runs differ in more than their seed, or follow the paper protocol.
        NotFoundError: the snapshot is no longer kept.
        SnapshotError: a run is damaged.
    """
    parse_metric(metric)
    manifests = [runs.read_json(path / runs.MANIFEST) for path in paths]
    first, stages = manifests[0], of_method(manifests[0]["method"])
    for manifest in manifests:
        _check(first, manifest)
    snapshot = runs.snapshot(settings, first)
    needed = [
        (manifest, stage)
        for stage in (None, *stages)
        for manifest in manifests
        if stage is None or _without(stage, manifest["config"]) is not None
    ]
    made: dict[str | None, list[Path]] = {}
    for number, (manifest, stage) in enumerate(needed, start=1):
        name = stage.name if stage else None
        title = f"{number}/{len(needed)} {first['method']}, " + (f"without {name}" if name else "whole")
        with watch(title) as observer:
            trained, evaluation = _train(snapshot, settings, manifest, stage, observer)
        if evaluation is not None:
            done(trained, evaluation)
        made.setdefault(name, []).append(trained.path)
    whole = made[None]
    figures = kept(settings, Question(tuple(whole), "test", (metric,)))["entries"][0]["metrics"]
    on_valid = kept(settings, Question(tuple(whole), "valid", (metric,)))["entries"][0]["metrics"]
    report = Report(
        method=first["method"],
        dataset=first["dataset"],
        metric=metric,
        runs=tuple(path.name for path in whole),
        valid=on_valid[metric]["mean"],
        test=figures[metric]["mean"],
        stages=tuple(_lift(settings, stage, made.get(stage.name, []), whole, metric) for stage in stages),
    )
    runs.write_json(whole[0] / REPORT.format(metric=metric), asdict(report))
    return report


def _check(first: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    same = all(manifest[key] == first[key] for key in ("method", "dataset", "snapshot", "config", "protocol", "refit"))
    if not same:
        raise InputError(
            f"{first['run']} and {manifest['run']} differ in more than their seed",
            cure="Give runs that differ only in their seed",
        )
    if manifest["protocol"] != "honest":
        raise InputError(
            f"{manifest['run']} was selected on test, which proves nothing", cure="Train it with --protocol honest"
        )


def _train(
    snapshot: Snapshot, settings: Settings, manifest: Mapping[str, Any], stage: Stage | None, observer: Observer
) -> tuple[Trained, dict[str, Any] | None]:
    """The run of a manifest, without a stage, and its evaluation unless there was one."""
    from cikg.recommend.engine import train  # noqa: PLC0415 - torch loads for seconds; reading a report needs none
    from cikg.recommend.evaluation.measuring import evaluate  # noqa: PLC0415

    options = {key: manifest[key] for key in ("seed", "protocol", "refit", "epochs", "patience", "metric", "precision")}
    config = manifest["config"] | ((_without(stage, manifest["config"]) or {}) if stage else {})
    trained = train(snapshot, manifest["method"], settings=settings, overrides=config, observer=observer, **options)
    known = trained.reused and (trained.path / runs.PLACES.format(split="test")).is_file()
    return trained, None if known else evaluate(trained.path, snapshot)


def _without(stage: Stage, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The settings of a run without a stage, which are its own where it does not use it; None where there are none."""
    found = {name: become.get(config[name], config[name]) for name, become in stage.settings.items()}
    return found if found and None not in found.values() else None


def _lift(settings: Settings, stage: Stage, without: Sequence[Path], whole: Sequence[Path], metric: str) -> Lift:
    names = tuple(path.name for path in without)
    if not without:
        return Lift(stage.name, CANNOT if stage.settings else stage.left_out, names)
    if list(without) == list(whole):
        return Lift(stage.name, "the run does not use it", names)

    def interval(split: Split) -> Interval:
        found = kept(settings, Question((*without, *whole), split, (metric,)))
        gap = found["entries"][1]["differences"][metric]
        return Interval(gap["mean"], gap["low"], gap["high"])

    return Lift(stage.name, stage.left_out, names, interval("valid"), interval("test"))


def spent(jobs: Sequence[str], ledger: Sequence[Mapping[str, Any]]) -> Spent:
    """What some jobs have cost, from the rows of all runs of a dataset's jobs."""
    own = [row for row in ledger if row["job"] in jobs]
    return Spent(*(sum(row[name] for row in own) for name in ("calls", "tokens", "cost")))


def priced(report: Mapping[str, Any], ledger: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows of a report, as `asdict` makes it, with what each stage cost and the price of a point on test.

    A point has a price where the lift is proven: the interval on test is above 0.
    """
    jobs = {stage.name: stage.jobs for stage in of_method(report["method"])}
    for row in report["stages"]:
        own, test = spent(jobs[row["stage"]], ledger), row["test"]
        points = test["mean"] / POINT if test and test["low"] > 0 else None
        yield (
            row
            | asdict(own)
            | {
                "jobs": list(jobs[row["stage"]]),
                "verdict": {split: row[split] and _verdict(row[split]) for split in ("valid", "test")},
                "cost_a_point": points and own.cost / points,
                "tokens_a_point": points and own.tokens / points,
            }
        )


def drawing(report: Mapping[str, Any]) -> str:
    """A picture of a report's lifts, as SVG; stages that cannot be left out are not in it."""
    from cikg.recommend.evaluation.charts import lifts  # noqa: PLC0415 - it is of use to few

    rows = [
        (row["stage"], [Interval(**row[split]) for split in ("valid", "test")])
        for row in report["stages"]
        if row["valid"] and row["test"]
    ]
    title = f"What each stage adds to {report['method']} on {report['dataset']}"
    return lifts(title, ("valid", "test"), rows, f"Lift of {report['metric']}")


def measured(settings: Settings, run: str, metric: str = METRIC) -> dict[str, Any] | None:
    """The report that `measure` wrote beside a run; None where there is none.

    Raises:
        InputError: there is no such metric.
        SnapshotError: it is damaged.
    """
    parse_metric(metric)
    path = settings.runs / run / REPORT.format(metric=metric)
    return runs.read_json(path) if path.is_file() else None


def _verdict(interval: Mapping[str, float]) -> str:
    return Interval(interval["mean"], interval["low"], interval["high"]).verdict

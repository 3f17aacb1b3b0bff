"""Models: what was trained, how well it does against popularity, and which one is served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from cikg.access import audit
from cikg.access.accounts import Scope
from cikg.graph import Graph
from cikg.recommend.stages import METRIC
from cikg.schema import uid
from cikg.settings import Settings
from web import login
from web.chrome import Link, render
from web.formatting import plain
from web.parts import comparing, publishing, queued, runs, training
from web.parts import stages as stage_lift
from web.parts.comparing import ComparePage
from web.parts.publishing import Standing
from web.parts.queued import Command
from web.parts.stages import StagesPage, has_stages
from web.parts.training import Trainings
from web.store import graph, settings
from web.urls import page

blueprint = Blueprint("models", __name__)
link = Link("Models", "models.index", 60)
SHOWN_RUNS = 100
BASELINE = "popularity"
DEFAULT_K, MOST_K = 20, 1_000
HEADLINE = "recall@50"
FIRST = ("recall", "ndcg", "precision", "hit_rate", "mrr")


@dataclass(frozen=True)
class Model:
    """A training run in the list.

    Attributes:
        run: the run.
        method: its method.
        valid: metrics on the validation split.
        test: metrics on the test split; empty until it was evaluated.
        published_at: when it was first served.
        served: whether it is now.
        apart: the settings in which it differs from other runs of its method, as `layers=2`.
    """

    run: runs.Run
    method: str
    valid: dict[str, float]
    test: dict[str, float]
    published_at: str | None
    served: bool
    apart: tuple[str, ...] = ()


@dataclass(frozen=True)
class Curve:
    """What was measured in each epoch, or for each candidate: one list a name, as long as `epochs`; gaps are null.

    `counted` says what `epochs` counts: `epoch` or `candidate`.
    """

    epochs: tuple[int, ...]
    series: dict[str, tuple[float | None, ...]]
    counted: str


@dataclass(frozen=True)
class Comparison:
    """One metric of a model beside the baseline's; `gain` is relative, 0.5 for half as much again."""

    value: float
    baseline: float | None
    gain: float | None


@dataclass(frozen=True)
class Headline:
    """A model in one figure: the share of held-out choices in its lists of fifty, and in popularity's."""

    method: str
    found: float
    baseline: float | None


@dataclass(frozen=True)
class Metrics:
    """Metrics by name and cutoff.

    Attributes:
        cutoffs: lengths of list, ascending.
        rows: metric -> one comparison a cutoff; None where it was not measured.
    """

    cutoffs: tuple[int, ...]
    rows: dict[str, tuple[Comparison | None, ...]]


@dataclass(frozen=True)
class ModelsPage:
    """All training runs, newest first, what is served, and what could be trained."""

    template: ClassVar[str] = "models.html"
    dataset: str
    models: tuple[Model, ...]
    standing: Standing
    trainings: Trainings


@dataclass(frozen=True)
class ModelPage:
    """One training run.

    Attributes:
        dataset: its dataset.
        model: its summary.
        metrics: of the split that `split` names, beside popularity's (on the same snapshot, if it was trained there).
        split: `test` where it was evaluated, else `valid`.
        curve: what was measured during training; None where nothing was.
        manifest: how it was trained, one level deep.
        standing: what is served, and how far a publication is.
        evaluation: the last time that a worker was asked to open the test split for it.
        staged: whether its knowledge comes from stages that could be left out.
    """

    template: ClassVar[str] = "model.html"
    dataset: str
    model: Model
    metrics: Metrics
    split: str
    curve: Curve | None
    manifest: dict[str, Any]
    standing: Standing
    evaluation: Command | None
    staged: bool


def load_models(graph: Graph, dataset: str) -> ModelsPage:
    """Read all training runs."""
    published = {row["run"]: row for row in graph.many("published_runs", dataset=dataset)}
    rows = graph.many("training_runs", dataset=dataset, limit=SHOWN_RUNS)
    apart = set_apart([row["run"] for row in rows])
    models = tuple(
        replace(_model(row["run"], published), apart=settings) for row, settings in zip(rows, apart, strict=True)
    )
    return ModelsPage(dataset, models, publishing.standing(graph, dataset), training.load(graph, dataset))


def load_model(graph: Graph, dataset: str, identifier: str) -> ModelPage:
    """Read one training run.

    Raises:
        NotFoundError: there is no such run.
    """
    row = runs.training(graph, dataset, identifier)
    published = {other["run"]: other for other in graph.many("published_runs", dataset=dataset)}
    model, baseline = _model(row, published), _baseline(graph, row)
    split = "test" if model.test else "valid"
    manifest = runs.unpack(row.get("manifest")) or {}
    return ModelPage(
        dataset=dataset,
        model=model,
        metrics=compare(getattr(model, split), getattr(baseline, split) if baseline else {}),
        split=split,
        curve=read_curve(runs.unpack(row.get("curve"))),
        manifest=runs.flatten({name: value for name, value in manifest.items() if name not in ("valid", "run")}),
        standing=publishing.standing(graph, dataset),
        evaluation=queued.newest(graph, dataset, f"evaluate {identifier}"),
        staged=has_stages(model.method),
    )


def load_headline(graph: Graph, dataset: str, identifier: str) -> Headline | None:
    """What one figure says of a run; None where it was not measured, or there is no such run here."""
    row = next((found["run"] for found in graph.many("run_detail", run=uid(dataset, identifier))), None)
    if row is None:
        return None
    model, baseline = _model(row, {}), _baseline(graph, row)
    split = "test" if HEADLINE in model.test else "valid"
    value = getattr(model, split).get(HEADLINE)
    other = getattr(baseline, split).get(HEADLINE) if baseline else None
    return None if value is None else Headline(model.method, value, other)


def set_apart(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """The settings in which each run differs from the others of its method that are shown."""
    settings = []
    for row in rows:
        manifest = runs.unpack(row.get("manifest")) or {}
        settings.append(runs.flatten(manifest.get("config") or {}) | {"seed": manifest.get("seed")})
    found = []
    for row, own in zip(rows, settings, strict=True):
        same = [other for each, other in zip(rows, settings, strict=True) if each.get("name") == row.get("name")]
        different = [name for name in own if any(other.get(name) != own[name] for other in same)]
        found.append(tuple(f"{name}={plain(own[name])}" for name in different))
    return found


def _baseline(graph: Graph, row: dict[str, Any]) -> Model | None:
    """Popularity's newest run, of the same snapshot where there is one."""
    wanted = {"dataset": row["dataset"], "method": BASELINE, "run": row["uid"], "snapshot": row.get("snapshot")}
    found = graph.many("training_of_method", **wanted)
    return _model(found[0]["run"], {}) if found else None


def compare(values: dict[str, float], baseline: dict[str, float]) -> Metrics:
    """Put metrics, named like `ndcg@10`, beside a baseline's."""
    named = {tuple(name.split("@")): value for name, value in values.items() if "@" in name}
    cutoffs = sorted({int(cutoff) for _, cutoff in named})
    known = {metric for metric, _ in named}
    metrics = [metric for metric in FIRST if metric in known] + sorted(known - set(FIRST))

    def cell(metric: str, cutoff: int) -> Comparison | None:
        value, other = named.get((metric, str(cutoff))), baseline.get(f"{metric}@{cutoff}")
        return None if value is None else Comparison(value, other, value / other - 1 if other else None)

    return Metrics(tuple(cutoffs), {metric: tuple(cell(metric, cutoff) for cutoff in cutoffs) for metric in metrics})


def read_curve(curve: Any) -> Curve | None:
    """The losses and metrics of what was selected among: epochs, or a closed-form method's candidates.

    Args:
        curve: `{"epochs": [{"phase": "select", "epoch": 1, "loss": {"recommend": 0.4}, "ndcg@50": 0.2, …}, …]}`;
            the refit that follows a selection has no metric, and is left out.
    """
    selected = [point for point in (curve or {}).get("epochs", []) if point.get("phase", "select") == "select"]
    points = [runs.flatten(point) for point in selected]
    names = dict.fromkeys(name for point in points for name in point if "@" in name or "loss" in name)
    if not names:
        return None
    series = {name: tuple(point.get(name) for point in points) for name in names}
    epochs = tuple(point.get("epoch", index + 1) for index, point in enumerate(points))
    return Curve(epochs, series, "epoch" if "epoch" in points[0] else "candidate")


def _model(row: dict[str, Any], published: dict[str, Any]) -> Model:
    evaluation = runs.unpack(row.get("evaluation")) or {}
    seen = published.get(row["id"], {})
    return Model(
        runs.summary(row),
        row.get("name") or "",
        runs.unpack(row.get("valid")) or evaluation.get("valid") or {},
        evaluation.get("test") or {},
        seen.get("published_at"),
        bool(seen.get("served")),
    )


@page(blueprint, "/d/<id:dataset>/models")
def index(dataset: str) -> Response:
    """All training runs."""
    return render(load_models(graph(), dataset))


@blueprint.post("/d/<id:dataset>/models")
@login.needs(Scope.WRITE)
def train(dataset: str) -> ResponseReturnValue:
    """Have a worker train a method."""
    training.act(graph(), settings(), dataset, request.form, login.caller().name)
    return redirect(url_for("models.index", dataset=dataset), 303)


@page(blueprint, "/d/<id:dataset>/models/<id:identifier>")
def model(dataset: str, identifier: str) -> Response:
    """One training run."""
    return render(load_model(graph(), dataset, identifier))


@blueprint.post("/d/<id:dataset>/models/<id:identifier>/<action>")
@login.needs(Scope.WRITE)
def act(dataset: str, identifier: str, action: str) -> ResponseReturnValue:
    """Publish a run, go back to it, open the test split for it, or have its stages measured."""
    k, actor = request.form.get("k", DEFAULT_K, type=int), login.caller().name
    if action == "stages":
        stage_lift.begin(graph(), settings(), dataset, identifier, METRIC)
        audit.record(graph(), actor, "models.stages", uid(dataset, identifier))
        return redirect(url_for("models.stages", dataset=dataset, identifier=identifier), 303)
    publishing.act(graph(), settings(), dataset, action, run=identifier, k=min(max(k, 1), MOST_K), actor=actor)
    return redirect(url_for("models.model", dataset=dataset, identifier=identifier), 303)


@page(blueprint, "/d/<id:dataset>/models/<id:identifier>/stages")
def stages(dataset: str, identifier: str) -> Response:
    """What each extraction stage is worth to a run."""
    return render(load_stages(graph(), settings(), dataset, identifier, request.args.get("metric", METRIC)))


def load_stages(graph: Graph, settings: Settings, dataset: str, run: str, metric: str) -> StagesPage:
    """Read what is known of a run's stages."""
    return stage_lift.load(graph, settings, dataset, run, metric)


def load_comparison(graph: Graph, settings: Settings, dataset: str, given: MultiDict[str, str]) -> ComparePage:
    """Put the runs side by side that an address names."""
    split, across = given.get("split", ""), given.get("across") == "1"
    names, show = given.getlist("run"), given.getlist("show")
    return comparing.load(graph, settings, dataset, names, split=split, across=across, show=show)


@page(blueprint, "/d/<id:dataset>/compare")
def compare_runs(dataset: str) -> Response:
    """Runs side by side."""
    return render(load_comparison(graph(), settings(), dataset, request.args))

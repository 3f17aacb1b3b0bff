"""What each extraction stage is worth to a run: what was measured, and a worker who measures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from markupsafe import Markup

from cikg.extraction import commands, control
from cikg.graph import Graph
from cikg.recommend.evaluation.places import parse_metric
from cikg.recommend.stages import METRIC, STAGES, drawing, measured, of_method, priced
from cikg.settings import Settings
from web.parts import runs
from web.parts.queued import Command, newest


@dataclass(frozen=True)
class StagesPage:
    """The stages of a run.

    Attributes:
        dataset: its dataset.
        run: the run.
        method: its method.
        metric: what was measured.
        whole: the whole's figure on valid and on test; None where nothing was measured.
        seeds: how many runs the figures are means over.
        stages: a row each, with lift, cost and the price of a point.
        picture: the lifts; None where there are none.
        command: the last that was asked to measure.
        priced: whether any answer cost money.
    """

    template: ClassVar[str] = "stages.html"
    dataset: str
    run: str
    method: str
    metric: str
    whole: tuple[float, float] | None
    seeds: int
    stages: tuple[dict[str, Any], ...]
    picture: str | None
    command: Command | None
    priced: bool


def load(graph: Graph, settings: Settings, dataset: str, run: str, metric: str = METRIC) -> StagesPage:
    """What is known of a run's stages.

    Raises:
        NotFoundError: there is no such run.
        InputError: its method has no stages, or there is no such metric.
    """
    method = str(runs.training(graph, dataset, run).get("name") or "")
    of_method(method)
    found = measured(settings, run, metric)
    rows = tuple(priced(found, control.runs(graph, dataset))) if found else ()
    return StagesPage(
        dataset=dataset,
        run=run,
        method=method,
        metric=metric,
        whole=(found["valid"], found["test"]) if found else None,
        seeds=len(found["runs"]) if found else 0,
        stages=rows,
        picture=Markup(drawing(found)) if found else None,  # noqa: S704 - ours, and escaped there
        command=newest(graph, dataset, "report stages", f'"{run}"'),
        priced=any(row["cost"] for row in rows),
    )


def begin(graph: Graph, settings: Settings, dataset: str, run: str, metric: str) -> None:
    """Have a worker train what is missing and measure.

    Raises:
        NotFoundError: there is no such run.
        InputError: its method has no stages, or there is no such metric.
        UnreachableError: Redis does not answer.
    """
    of_method(str(runs.training(graph, dataset, run).get("name") or ""))
    parse_metric(metric)
    command = ["report", "stages", run, "--dataset", dataset, "--metric", metric]
    commands.enqueue(graph, settings, command, dataset)


def has_stages(method: str) -> bool:
    """Whether a method's knowledge comes from stages that could be left out."""
    return method in STAGES

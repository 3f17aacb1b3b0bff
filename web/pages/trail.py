"""The trail of one user or item: what every job asked about it, and what it was answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from flask import Blueprint, Response

from cikg.extraction import control
from cikg.graph import Graph
from cikg.schema import uid
from web.chrome import render
from web.store import graph
from web.urls import page

blueprint = Blueprint("trail", __name__)


@dataclass(frozen=True)
class Stage:
    """What one run did about the subject.

    Attributes:
        run: the run's id.
        job: its job.
        state: how it ended.
        error: why it went wrong, or None.
        updated_at: ISO time.
        turns: the questions and answers, in order.
    """

    run: str
    job: str
    state: str
    error: str | None
    updated_at: str | None
    turns: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class TrailPage:
    """One subject's way through the stages.

    Attributes:
        dataset: the dataset.
        id: the subject's id.
        name: its name, or the id where none is known.
        kind: what it is.
        stages: the oldest first.
    """

    template: ClassVar[str] = "trail.html"
    dataset: str
    id: str
    name: str
    kind: str
    stages: tuple[Stage, ...]


def load(graph: Graph, dataset: str, identifier: str) -> TrailPage:
    """Read a trail.

    Raises:
        NotFoundError: no job was about this subject.
    """
    rows = control.trail(graph, dataset, identifier)
    runs = dict.fromkeys((row["run"], row["about"]) for row in rows)
    stages = [[row for row in rows if (row["run"], row["about"]) == run] for run in runs]
    about = {"label": rows[0]["about"], "uid": uid(dataset, identifier)}
    name = next((row["name"] for row in graph.many("nodes_at", rows=[about])), identifier)
    return TrailPage(dataset, identifier, name, about["label"], tuple(_stage(stage) for stage in stages))


def _stage(rows: list[dict[str, Any]]) -> Stage:
    told = ("run", "job", "state", "error", "updated_at")
    return Stage(**{name: rows[0][name] for name in told}, turns=tuple(row for row in rows if row["prompt"]))


@page(blueprint, "/d/<id:dataset>/trails/<id:identifier>")
def index(dataset: str, identifier: str) -> Response:
    """One subject's trail."""
    return render(load(graph(), dataset, identifier))

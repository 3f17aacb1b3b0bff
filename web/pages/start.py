"""Planning a job: what it would cost, a limit to that, and its start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from cikg.access.accounts import Scope
from cikg.errors import InputError
from cikg.extraction import control
from cikg.extraction.estimate import Estimate, estimate
from cikg.extraction.job import job, names
from cikg.extraction.pipelines import PIPELINES
from cikg.graph import Graph
from cikg.settings import Settings
from web import login
from web.chrome import render, wants_json
from web.forms import whole
from web.parts import jobs
from web.store import graph, settings
from web.urls import page

blueprint = Blueprint("start", __name__)
MOST_SUBJECTS = 2**31 - 1


@dataclass(frozen=True)
class Choice:
    """A job that can be started; `pipeline` says what it is a stage of."""

    name: str
    about: str
    help: str
    pipeline: str


@dataclass(frozen=True)
class StartPage:
    """The plan of a job.

    Attributes:
        dataset: the dataset.
        choices: all jobs.
        chosen: the name of the one that is planned; empty before one is.
        limit: how many subjects to take at most, or None.
        total: how many subjects it has.
        expected: what it would cost; None before a job is chosen.
        currency: what costs are in.
        looking: the address that has what it would cost, where that is not known yet; else empty.
        error: what is wrong with what was sent, and what to do.
        budget: the limit that was sent then.
    """

    template: ClassVar[str] = "start.html"
    dataset: str
    choices: tuple[Choice, ...]
    chosen: str
    limit: int | None
    total: int
    expected: Estimate | None
    currency: str
    looking: str
    error: tuple[str, str | None] | None = None
    budget: str = ""


def load(
    graph: Graph, settings: Settings, dataset: str, chosen: str, limit: int | None, *, look: bool = True
) -> StartPage:
    """Read the plan of a job, if one is chosen.

    Args:
        graph: the graph.
        settings: of this process.
        dataset: the dataset.
        chosen: the job's name, or nothing.
        limit: how many subjects to take at most.
        look: whether to look at every subject, which takes seconds for thousands of them.

    Raises:
        NotFoundError: there is no such job.
    """
    choices = _choices()
    if chosen and not look:
        looking = url_for("start.index", dataset=dataset, job=job(chosen).name, limit=limit, look=1)
        return StartPage(dataset, choices, chosen, limit, 0, None, settings.llm_currency, looking)
    planned = control.plan(graph, settings, dataset, chosen, limit=limit) if chosen else None
    expected = estimate(graph, planned, settings) if planned else None
    total = planned.total if planned else 0
    return StartPage(dataset, choices, chosen, limit, total, expected, settings.llm_currency, "")


def _choices() -> tuple[Choice, ...]:
    """All jobs, each where its pipeline comes to it; what belongs to none comes last."""
    stages = {stage: each.help for each in PIPELINES.values() for stage in each.stages if isinstance(stage, str)}
    ordered = dict.fromkeys([*stages, *names()])
    return tuple(Choice(each.name, str(each.about), each.help, stages.get(each.name, "")) for each in map(job, ordered))


@page(blueprint, "/d/<id:dataset>/jobs-start")
def index(dataset: str) -> Response:
    """Choose a job and see what it would cost."""
    limit, chosen = max(request.args.get("limit", 0, type=int), 0), request.args.get("job", "")
    look = wants_json() or "look" in request.args
    return render(load(graph(), settings(), dataset, chosen, limit or None, look=look))


def start(dataset: str, form: Mapping[str, str], actor: str) -> str:
    """Start what a form asks for; the id of its run.

    Raises:
        InputError: its number of subjects or its budget is none.
        NotFoundError: there is no such job.
    """
    limit = whole(form["limit"], "number of subjects", 1, MOST_SUBJECTS) if form.get("limit") else None
    planned = control.plan(graph(), settings(), dataset, form["job"], limit=limit)
    jobs.start(graph(), settings(), planned, form.get("budget", ""), actor)
    return planned.run.uid.partition(":")[2]


def refused(dataset: str, form: Mapping[str, str], error: InputError) -> StartPage:
    """The plan again, with what was wrong and what was typed."""
    limit = form.get("limit", "")
    number = int(limit) if limit.isdecimal() and len(limit) < 10 else 0
    shown = load(graph(), settings(), dataset, form["job"], number or None)
    return replace(shown, error=(error.message, error.cure), budget=form.get("budget", ""))


@blueprint.post("/d/<id:dataset>/jobs-start")
@login.needs(Scope.WRITE)
def begin(dataset: str) -> ResponseReturnValue:
    """Start what was planned."""
    try:
        run = start(dataset, request.form, login.caller().name)
    except InputError as error:
        return render(refused(dataset, request.form, error), 400)
    return redirect(url_for("jobs.run", dataset=dataset, identifier=run), 303)

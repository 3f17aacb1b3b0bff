"""Jobs: what the LLM is asked to do for a dataset, run by run."""

from __future__ import annotations

from typing import Any

from flask import g
from pydantic import BaseModel, ConfigDict, Field

from cikg.access.accounts import Scope
from cikg.errors import NotFoundError
from cikg.extraction import control, ledger
from cikg.extraction.estimate import Estimate, estimate
from cikg.extraction.job import job, names
from cikg.graph.database import Row
from cikg.schema import State, uid
from web import login
from web.api.operation import operation
from web.api.paging import MOST, Page, Paged, by_place
from web.store import graph, settings

TAG = "Jobs"
RUN = "/datasets/<dataset>/jobs/<key:run>"


class JobKind(BaseModel):
    """A job that can be run."""

    name: str
    about: str = Field(description="What its subjects are: User or Item")
    help: str


class JobKinds(BaseModel):
    """All jobs."""

    items: list[JobKind]


class RunSummary(BaseModel):
    """A run in a list."""

    run: str
    job: str
    state: State
    error: str | None
    total: int
    done: int
    failed: int
    quarantined: int
    calls: int
    tokens: int
    cost: float
    created_at: str | None


class Cause(BaseModel):
    """Why subjects went wrong."""

    state: State
    error: str | None
    subjects: int
    example: str = Field(description="One of them")


class Run(BaseModel):
    """Where a run stands."""

    run: str
    job: str
    state: State
    error: str | None
    total: int
    planned: int
    running: int
    done: int
    failed: int
    quarantined: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    budget: str | None = Field(description="What it may spend, in words")
    causes: list[Cause]


class NewRun(BaseModel):
    """A job to run over a dataset."""

    model_config = ConfigDict(extra="forbid")

    job: str = Field(min_length=1, max_length=100, examples=["user_interests"])
    limit: int | None = Field(None, ge=1, le=2**31 - 1, description="Take the first so many subjects alone")
    budget: str | None = Field(
        None, max_length=50, description="`500 calls`, `2M tokens`, or money such as `5 USD`", examples=["500 calls"]
    )
    retry_quarantined: bool = Field(False, description="Ask again where an answer could not be used")
    dry_run: bool = Field(False, description="Say what it would cost, and start nothing", examples=[True])


class Started(BaseModel):
    """What was started, or would be."""

    run: str
    pending: int = Field(description="Subjects that have to be asked about")
    total: int
    estimate: Estimate


class Again(BaseModel):
    """How a run goes on."""

    model_config = ConfigDict(extra="forbid")

    budget: str | None = Field(None, max_length=50, description="What it may spend from now on", examples=["2M tokens"])
    unlimited: bool = Field(False, description="Lift the budget that it has")


class Retry(BaseModel):
    """Which subjects to try again."""

    model_config = ConfigDict(extra="forbid")

    subjects: list[str] = Field([], max_length=MOST, description="Ids; all that failed where empty")
    quarantined: bool = Field(False, description="Also those whose answers could not be used")


class SubjectQuery(Paged):
    """Which subjects."""

    state: State | None = Field(None, description="Only those in this state")


class Subject(BaseModel):
    """One subject of a run."""

    id: str
    name: str | None
    kind: str
    state: State
    attempts: int
    error: str | None
    completion: str | None
    updated_at: str | None


@operation("GET", "/jobs", tag=TAG, answer=JobKinds)
def kinds() -> JobKinds:
    """The jobs that can be run."""
    return JobKinds(items=[JobKind(name=each.name, about=each.about, help=each.help) for each in map(job, names())])


@operation("GET", "/datasets/<dataset>/jobs", tag=TAG, answer=Page[RunSummary], query=Paged)
def runs(dataset: str, query: Paged) -> Page[Any]:
    """The runs of a dataset, the newest first."""
    return by_place(query, lambda skip, limit: control.runs(graph(), dataset, skip + limit)[skip:])


@operation("POST", "/datasets/<dataset>/jobs", tag=TAG, answer=Started, status=202, body=NewRun, scope=Scope.WRITE)
def start(dataset: str, body: NewRun) -> Started:
    """Plan a job over a dataset and queue it; or, as a dry run, say what it would cost.

    The same job over the same dataset is the same run: starting it again goes on with what is left.
    """
    again = body.retry_quarantined
    plan = control.plan(graph(), settings(), dataset, body.job, limit=body.limit, quarantined=again)
    if not body.dry_run:
        _audit(plan.run.uid, control.start(graph(), settings(), plan, body.budget or ""))
    return _started(plan)


@operation("GET", RUN, tag=TAG, answer=Run)
def show(dataset: str, run: str) -> Row:
    """Where a run stands, what it cost, and why subjects went wrong."""
    return _stands(_find(dataset, run))


@operation("GET", f"{RUN}/subjects", tag=TAG, answer=Page[Subject], query=SubjectQuery)
def subjects(dataset: str, run: str, query: SubjectQuery) -> Page[Any]:
    """The subjects of a run, those that went wrong first."""
    found = {"run": _find(dataset, run), "state": query.state or ""}
    return by_place(query, lambda skip, limit: graph().many("run_subjects", **found, limit=skip + limit)[skip:])


@operation("POST", f"{RUN}/pause", tag=TAG, answer=Run, scope=Scope.WRITE)
def pause(dataset: str, run: str) -> Row:
    """Let a run rest: nothing new is asked, and what is under way is given back."""
    return _stop(_find(dataset, run), State.PAUSED)


@operation("POST", f"{RUN}/cancel", tag=TAG, answer=Run, scope=Scope.WRITE)
def cancel(dataset: str, run: str) -> Row:
    """End a run before its time, and the batches that the provider has of it. What is committed stays."""
    return _stop(_find(dataset, run), State.CANCELLED)


@operation("POST", f"{RUN}/resume", tag=TAG, answer=Run, body=Again, scope=Scope.WRITE)
def resume(dataset: str, run: str, body: Again) -> Row:
    """Let a run go on with what is left of it."""
    found = _find(dataset, run)
    _audit(found, control.resume(graph(), settings(), found, body.budget or "", unlimited=body.unlimited))
    return _stands(found)


@operation("POST", f"{RUN}/retry", tag=TAG, answer=Run, body=Retry, scope=Scope.WRITE)
def retry(dataset: str, run: str, body: Retry) -> Row:
    """Try again what went wrong."""
    found = _find(dataset, run)
    _, shards = control.retry(graph(), settings(), found, body.subjects, quarantined=body.quarantined)
    _audit(found, shards)
    return _stands(found)


def _find(dataset: str, run: str) -> str:
    """The uid of a run of a job.

    Raises:
        NotFoundError: there is none with this id.
    """
    found = graph().many("run_detail", run=uid(dataset, run))
    if not found or found[0]["run"].get("kind") != "extract":
        raise NotFoundError(
            f"{dataset!r} has no run {run!r} of a job",
            cure="GET …/jobs lists its runs, GET …/commands what was queued for a worker",
        )
    return uid(dataset, run)


def _stands(run: str) -> Row:
    opened = ledger.open_run(graph(), run)
    budget = str(opened.allowance.budget) if opened.allowance else None
    facts = {"run": run.partition(":")[2], "job": opened.job.name, "budget": budget}
    return facts | ledger.progress(graph(), run) | {"causes": ledger.errors(graph(), run)}


def _stop(run: str, state: State) -> Row:
    control.stop(graph(), settings(), run, state, login.caller().name)
    return _stands(run)


def _audit(run: str, shards: list[int]) -> None:
    g.audited = {"run": run, "shards": len(shards)}


def _started(plan: ledger.Plan) -> Started:
    return Started(
        run=plan.run.uid.partition(":")[2],
        pending=len(plan.pending),
        total=plan.total,
        estimate=estimate(graph(), plan, settings()),
    )

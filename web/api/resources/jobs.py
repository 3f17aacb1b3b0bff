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
COST = "In the currency of CIKG_LLM_CURRENCY; 0 if the model has no price"


class JobKind(BaseModel):
    """A job that can be started."""

    name: str
    about: str = Field(description="What its subjects are, such as `User` or `Item`")
    help: str = Field(description="What it does")


class JobKinds(BaseModel):
    """The jobs."""

    items: list[JobKind]


class RunSummary(BaseModel):
    """A run in a list."""

    run: str = Field(description="The id of the run")
    job: str
    state: State
    error: str | None = Field(description="Why it failed or was stopped")
    total: int = Field(description="Number of subjects; the next three are parts of it")
    done: int
    failed: int
    quarantined: int = Field(description="Subjects whose answers could not be used")
    calls: int = Field(description="Number of calls to the LLM")
    tokens: int = Field(description="Tokens sent and received")
    cost: float = Field(description=COST)
    created_at: str | None = Field(description="ISO time")


class Cause(BaseModel):
    """Subjects that failed for the same reason."""

    state: State
    error: str | None = Field(description="The reason")
    subjects: int = Field(description="Number of subjects")
    example: str = Field(description="The id of one of them")


class Run(BaseModel):
    """A run with its progress."""

    run: str = Field(description="The id of the run")
    job: str
    model: str = Field(description="The model that it asks")
    state: State
    error: str | None = Field(description="Why it failed or was stopped")
    total: int = Field(description="Number of subjects; the next five are parts of it")
    planned: int
    running: int
    done: int
    failed: int
    quarantined: int = Field(description="Subjects whose answers could not be used")
    calls: int = Field(description="Number of calls to the LLM")
    prompt_tokens: int = Field(description="Tokens sent")
    completion_tokens: int = Field(description="Tokens received")
    cost: float = Field(description=COST)
    budget: str | None = Field(description="What it may spend, in words; null for no limit")
    causes: list[Cause] = Field(description="Why subjects failed")


class NewRun(BaseModel):
    """A job to run on a dataset."""

    model_config = ConfigDict(extra="forbid")

    job: str = Field(
        min_length=1, max_length=100, description="Name of the job; `GET /jobs` lists them", examples=["user_interests"]
    )
    limit: int | None = Field(None, ge=1, le=2**31 - 1, description="Take only this many subjects, the first ones")
    budget: str | None = Field(
        None,
        max_length=50,
        description="What it may spend: `500 calls`, `2M tokens`, or money such as `5 USD`",
        examples=["500 calls"],
    )
    retry_quarantined: bool = Field(False, description="Ask again about subjects whose answers could not be used")
    dry_run: bool = Field(False, description="Only estimate the cost; start nothing", examples=[True])


class Started(BaseModel):
    """What was started, or would be started."""

    run: str = Field(description="The id of the run")
    pending: int = Field(description="Number of subjects that the LLM has to be asked about")
    total: int = Field(description="Number of subjects")
    estimate: Estimate


class Again(BaseModel):
    """How to resume a run."""

    model_config = ConfigDict(extra="forbid")

    budget: str | None = Field(
        None, max_length=50, description="What it may spend from now on, as when it was started", examples=["2M tokens"]
    )
    unlimited: bool = Field(False, description="Remove its budget")


class Retry(BaseModel):
    """Which subjects to retry."""

    model_config = ConfigDict(extra="forbid")

    subjects: list[str] = Field([], max_length=MOST, description="Ids of subjects; empty for all that failed")
    quarantined: bool = Field(False, description="Include subjects whose answers could not be used")


class SubjectQuery(Paged):
    """Which subjects."""

    state: State | None = Field(None, description="Only subjects in this state")


class Subject(BaseModel):
    """One subject of a run."""

    id: str
    name: str | None
    kind: str = Field(description="What it is, such as `User` or `Item`")
    state: State
    attempts: int = Field(description="How often it was tried")
    error: str | None = Field(description="Why it failed")
    completion: str | None = Field(description="The LLM's last answer; `GET …/completions/COMPLETION` returns it")
    updated_at: str | None = Field(description="ISO time")


@operation("GET", "/jobs", tag=TAG, answer=JobKinds)
def kinds() -> JobKinds:
    """List the jobs that can be started."""
    return JobKinds(items=[JobKind(name=each.name, about=each.about, help=each.help) for each in map(job, names())])


@operation("GET", "/datasets/<dataset>/jobs", tag=TAG, answer=Page[RunSummary], query=Paged)
def runs(dataset: str, query: Paged) -> Page[Any]:
    """List the runs of jobs on a dataset, newest first."""
    return by_place(query, lambda skip, limit: control.runs(graph(), dataset, skip + limit)[skip:])


@operation("POST", "/datasets/<dataset>/jobs", tag=TAG, answer=Started, status=202, body=NewRun, scope=Scope.WRITE)
def start(dataset: str, body: NewRun) -> Started:
    """Start a job on a dataset; or, with `dry_run`, estimate what it would cost.

    The same job on the same dataset is the same run: starting it again continues with the subjects that are left.
    """
    plan = control.plan(graph(), settings(), dataset, body.job, limit=body.limit, quarantined=body.retry_quarantined)
    control.read_budget(settings(), body.budget or "", plan.run.model)  # so that an estimate refuses what a start would
    if not body.dry_run:
        _audit(plan.run.uid, control.start(graph(), settings(), plan, body.budget or ""))
    return _started(plan)


@operation("GET", RUN, tag=TAG, answer=Run)
def show(dataset: str, run: str) -> Row:
    """Return a run: its progress, its cost, and why subjects failed."""
    return _stands(_find(dataset, run))


@operation("GET", f"{RUN}/subjects", tag=TAG, answer=Page[Subject], query=SubjectQuery)
def subjects(dataset: str, run: str, query: SubjectQuery) -> Page[Any]:
    """List the subjects of a run, failed ones first."""
    found = {"run": _find(dataset, run), "state": query.state or ""}
    return by_place(query, lambda skip, limit: graph().many("run_subjects", **found, limit=skip + limit)[skip:])


@operation("POST", f"{RUN}/pause", tag=TAG, answer=Run, scope=Scope.WRITE)
def pause(dataset: str, run: str) -> Row:
    """Pause a run.

    No new questions are asked; subjects that are being worked on go back to `planned`.
    """
    return _stop(_find(dataset, run), State.PAUSED)


@operation("POST", f"{RUN}/cancel", tag=TAG, answer=Run, scope=Scope.WRITE)
def cancel(dataset: str, run: str) -> Row:
    """Cancel a run and its batches at the provider. What is already written stays."""
    return _stop(_find(dataset, run), State.CANCELLED)


@operation("POST", f"{RUN}/resume", tag=TAG, answer=Run, body=Again, scope=Scope.WRITE)
def resume(dataset: str, run: str, body: Again) -> Row:
    """Resume a run."""
    found = _find(dataset, run)
    _audit(found, control.resume(graph(), settings(), found, body.budget or "", unlimited=body.unlimited))
    return _stands(found)


@operation("POST", f"{RUN}/retry", tag=TAG, answer=Run, body=Retry, scope=Scope.WRITE)
def retry(dataset: str, run: str, body: Retry) -> Row:
    """Retry the subjects of a run that failed or were cancelled."""
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
    facts = {"run": run.partition(":")[2], "job": opened.job.name, "model": opened.model, "budget": budget}
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

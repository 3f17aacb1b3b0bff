"""Jobs: runs with their progress, what went wrong, and what the LLM was asked and answered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from cikg.access.accounts import Scope
from cikg.errors import InputError, NotFoundError
from cikg.graph import Graph
from cikg.llm.prompts import template
from cikg.schema import State, uid
from web import login
from web.chrome import Link, render
from web.parts import jobs, runs
from web.store import graph, settings
from web.urls import page

blueprint = Blueprint("jobs", __name__)
link = Link("Jobs", "jobs.index", 50)
SHOWN_RUNS = 100
SHOWN_SUBJECTS = 100
_TOLD_ELSEWHERE = {
    *("uid", "dataset", "id", "kind", "name", "state", "total", "error", "parameters"),
    *("created_at", "started_at", "finished_at", "manifest", "curve", "metrics", "report"),
    *("progress", "lease", "leased_until", "said", "home", "opening"),
}


@dataclass(frozen=True)
class JobsPage:
    """The newest runs; `active` while any of them goes on, so that the page refreshes itself."""

    template: ClassVar[str] = "jobs.html"
    dataset: str
    runs: tuple[runs.Run, ...]
    active: bool


@dataclass(frozen=True)
class RunPage:
    """One run.

    Attributes:
        dataset: its dataset.
        run: its state and progress.
        states: how many subjects are in each state.
        progress: how far a command is, in its own words.
        said: what a command printed, one level deep; the text alone where that is no object. Nothing where it failed
            and said why: that is the run's error.
        cure: what to do about the error, where it said so.
        parameters: what it was given, one level deep.
        subjects: some of them, those that went wrong first.
        state: the state that `subjects` is filtered by; empty for any.
        actions: what can be done with it now, by name and label.
        refused: what is wrong with what was sent, and what to do.
        budget: the limit that was sent then.
    """

    template: ClassVar[str] = "run.html"
    dataset: str
    run: runs.Run
    states: dict[str, int]
    progress: str | None
    said: dict[str, Any]
    cure: str | None
    parameters: dict[str, Any]
    subjects: tuple[dict[str, Any], ...]
    state: str
    actions: dict[str, str]
    refused: tuple[str, str | None] | None = None
    budget: str = ""


@dataclass(frozen=True)
class CompletionPage:
    """One answer of the LLM.

    Attributes:
        dataset: its dataset.
        id: the digest of what was asked.
        facts: model, prompt, tokens, latency, status.
        instructions: what the prompt says to every subject, if its version is still the one that was asked with.
        asked: what it said about this subject.
        text: the answer as it came.
    """

    template: ClassVar[str] = "completion.html"
    dataset: str
    id: str
    facts: dict[str, Any]
    instructions: str | None
    asked: str | None
    text: str


def load_jobs(graph: Graph, dataset: str) -> JobsPage:
    """Read the newest runs."""
    newest = runs.newest(graph, dataset, SHOWN_RUNS)
    return JobsPage(dataset, newest, any(run.active for run in newest))


def load_run(graph: Graph, dataset: str, identifier: str, state: str) -> RunPage:
    """Read one run.

    Raises:
        NotFoundError: there is no such run.
    """
    key = uid(dataset, identifier)
    found = graph.many("run_detail", run=key)
    if not found:
        raise NotFoundError(f"{dataset!r} has no run {identifier!r}", cure="The list of jobs shows all runs")
    row = found[0]["run"]
    states = {counted["state"]: counted["subjects"] for counted in graph.many("run_states", run=key)}
    unfinished = states.get(State.PLANNED, 0) + states.get(State.RUNNING, 0)
    further = runs.flatten({name: runs.unpack(value) for name, value in row.items() if name not in _TOLD_ELSEWHERE})
    said = runs.flatten(runs.unpack(row["said"])) if row.get("said") else {}
    failed = row["state"] == State.FAILED and "message" in said
    return RunPage(
        dataset=dataset,
        run=runs.summary({**row, "subjects": sum(states.values()), "finished": sum(states.values()) - unfinished}),
        states=states,
        progress=row.get("progress"),
        said={} if failed else said,
        cure=said.get("cure") if failed else None,
        parameters=runs.flatten(runs.unpack(row.get("parameters")) or {}) | further,
        subjects=tuple(graph.many("run_subjects", run=key, state=state, limit=SHOWN_SUBJECTS)),
        state=state,
        actions=jobs.actions(row["kind"], row.get("name") or "", row["state"], states),
    )


def load_completion(graph: Graph, dataset: str, identifier: str) -> CompletionPage:
    """Read one answer.

    Raises:
        NotFoundError: there is no such answer.
    """
    found = graph.many("completion_detail", completion=uid(dataset, identifier))
    if not found:
        raise NotFoundError(f"{dataset!r} has no completion {identifier!r}", cure="Open it from a job's subject")
    row = found[0]["completion"]
    shown = ("model", "prompt", "prompt_version", "status", "prompt_tokens", "completion_tokens", "latency", "error")
    facts = {name: row[name] for name in (*shown, "created_at") if row.get(name) is not None}
    instructions = _instructions(row.get("prompt"), row.get("prompt_version"))
    return CompletionPage(dataset, identifier, facts, instructions, row.get("asked"), row.get("text") or "")


def _instructions(prompt: str | None, version: int | None) -> str | None:
    if not (prompt or "").isidentifier():  # a name out of the graph must not become a path
        return None
    try:
        found = template(str(prompt))
    except NotFoundError:
        return None
    return found.system if found.version == version else None


@page(blueprint, "/d/<id:dataset>/jobs")
def index(dataset: str) -> Response:
    """The newest runs."""
    return render(load_jobs(graph(), dataset))


@page(blueprint, "/d/<id:dataset>/jobs/<id:identifier>")
def run(dataset: str, identifier: str) -> Response:
    """One run."""
    return render(load_run(graph(), dataset, identifier, request.args.get("state", "")))


@blueprint.post("/d/<id:dataset>/jobs/<id:identifier>/<action>")
@login.needs(Scope.WRITE)
def act(dataset: str, identifier: str, action: str) -> ResponseReturnValue:
    """Pause, resume or cancel a run, or try again what went wrong."""
    budget, actor = request.form.get("budget", ""), login.caller().name
    try:
        following = jobs.act(graph(), settings(), uid(dataset, identifier), action, budget=budget, actor=actor)
    except InputError as error:
        shown = load_run(graph(), dataset, identifier, "")
        return render(replace(shown, refused=(error.message, error.cure), budget=budget), 400)
    return redirect(url_for("jobs.run", dataset=dataset, identifier=following), 303)


@page(blueprint, "/d/<id:dataset>/completions/<id:identifier>")
def completion(dataset: str, identifier: str) -> Response:
    """One answer of the LLM."""
    return render(load_completion(graph(), dataset, identifier))

"""Commands that were queued for a worker: trainings, imports, publications and the like, as `cikg jobs` shows them."""

from __future__ import annotations

from typing import Any

from flask import g
from pydantic import BaseModel, Field

from cikg.access.accounts import Scope
from cikg.extraction import control
from cikg.graph.database import Row
from cikg.schema import State
from web import jobs, login
from web.api.operation import operation
from web.api.paging import Page, Paged, by_place
from web.store import graph, settings

TAG = "Jobs"
COMMAND = "/datasets/<dataset>/commands/<key:run>"


class Command(BaseModel):
    """A command of `cikg` that a worker carries out."""

    run: str = Field(description="The id of its run; `publication` and its like name it, too")
    command: str = Field(description="Its first words: `train mixture`, `import prepared`, …")
    state: State
    progress: str | None = Field(None, description="How far it is, in words")
    error: str | None = Field(None, description="Why it failed, or who cancelled it")
    attempts: int = Field(description="How often a worker began it")
    queue: str = Field(description="The queue that it waits in")
    created_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None


class CommandDetail(Command):
    """A command with what it was given, and what it printed."""

    arguments: list[str] = Field(description="As a person would type them after `cikg`")
    said: str | None = Field(
        None, description="What it printed last, 20,000 characters at most; JSON where it succeeded"
    )


@operation("GET", "/datasets/<dataset>/commands", tag=TAG, answer=Page[Command], query=Paged)
def commands(dataset: str, query: Paged) -> Page[Any]:
    """The commands of a dataset that were queued, the newest first: trainings, imports, publications, reports."""
    return by_place(query, lambda skip, limit: control.commands(graph(), dataset, skip + limit)[skip:])


@operation("GET", COMMAND, tag=TAG, answer=CommandDetail)
def show(dataset: str, run: str) -> Row:
    """How far a command is, and what it printed once it has ended."""
    return jobs.command(graph(), dataset, run)


@operation("POST", f"{COMMAND}/retry", tag=TAG, answer=CommandDetail, status=202, scope=Scope.WRITE)
def retry(dataset: str, run: str) -> Row:
    """Queue a command that failed or was cancelled once more, as it was given; it is a run of its own."""
    return jobs.command(graph(), dataset, jobs.again(graph(), settings(), dataset, run))


@operation("POST", f"{COMMAND}/cancel", tag=TAG, answer=CommandDetail, scope=Scope.WRITE)
def cancel(dataset: str, run: str) -> Row:
    """End a command before its time; its worker notices within seconds. Queued again, it goes on from where it was."""
    found = jobs.command(graph(), dataset, run)["uid"]
    control.stop(graph(), settings(), found, State.CANCELLED, login.caller().name)
    g.audited = {"run": found}
    return jobs.command(graph(), dataset, run)

"""Commands that were queued for a worker: trainings, imports, publications and the like, as `cikg jobs` shows them."""

from __future__ import annotations

from typing import Any

from flask import g
from pydantic import BaseModel, Field

from cikg.access.accounts import Scope
from cikg.extraction import control
from cikg.graph.database import Row
from cikg.schema import State
from web import login
from web.api.operation import operation
from web.api.paging import Page, Paged, by_place
from web.parts import jobs
from web.store import graph, settings

TAG = "Jobs"
COMMAND = "/datasets/<dataset>/commands/<key:run>"


class Command(BaseModel):
    """A command of `cikg` that is queued for a worker, runs on one, or has ended."""

    run: str = Field(description="The id of the command")
    command: str = Field(description="Its first words: `train mixture`, `import prepared`, …")
    state: State = Field(description="`planned`, `running`, then `done`, `failed` or `cancelled`")
    progress: str | None = Field(None, description="Its progress, in words")
    error: str | None = Field(None, description="Why it failed, or who cancelled it")
    attempts: int = Field(description="How often a worker has started it")
    queue: str = Field(description="The queue it belongs to")
    created_at: str | None = Field(None, description="When it was queued, as ISO time")
    started_at: str | None = Field(None, description="When a worker first started it")
    finished_at: str | None = Field(None, description="When it ended")


class CommandDetail(Command):
    """A command with its arguments and its output."""

    arguments: list[str] = Field(description="What would be typed after `cikg`")
    said: str | None = Field(None, description="The end of its output, at most 20,000 characters; JSON if it succeeded")


@operation("GET", "/datasets/<dataset>/commands", tag=TAG, answer=Page[Command], query=Paged)
def commands(dataset: str, query: Paged) -> Page[Any]:
    """List a dataset's commands, newest first: trainings, imports, publications, reports."""
    return by_place(query, lambda skip, limit: control.commands(graph(), dataset, skip + limit)[skip:])


@operation("GET", COMMAND, tag=TAG, answer=CommandDetail)
def show(dataset: str, run: str) -> Row:
    """Return a command: its state and progress, and its output once it has ended."""
    return jobs.command(graph(), dataset, run)


@operation("POST", f"{COMMAND}/retry", tag=TAG, answer=CommandDetail, status=202, scope=Scope.WRITE)
def retry(dataset: str, run: str) -> Row:
    """Queue a command that failed or was cancelled again, with the same arguments.

    The new command has an id of its own.
    """
    return jobs.command(graph(), dataset, jobs.again(graph(), settings(), dataset, run))


@operation("POST", f"{COMMAND}/cancel", tag=TAG, answer=CommandDetail, scope=Scope.WRITE)
def cancel(dataset: str, run: str) -> Row:
    """Cancel a command.

    Its worker stops within seconds. If the command is queued again, it resumes from what it has kept.
    """
    found = jobs.command(graph(), dataset, run)["uid"]
    control.stop(graph(), settings(), found, State.CANCELLED, login.caller().name)
    g.audited = {"run": found}
    return jobs.command(graph(), dataset, run)

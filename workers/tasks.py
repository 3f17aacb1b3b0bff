"""The tasks: names under which the queue knows what `cikg` does."""

from __future__ import annotations

import structlog
from celery import Task

from cikg.errors import ServiceError
from cikg.extraction import commands
from cikg.extraction.queue import CARRY_OUT, WORK_SHARD
from workers.app import app, leaving, place_for_command, runner, settings


@app.task(bind=True, name=WORK_SHARD, autoretry_for=(ServiceError,), retry_backoff=True, max_retries=5)  # type: ignore[untyped-decorator]
def work_shard(self: Task, run: str, shard: int) -> None:
    """Do what is left of one shard of a run; tried again while Neo4j is away."""
    with structlog.contextvars.bound_contextvars(task=self.request.id):
        runner().work_shard(run, shard)


@app.task(name=CARRY_OUT, acks_late=False)  # type: ignore[untyped-decorator] # a training outlasts what Redis waits for
def carry_out(run: str) -> None:
    """Carry out a command; it is sent again where its worker dies, or has no room for it."""
    with place_for_command() as free:
        if free:
            commands.carry_out(runner().graph, settings, run, leaving.is_set)

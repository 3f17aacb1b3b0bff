"""The tasks: names under which the queue knows what `cikg` does."""

from __future__ import annotations

import structlog
from celery import Task

from cikg.errors import ServiceError
from cikg.extraction.queue import WORK_SHARD
from workers.app import app, runner


@app.task(bind=True, name=WORK_SHARD, autoretry_for=(ServiceError,), retry_backoff=True, max_retries=5)  # type: ignore[untyped-decorator]
def work_shard(self: Task, run: str, shard: int) -> None:
    """Do what is left of one shard of a run; tried again while Neo4j is away."""
    with structlog.contextvars.bound_contextvars(task=self.request.id):
        runner().work_shard(run, shard)

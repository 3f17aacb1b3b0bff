"""Following the workers until a run ends."""

from __future__ import annotations

import time
from datetime import datetime

from celery import Celery

from cikg.cli._output import messages, progress_bar
from cikg.errors import UnreachableError
from cikg.extraction import ledger, queue
from cikg.graph import Graph
from cikg.progress import Advance
from cikg.schema import State
from cikg.settings import Settings

_POLL_SECONDS = 0.25
_RESTART_SECONDS = 30.0
"""How long a worker that was there may be away before we say so: a supervisor restarts it in less."""


def follow(graph: Graph, app: Celery, run: str, settings: Settings, *, quiet: bool) -> None:
    """Show a run's progress until it ends, or is paused.

    When nothing ended for as long as a lease lasts, see whether a worker is there at all, and queue again what a lost
    message or a dead worker left behind.

    Raises:
        UnreachableError: no worker answers.
    """
    stands = ledger.progress(graph, run)
    pending = stands["planned"] + stands["running"]
    with progress_bar(run.partition(":")[2].rpartition("-")[0], pending, quiet=quiet) as advance:
        _watch(graph, app, run, pending=pending, quiet_seconds=settings.lease_seconds, advance=advance)


def _watch(graph: Graph, app: Celery, run: str, *, pending: int, quiet_seconds: float, advance: Advance) -> None:
    shown, heard, patience, resting = 0, time.monotonic(), quiet_seconds, False
    while True:
        now = ledger.progress(graph, run)
        ended = pending - now["planned"] - now["running"]
        if ended > shown:
            advance(ended - shown)
            shown, heard, patience = ended, time.monotonic(), quiet_seconds
        if now["state"] != State.RUNNING and (not now["running"] or time.monotonic() - heard > quiet_seconds):
            return  # once what was under way has ended or been given back
        if now["resume_at"] and now["resume_at"] / 1000 > time.time():
            if not resting:
                resting = True
                again = datetime.fromtimestamp(now["resume_at"] / 1000).astimezone()
                messages.print(f"{now['error']}; continuing at {again:%H:%M:%S}", soft_wrap=True)
            heard, patience = now["resume_at"] / 1000 - time.time() + time.monotonic(), 0.0
        else:
            resting = False
        if time.monotonic() - heard > patience:
            _wake(graph, app, run)
            heard, patience = time.monotonic(), min(2 * patience, 60.0)
        time.sleep(_POLL_SECONDS)


def _wake(graph: Graph, app: Celery, run: str) -> None:
    """See that a worker is there, waiting for one that is being restarted, and queue what nobody holds."""
    deadline = time.monotonic() + _RESTART_SECONDS
    while not queue.workers(app):
        if time.monotonic() > deadline:
            raise no_worker()
    queue.enqueue(app, run, ledger.open_shards(graph, run))


def no_worker() -> UnreachableError:
    """The error where the queue has nobody who works on it."""
    return UnreachableError(
        "no worker answers",
        cure="Start one with `cikg up`, or with `celery --app workers.app worker`; what is queued is kept",
    )

"""The tasks: names under which the queue knows what `cikg` does."""

from __future__ import annotations

import os
import subprocess
import sys
from subprocess import DEVNULL

import structlog
from celery import Task

from cikg.errors import ServiceError
from cikg.extraction.queue import CARRY_OUT, COMMANDS, WORK_SHARD
from workers.app import app, runner

_log = structlog.stdlib.get_logger(__name__)
_COMMAND = (
    "import sys; from cikg.embedded import guard; guard.die_with_parent(int(sys.argv[1])); "
    "from cikg.cli import main; main(sys.argv[2:])"
)


@app.task(bind=True, name=WORK_SHARD, autoretry_for=(ServiceError,), retry_backoff=True, max_retries=5)  # type: ignore[untyped-decorator]
def work_shard(self: Task, run: str, shard: int) -> None:
    """Do what is left of one shard of a run; tried again while Neo4j is away."""
    with structlog.contextvars.bound_contextvars(task=self.request.id):
        runner().work_shard(run, shard)


@app.task(name=CARRY_OUT, acks_late=False)  # type: ignore[untyped-decorator] # a training outlasts what Redis waits for
def carry_out(arguments: list[str]) -> None:
    """Carry out a command in a process of its own, whose memory and processor are not the LLM's."""
    if arguments[0] not in COMMANDS:
        return
    command = [sys.executable, "-c", _COMMAND, str(os.getpid()), *arguments, "--json"]
    done = subprocess.run(command, stdin=DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603
    facts = {"command": arguments, "code": done.returncode, "said": (done.stdout or done.stderr)[-2_000:]}
    (_log.error if done.returncode else _log.info)("a command ended", **facts)

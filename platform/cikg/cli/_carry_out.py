"""Carrying out what is pending of a job: through the queue, followed to its end."""

from __future__ import annotations

import time
from typing import Any

import click

from cikg.cli._batches import follow_batches
from cikg.cli._follow import follow, no_worker
from cikg.cli._output import messages
from cikg.errors import JobError
from cikg.extraction import batching, ledger, queue
from cikg.extraction.budget import Budget
from cikg.graph import Graph
from cikg.schema import State
from cikg.settings import Settings


def carry_out(
    graph: Graph,
    settings: Settings,
    plan: ledger.Plan,
    *,
    wait: bool,
    quiet: bool,
    budget: Budget | None = None,
    batch: bool | None = None,
) -> dict[str, Any]:
    """Do what is pending of a plan; say what was done. `calls`, `tokens` and `cost` are those of this call.

    Whether questions go in batches is left as it is unless `batch` says it.

    Raises:
        UnreachableError: Redis or the workers do not answer.
    """
    began = time.monotonic()
    before = _progress_or_none(graph, plan) or {}
    mode = {True: batching.SUBMIT, False: batching.COLLECT, None: None}[batch]
    after = _run(graph, settings, plan, wait=wait, quiet=quiet, budget=budget, batch=mode)
    calls, prompt, completion, cost = (
        after.get(name, 0) - before.get(name, 0) for name in ("calls", "prompt_tokens", "completion_tokens", "cost")
    )
    return {
        "run": plan.run.uid,
        "state": after.get("state"),
        "total": after.get("total", 0),
        "done": after.get("done", 0),
        "failed": after.get("failed", 0),
        "quarantined": after.get("quarantined", 0),
        "pending": after.get("planned", 0) + after.get("running", 0),
        "calls": calls,
        "tokens": prompt + completion,
        "cost": cost if plan.run.model in settings.llm_prices else None,
        "seconds": round(time.monotonic() - began, 2),
    }


def failure(graph: Graph, result: dict[str, Any]) -> JobError | None:
    """The error that a waiting command ends with, where subjects failed or the run was stopped."""
    if not result["failed"] and not result["pending"]:
        return None
    run = result["run"]
    causes = [row["error"] for row in ledger.errors(graph, run) if row["state"] == State.FAILED]
    said = ledger.progress(graph, run).get("error") or next(iter(causes), "the run was stopped")
    wrong = (("failed", result["failed"]), ("were not asked", result["pending"]))
    counted = " and ".join(f"{count:,} {what}" for what, count in wrong if count)
    return JobError(
        f"of {result['total']:,} subjects {counted}: {said.rstrip('.')}",
        cure="The same command resumes from there",
    )


def end(error: JobError | None) -> None:
    """Say what went wrong, if anything did, and end with the code that tells scripts.

    Raises:
        click.exceptions.Exit: something did.
    """
    if error is not None:
        messages.print(f"cikg: {error}", style="red", soft_wrap=True)
        raise click.exceptions.Exit(error.exit_code)


def _run(
    graph: Graph,
    settings: Settings,
    plan: ledger.Plan,
    *,
    wait: bool,
    quiet: bool,
    budget: Budget | None,
    batch: str | None,
) -> dict[str, Any]:
    """Start what is pending and follow it to its end; where the run stands then."""
    run = plan.run.uid
    if plan.pending:
        app = queue.create_app(settings)
        if wait and not queue.workers(app):
            raise no_worker()
        ledger.start(graph, plan, budget, batch)
        if wait:
            follow_batches(graph, settings, run, quiet=quiet)
        else:
            batching.advance(graph, settings, run)
        try:
            queue.enqueue(app, run, ledger.open_shards(graph, run))
            if wait:
                follow(graph, app, run, settings, quiet=quiet)
        except KeyboardInterrupt:
            ledger.stop(graph, run, State.CANCELLED, "interrupted")
            raise
    elif plan.total:
        ledger.start(graph, plan)
    return _progress_or_none(graph, plan) or {}


def _progress_or_none(graph: Graph, plan: ledger.Plan) -> dict[str, Any] | None:
    """Where the run stands; None before it was ever started."""
    return ledger.progress(graph, plan.run.uid) if graph.many("run_exists", run=plan.run.uid) else None

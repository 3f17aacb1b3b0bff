"""`cikg extract`: plan a job's subjects, queue them, and follow the workers."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import click

from cikg.cli._batches import follow_batches
from cikg.cli._follow import follow, no_worker
from cikg.cli._output import dataset_option, json_option, messages, print_facts, print_json, print_table
from cikg.errors import JobError
from cikg.extraction import batching, ledger, queue
from cikg.extraction.budget import Budget
from cikg.extraction.budget import parse as parse_budget
from cikg.extraction.estimate import estimate
from cikg.extraction.job import job, names
from cikg.graph import Graph, connect
from cikg.llm.answers import address_and_model
from cikg.schema import State
from cikg.settings import Settings, load_settings


@click.command("extract", short_help="Let the LLM find what users like and items offer.")
@click.argument("job_name", metavar="[JOB]", default="user_interests")
@dataset_option
@json_option
@click.option("--wait/--no-wait", default=True, help="Follow the workers until the run ends, or only queue it.")
@click.option("--limit", type=click.IntRange(min=1), help="Take the first so many subjects alone.")
@click.option("--list", "list_jobs", is_flag=True, help="Show every job, and ask nothing.")
@click.option("--dry-run", is_flag=True, help="Say how many calls and tokens it would cost, and stop.")
@click.option(
    "--budget",
    "budget_text",
    metavar="LIMIT",
    help="Pause once this much is spent: '500 calls', '2M tokens', or money such as '5 USD'.",
)
@click.option(
    "--batch/--no-batch",
    default=None,
    help="Send the questions in batches, which costs about half and may take a day; or ask directly again, once what "
    "was sent has come back.",
)
@click.option("--retry-quarantined", is_flag=True, help="Ask again where an answer could not be used.")
def command(
    *,
    job_name: str,
    dataset: str,
    as_json: bool,
    wait: bool,
    limit: int | None,
    list_jobs: bool,
    dry_run: bool,
    budget_text: str | None,
    batch: bool | None,
    retry_quarantined: bool,
) -> None:
    """Have a JOB ask the LLM about each user or item, through the queue; user_interests unless another is named.

    The same command resumes what was interrupted, and repeats nothing that is done. A subject whose history or text has
    changed is asked about again. Interrupting it stops the run; what is committed stays.
    """
    if list_jobs:
        _list(as_json)
        return
    settings = load_settings()
    with connect(settings) as graph:
        _, model = address_and_model(settings)
        limit_of_cost = parse_budget(budget_text, settings, model) if budget_text else None
        plan = ledger.plan(graph, job(job_name), dataset, model, limit=limit, quarantined=retry_quarantined)
        if dry_run:
            expected = estimate(graph, plan, settings, batch=bool(batch))
            _show({"run": plan.run.uid, "total": plan.total, **asdict(expected)}, as_json, "What it would cost")
            return
        result = carry_out(graph, settings, plan, wait=wait, quiet=as_json, budget=limit_of_cost, batch=batch)
        error = failure(graph, result) if wait else None
    _show({**result, **(error.as_dict() if error else {})}, as_json, f"{job_name} of {dataset}")
    if result["quarantined"]:
        messages.print(f"{result['quarantined']} answers could not be used; their subjects are quarantined")
    if error is not None:
        messages.print(f"[red]cikg: {error}[/red]", soft_wrap=True)
        raise click.exceptions.Exit(error.exit_code)


def _list(as_json: bool) -> None:
    found = [job(name) for name in names()]
    if as_json:
        print_json([{"name": each.name, "about": str(each.about), "help": each.help} for each in found])
        return
    print_table("Jobs", ["job", "about", "finds"], [[each.name, str(each.about), each.help] for each in found])


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
    return JobError(
        f"{result['failed']} of {result['total']} subjects failed and {result['pending']} were not asked: "
        + said.rstrip("."),
        cure="The same command goes on from there",
    )


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


def _show(result: dict[str, Any], as_json: bool, title: str) -> None:
    if as_json:
        print_json(result)
    else:
        print_facts(title, result)

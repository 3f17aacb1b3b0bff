"""`cikg extract`: plan a job's subjects, or those of a whole pipeline, queue them, and follow the workers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from cikg.cli._carry_out import carry_out, end, failure
from cikg.cli._output import dataset_option, json_option, messages, print_facts, print_json, print_table
from cikg.cli._pipelines import Wanted, carry_out_all, expect, title
from cikg.errors import InputError, JobError
from cikg.extraction.budget import Budget
from cikg.extraction.budget import parse as parse_budget
from cikg.extraction.estimate import estimate
from cikg.extraction.job import job, names
from cikg.extraction.pipelines import PIPELINES, Pipeline
from cikg.graph import Graph, connect
from cikg.llm.answers import address_and_model
from cikg.settings import Settings, load_settings


@click.command("extract")
@click.argument("name", metavar="[JOB]", default="user_interests")
@dataset_option
@json_option
@click.option("--wait/--no-wait", default=True, help="Wait for the run to end, or only queue it.")
@click.option("--limit", type=click.IntRange(min=1), help="Process at most this many subjects.")
@click.option("--list", "list_jobs", is_flag=True, help="List the jobs and pipelines, then exit.")
@click.option("--dry-run", is_flag=True, help="Estimate the calls, tokens, money and time, then exit.")
@click.option(
    "--budget",
    "budget_text",
    metavar="LIMIT",
    help="Pause once this much is spent: '500 calls', '2M tokens', or money such as '5 USD'.",
)
@click.option(
    "--batch/--no-batch",
    default=None,
    help="Use the provider's batch API, which costs about half and may take a day. --no-batch returns to direct "
    "questions once the batches already sent have come back.",
)
@click.option("--retry-quarantined", is_flag=True, help="Ask again where the answer could not be used.")
def command(
    *,
    name: str,
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
    """Run a JOB, which asks the LLM about each user or item, through the queue (default: user_interests).

    Name a pipeline (cikgrec, ikgr, seekrec, colakg) instead of a job to run all stages of a paper in order.

    Repeat the command to resume an interrupted run. Finished subjects are not asked about again unless their
    history or text has changed. Ctrl-C stops the run and keeps what is committed.
    """
    if list_jobs:
        _list(as_json)
        return
    settings = load_settings()
    with connect(settings) as graph:
        _, model = address_and_model(settings)
        budget = parse_budget(budget_text, settings, model) if budget_text else None
        wanted = Wanted(dataset, model, limit, retry_quarantined, batch)
        if name in PIPELINES:
            if not wait:
                raise InputError(
                    "a pipeline's stages wait for each other", cure="Leave out --no-wait, or give a single job"
                )
            _pipeline(graph, settings, PIPELINES[name], wanted, dry_run=dry_run, budget=budget, as_json=as_json)
            return
        plan = wanted.plan(graph, name)
        if dry_run:
            expected = estimate(graph, plan, settings, batch=bool(batch))
            _show({"run": plan.run.uid, "total": plan.total, **asdict(expected)}, as_json, "What it would cost")
            return
        result = carry_out(graph, settings, plan, wait=wait, quiet=as_json, budget=budget, batch=batch)
        error = failure(graph, result) if wait else None
    _show(result | (error.as_dict() if error and as_json else {}), as_json, f"{name} of {dataset}")
    _end(result, error)


def _pipeline(
    graph: Graph,
    settings: Settings,
    pipeline: Pipeline,
    wanted: Wanted,
    *,
    dry_run: bool,
    budget: Budget | None,
    as_json: bool,
) -> None:
    """Carry out a pipeline, or say what it would cost."""
    if dry_run:
        expected = expect(graph, settings, pipeline, wanted)
        if as_json:
            print_json(expected)
            return
        columns = ["calls", "prompt_tokens", "completion_tokens", "cost", "seconds"]
        rows = [[row["stage"], *(row.get(column) for column in columns)] for row in expected["stages"]]
        rows.append(["in all", *(expected[column] for column in columns)])
        named = ["stage", "calls", "tokens sent", "received", "cost", "seconds"]
        print_table(f"What {pipeline.name} would cost, asking {wanted.model}", named, rows, fold=True)
        if not expected["certain"]:
            messages.print("Later stages depend on what earlier ones find; what is not known yet is not counted.")
        return
    result, error = carry_out_all(graph, settings, pipeline, wanted, quiet=as_json, budget=budget)
    if as_json:
        print_json({**result, **(error.as_dict() if error else {})})
    else:
        facts = {key: value for key, value in result.items() if key not in ("stages", "pipeline", "dataset")}
        print_facts(f"{pipeline.name} of {wanted.dataset}", facts)
    _end(result, error)


def _end(result: dict[str, Any], error: JobError | None) -> None:
    """Say what went wrong, and end with the code that tells scripts.

    Raises:
        click.exceptions.Exit: something did.
    """
    if result["quarantined"]:
        messages.print(f"{result['quarantined']} answers could not be used; their subjects are quarantined")
    end(error)


def _list(as_json: bool) -> None:
    found = [job(name) for name in names()]
    if as_json:
        jobs = [{"name": each.name, "about": str(each.about), "help": each.help} for each in found]
        pipelines = [
            {"name": each.name, "stages": [title(stage) for stage in each.stages], "help": each.help}
            for each in PIPELINES.values()
        ]
        print_json({"jobs": jobs, "pipelines": pipelines})
        return
    print_table("Jobs", ["job", "about", "finds"], [[each.name, str(each.about), each.help] for each in found])
    rows = [[each.name, " → ".join(map(title, each.stages))] for each in PIPELINES.values()]
    print_table("Pipelines", ["pipeline", "stages"], rows, fold=True)


def _show(result: dict[str, Any], as_json: bool, title: str) -> None:
    if as_json:
        print_json(result)
    else:
        print_facts(title, {name.replace("_", " "): value for name, value in result.items() if value is not None})

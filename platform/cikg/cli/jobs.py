"""`cikg jobs`: the runs of LLM jobs, and what a person can do with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from cikg.cli._carry_out import end, failure
from cikg.cli._follow import follow
from cikg.cli._output import (
    confirm,
    console,
    dataset_option,
    json_option,
    messages,
    print_facts,
    print_json,
    print_table,
    yes_option,
)
from cikg.errors import InputError
from cikg.extraction import batching, commands, control, ledger, queue
from cikg.graph import Graph, connect, datasets
from cikg.schema import State, uid
from cikg.settings import Settings, load_settings

MOST_SHOWN = 20
RUN_IS = "RUN is a run's id, a prefix of one, or the name of a job, which means its newest run."


def _wait_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--wait/--no-wait", default=False, help="Wait for the run to end.")(function)


@click.group("jobs", epilog=RUN_IS)
def command() -> None:
    """Follow the runs of LLM jobs; pause, resume, cancel and retry them."""


@command.command("list", short_help="Show the runs and the queued commands.")
@click.option("--all", "everywhere", is_flag=True, help="Include all datasets.")
@dataset_option
@json_option
def list_runs(*, everywhere: bool, dataset: str, as_json: bool) -> None:
    """Show the runs and the queued commands, newest first."""
    whose = None if everywhere else dataset
    with connect(load_settings()) as graph:
        rows, queued = control.runs(graph, whose), control.commands(graph, whose)
        if whose is not None and not rows and not queued:
            datasets.check(graph, whose)
    if as_json:
        print_json({"runs": rows, "commands": queued})
        return
    where = ["dataset"] if everywhere else []
    if not rows and not queued:
        messages.print("No job has run here. `cikg extract` starts one.")
    for row in rows:
        row |= {"done": f"{row['done']:,} of {row['total']:,}", "wrong": row["failed"] + row["quarantined"]}
    for title, columns, found in (
        ("Runs of LLM jobs", ("run", *where, "state", "done", "wrong", "tokens"), rows),
        ("Queued commands", ("run", *where, "command", "state", "progress"), queued),
    ):
        if found:
            print_table(title, columns, [[row[column] for column in columns] for row in found], fold=True)


@command.command(epilog=RUN_IS)
@click.argument("run")
@dataset_option
@json_option
def show(*, run: str, dataset: str, as_json: bool) -> None:
    """Show the state of RUN, its cost, and why subjects failed."""
    with connect(load_settings()) as graph:
        found = control.find(graph, dataset, run)
        queued = [row for row in control.commands(graph, dataset) if uid(dataset, row["run"]) == found]
        if queued:
            _show_command(queued[0], as_json)
            return
        stands, causes = ledger.progress(graph, found), ledger.errors(graph, found)
        opened = ledger.open_run(graph, found)
        batches = batching.listed(graph, found)
    budget = str(opened.allowance.budget) if opened.allowance else None
    facts = {"run": found.partition(":")[2], "model": opened.model, **stands, "budget": budget}
    if as_json:
        print_json(facts | {"errors": causes, "batches": batches})
        return
    told = {name.replace("_", " "): value for name, value in facts.items() if value or name in ("total", "done")}
    print_facts(found, told)
    if causes:
        rows = [[row["subjects"], row["state"], row["error"], row["example"]] for row in causes]
        print_table("What went wrong", ["subjects", "state", "cause", "for example"], rows)
    if batches:
        shown = ["batch", "round", "state", "questions", "answered", "error"]
        print_table("Batches", shown, [[batch[column] for column in shown] for batch in batches])


def _show_command(row: dict[str, Any], as_json: bool) -> None:
    """Where a queued command stands, and what it printed."""
    if as_json:
        print_json(row)
        return
    said = row.pop("said")
    print_facts(row["run"], {name.replace("_", " "): value for name, value in row.items() if value})
    try:
        told = json.loads(said or "null")
    except ValueError:
        console.print(said, highlight=False)
        return
    if told:
        short = {name: value for name, value in told.items() if isinstance(value, (str, int, float))}
        print_facts("What it said", short)


@command.command(short_help="Pause a run.", epilog=RUN_IS)
@click.argument("run")
@dataset_option
@json_option
def pause(*, run: str, dataset: str, as_json: bool) -> None:
    """Pause RUN: no new questions are asked, subjects in progress go back to the queue, `resume` continues."""
    _stop(run, dataset, State.PAUSED, as_json)


@command.command(epilog=RUN_IS)
@click.argument("run")
@dataset_option
@json_option
def cancel(*, run: str, dataset: str, as_json: bool) -> None:
    """Cancel RUN and its batches. What is committed stays; `cikg extract` or `resume` continues it."""
    _stop(run, dataset, State.CANCELLED, as_json)


def _stop(run: str, dataset: str, state: State, as_json: bool) -> None:
    settings = load_settings()
    with connect(settings) as graph:
        found = control.find(graph, dataset, run)
        stands = control.stop(graph, settings, found, state)
    if as_json:
        print_json({"run": found, **stands})
        return
    done = f": {stands['done']:,} of {stands['total']:,} done" if stands["total"] else ""
    messages.print(f"{found} is {stands['state']}{done}.")


@command.command(epilog=RUN_IS)
@click.argument("run")
@click.option("--budget", default="", metavar="LIMIT", help="What it may still spend, as for `cikg extract`.")
@click.option("--no-budget", "unlimited", is_flag=True, help="Remove its budget.")
@_wait_option
@dataset_option
@json_option
def resume(*, run: str, budget: str, unlimited: bool, wait: bool, dataset: str, as_json: bool) -> None:
    """Continue RUN with its remaining subjects."""
    settings = load_settings()
    with connect(settings) as graph:
        found = control.find(graph, dataset, run)
        control.resume(graph, settings, found, budget, unlimited=unlimited)
        _report(graph, settings, found, wait=wait, as_json=as_json)


@command.command(epilog=RUN_IS)
@click.argument("run")
@click.argument("subjects", nargs=-1, metavar="[SUBJECT]...")
@click.option("--quarantined", is_flag=True, help="Include those whose answers could not be used.")
@_wait_option
@dataset_option
@json_option
def retry(*, run: str, subjects: tuple[str, ...], quarantined: bool, wait: bool, dataset: str, as_json: bool) -> None:
    """Retry the failed subjects of RUN, or only these SUBJECTs."""
    settings = load_settings()
    with connect(settings) as graph:
        found = control.find(graph, dataset, run)
        control.retry(graph, settings, found, subjects, quarantined=quarantined)
        _report(graph, settings, found, wait=wait, as_json=as_json)


def _report(graph: Graph, settings: Settings, run: str, *, wait: bool, as_json: bool) -> None:
    """Follow a run that is queued, if wanted, and say where it stands.

    Raises:
        click.exceptions.Exit: it was followed, and did not end well.
    """
    if wait:
        follow(graph, queue.create_app(settings), run, settings, quiet=as_json)
    stands = ledger.progress(graph, run)
    left = stands["planned"] + stands["running"]
    error = failure(graph, {"run": run, "pending": left, **stands}) if wait else None
    if as_json:
        print_json({"run": run, **stands, **(error.as_dict() if error else {})})
    else:
        wrong = "".join(f", {stands[name]:,} {name}" for name in ("failed", "quarantined") if stands[name])
        done = f"{stands['done']:,} of {stands['total']:,} done"
        messages.print(f"{run} is {stands['state']}: {done}{wrong}, {left:,} to go.")
    end(error)


@command.command("queue", context_settings={"ignore_unknown_options": True}, short_help="Queue a command for a worker.")
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND [ARGUMENT]...")
@json_option
def queue_command(*, arguments: tuple[str, ...], as_json: bool) -> None:
    """Queue a cikg COMMAND, such as `train cikgrec --dataset demo`, for a worker and return at once.

    It can be listed, shown and cancelled like a job. If its worker dies, another one picks it up and continues from
    its last checkpoint. Training, tuning and measuring wait in the queue `training`, other commands in `graph`. A
    worker serves all queues unless it is started with --queues.
    """
    settings = load_settings()
    with connect(settings) as graph:
        dataset, _, run = commands.enqueue(graph, settings, arguments).partition(":")
    name = commands.COMMANDS[arguments[0]]
    if as_json:
        print_json({"command": list(arguments), "queue": name, "run": run})
    else:
        text = f"`cikg {' '.join(arguments)}` waits in the queue {name}. Next: cikg jobs show {run} --dataset {dataset}"
        messages.print(text, soft_wrap=True, highlight=False)


@command.command(short_help="Show answers that could not be used.", epilog=RUN_IS)
@click.argument("run")
@click.option("--limit", type=click.IntRange(1), default=MOST_SHOWN, show_default=True, help="Maximum number to show.")
@dataset_option
@json_option
def quarantine(*, run: str, limit: int, dataset: str, as_json: bool) -> None:
    """Show the subjects of RUN whose answers could not be used, and the answers as they came."""
    with connect(load_settings()) as graph:
        rows = graph.many("quarantined_subjects", run=control.find(graph, dataset, run), limit=limit)
    if as_json:
        print_json({"quarantined": rows})
        return
    for row in rows:
        console.rule(row["subject"], align="left")
        console.print(row["error"], style="red")
        console.print(row["answer"] or "")
    if not rows:
        messages.print("Every answer could be used.")


@command.command(short_help="Show what was asked about a user or an item.")
@click.argument("subject")
@dataset_option
@json_option
def trace(*, subject: str, dataset: str, as_json: bool) -> None:
    """Show what every job asked about SUBJECT, a user or an item, and the answers."""
    with connect(load_settings()) as graph:
        rows = control.trail(graph, dataset, subject)
    if as_json:
        print_json({"subject": subject, "trail": rows})
        return
    for row in rows:
        console.rule(f"{row['job']} · {row['state']} · {row['updated_at']}", align="left")
        console.print(
            f"{row['model']}, {row['prompt']} version {row['prompt_version']}, {row['tokens']} tokens", style="dim"
        )
        for text in (row["asked"], row["answer"], row["error"]):
            if text:
                console.print(text)


@command.command()
@click.option("--prompt", default="", metavar="NAME", help="Only answers to this prompt.")
@click.option("--model", default="", metavar="NAME", help="Only answers of this model.")
@click.option("--run", default="", metavar="RUN", help="Only answers requested by this run.")
@click.option("--dry-run", is_flag=True, help="Only count them.")
@yes_option
@dataset_option
@json_option
def purge(*, prompt: str, model: str, run: str, dry_run: bool, yes: bool, dataset: str, as_json: bool) -> None:
    """Delete stored answers, so that they are asked for again. What was written to the graph from them stays."""
    if not (prompt or model or run):
        raise InputError("expected --prompt, --model or --run", cure="Give one of them, to say which answers to delete")
    with connect(load_settings()) as graph:
        count = control.purge(graph, dataset, prompt=prompt, model=model, run=run, dry_run=True)
        if count and not dry_run:
            if not yes:
                loss = f"This deletes {count:,} answers about {dataset}. To ask again will cost again."
                confirm(loss, "Delete them?", "Nothing was deleted.", as_json=as_json)
            count = control.purge(graph, dataset, prompt=prompt, model=model, run=run, dry_run=False)
    if as_json:
        print_json({"dataset": dataset, "completions": count, "purged": not dry_run})
        return
    many = f"{count:,} answers {'would be' if dry_run else 'are'} deleted."
    messages.print(many if count else f"No stored answer of {dataset} matches; nothing is deleted.")

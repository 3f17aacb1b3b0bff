"""What a person does with a job: plan it, start it, pause it, cancel it, let it go on, try again what went wrong.

The command line, the pages and the API all do it here.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Sequence
from typing import Any

from cikg.errors import ConflictError, InputError, NotFoundError, did_you_mean
from cikg.extraction import batching, ledger, queue
from cikg.extraction.budget import Budget
from cikg.extraction.budget import parse as parse_budget
from cikg.extraction.job import job
from cikg.graph import Graph, datasets
from cikg.llm.answers import address_and_model
from cikg.llm.prompts import names as prompt_names
from cikg.schema import State, uid
from cikg.settings import Settings

MOST_RUNS = 1_000
PURGED = 1_000
"""Answers forgotten a transaction."""


def runs(graph: Graph, dataset: str | None = None, limit: int = MOST_RUNS) -> list[dict[str, Any]]:
    """The runs of LLM jobs, the newest first; of all datasets if None."""
    return graph.many("extraction_runs", dataset=dataset or "", limit=limit)


def commands(graph: Graph, dataset: str | None = None, limit: int = MOST_RUNS) -> list[dict[str, Any]]:
    """The commands that were queued, the newest first; of all datasets if None."""
    return graph.many("command_runs", dataset=dataset or "", limit=limit)


def find(graph: Graph, dataset: str, name: str) -> str:
    """The uid of a run that a person names: its id, the beginning of it, or a job or command, whose newest it is then.

    Raises:
        NotFoundError: there is none, and says which there are; or no such dataset.
        InputError: several begin like this.
    """
    known = [*runs(graph, dataset), *commands(graph, dataset)]
    for row in known:
        if name in (row["run"], row.get("job"), row.get("command")):
            return uid(dataset, row["run"])
    begun = [row["run"] for row in known if row["run"].startswith(name)]
    if len(begun) > 1:
        raise InputError(f"{name!r} is the beginning of {' and '.join(begun)}", cure="Give more of it")
    if not begun:
        if not known:  # the import of a dataset that is not there yet is a run of it, too
            datasets.check(graph, dataset)
        shown = ", ".join(row["run"] for row in known[:5]) or "none; `cikg extract` begins one"
        raise NotFoundError(f"the dataset {dataset!r} has no run {name!r}", cure=f"Its runs: {shown}")
    return uid(dataset, begun[0])


def plan(
    graph: Graph, settings: Settings, dataset: str, name: str, *, limit: int | None = None, quarantined: bool = False
) -> ledger.Plan:
    """What a job would do for a dataset, with the model of the settings; `ledger.plan` says the rest.

    Raises:
        NotFoundError: there is no such job or dataset.
        ConflictError: the dataset is not whole.
    """
    _, model = address_and_model(settings)
    return ledger.plan(graph, job(name), dataset, model, limit=limit, quarantined=quarantined)


def start(graph: Graph, settings: Settings, planned: ledger.Plan, budget: str = "") -> list[int]:
    """Queue what a plan has to do; its shards.

    Args:
        graph: the graph.
        settings: of this process.
        planned: the plan.
        budget: what it may spend, as a person writes it; empty for anything.

    Raises:
        InputError: there is no such budget.
        UnreachableError: Redis does not answer.
    """
    run = planned.run
    return _queue(settings, run.uid, ledger.start(graph, planned, read_budget(settings, budget, run.model)))


def stop(graph: Graph, settings: Settings, run: str, state: State, actor: str | None = None) -> dict[str, Any]:
    """Pause or cancel a run; where it stands then. Workers notice within seconds; what is committed stays.

    Cancelling has the provider stop the run's batches, too; where it did not hear of that, it is told again.

    Args:
        graph: the graph.
        settings: the LLM's address.
        run: its uid.
        state: `PAUSED` or `CANCELLED`.
        actor: who says so; the account's name if None.

    Raises:
        ConflictError: it has ended already.
        ServiceError: it is cancelled here, but the provider does not answer.
    """
    before = ledger.progress(graph, run)
    if before["state"] == state == State.CANCELLED and batching.cancel(graph, settings, run):
        return before
    if before["state"] not in (State.PLANNED, State.RUNNING, State.PAUSED):
        raise ConflictError(f"the run is {before['state']} already", cure="`cikg jobs retry` tries again what failed")
    if state is State.PAUSED and not before["total"]:
        raise ConflictError("a command cannot rest", cure="Cancel it; queued again, it goes on from what it has kept")
    ledger.stop(graph, run, state, f"{state} by {actor or getpass.getuser()}")
    if state is State.CANCELLED:
        batching.cancel(graph, settings, run)
    return ledger.progress(graph, run)


def resume(graph: Graph, settings: Settings, run: str, budget: str = "", *, unlimited: bool = False) -> list[int]:
    """Let a run go on with what is left of it; the shards that are queued.

    Args:
        graph: the graph.
        settings: of this process.
        run: its uid.
        budget: what it may spend from now on, as a person writes it.
        unlimited: without a budget, although it had one.

    Raises:
        ConflictError: nothing is left, or its budget was spent and no new one is given.
        InputError: there is no such budget.
        UnreachableError: Redis does not answer.
    """
    stands, opened = ledger.progress(graph, run), ledger.open_run(graph, run)
    if not stands["planned"] and not stands["running"]:
        raise ConflictError("nothing of the run is left to do", cure="`cikg jobs retry` tries again what failed")
    allowed = read_budget(settings, budget, opened.model)
    if opened.allowance is not None and allowed is None and not unlimited:
        raise ConflictError(
            "the run has a budget", cure="Give a new one, or lift it with `cikg jobs resume --no-budget`"
        )
    ledger.reopen(graph, run, allowed)
    return _queue(settings, run, ledger.open_shards(graph, run))


def retry(
    graph: Graph, settings: Settings, run: str, ids: Sequence[str] = (), *, quarantined: bool = False
) -> tuple[int, list[int]]:
    """Plan subjects again that failed or were cancelled; how many, and the shards that are queued. A budget stays.

    Args:
        graph: the graph.
        settings: of this process.
        run: its uid.
        ids: of the subjects, whose answers may also have been of no use; all of the run if empty.
        quarantined: also those whose answers were of no use.

    Raises:
        InputError: nothing of the run failed.
        NotFoundError: none of the ids is a subject that went wrong.
        UnreachableError: Redis does not answer.
    """
    states = [State.FAILED, State.CANCELLED, *([State.QUARANTINED] if quarantined or ids else [])]
    again = graph.write("replan_subjects", run=run, states=[str(state) for state in states], ids=list(ids))
    count: int = again[0]["subjects"]
    if not count and ids:
        raise NotFoundError(
            f"none of {', '.join(map(repr, ids))} is {' or '.join(states)}", cure="`cikg jobs show` says what is"
        )
    if not count:
        raise InputError("nothing of the run failed", cure="Say so if what was quarantined shall be tried again")
    ledger.reopen(graph, run, keep=True)
    return count, _queue(settings, run, ledger.open_shards(graph, run))


def read_budget(settings: Settings, text: str, model: str) -> Budget | None:
    """A budget as a person writes it; None for empty text.

    Raises:
        InputError: there is no such budget.
    """
    return parse_budget(text, settings, model) if text.strip() else None


def _queue(settings: Settings, run: str, shards: list[int]) -> list[int]:
    if shards:
        queue.enqueue(queue.create_app(settings), run, shards)
    return shards


def trail(graph: Graph, dataset: str, subject: str) -> list[dict[str, Any]]:
    """Everything that jobs did about one user or item, the oldest first.

    Raises:
        NotFoundError: no job ever had it as a subject, or there is no such dataset.
    """
    rows = graph.many("subject_trail", dataset=dataset, id=subject)
    if not rows:
        datasets.check(graph, dataset)
        raise NotFoundError(
            f"no job of the dataset {dataset!r} was about {subject!r}", cure="Give the id of a user or an item"
        )
    return rows


def purge(graph: Graph, dataset: str, *, prompt: str = "", model: str = "", run: str = "", dry_run: bool) -> int:
    """Forget kept answers, so that they are asked for again; how many. What the graph made of them stays.

    Args:
        graph: the graph.
        dataset: the dataset's name.
        prompt: of which prompt; empty for any, like the next two.
        model: of which model.
        run: asked for by which run; its id, or what else `find` takes.
        dry_run: only count them.

    Raises:
        NotFoundError: there is no such run or dataset, or nothing was ever asked with this prompt or of this model.
        InputError: several runs begin like this.
    """
    identifier = find(graph, dataset, run).partition(":")[2] if run else ""
    chosen = {"dataset": dataset, "prompt": prompt, "model": model, "run": identifier}
    count: int = graph.one("count_completions", **chosen)["completions"]
    if not count:  # those of a dataset that was dropped may still be there
        datasets.check(graph, dataset)
        _check_asked(graph, dataset, prompt, model)
    while not dry_run and graph.write("purge_completions", **chosen, size=PURGED)[0]["purged"]:
        pass
    return count


def _check_asked(graph: Graph, dataset: str, prompt: str, model: str) -> None:
    """See that there is such a prompt, and that a run of the dataset has asked such a model; each '' for any."""
    found = graph.one("completion_names", dataset=dataset)
    given = [json.loads(parameters) for parameters in found["parameters"]]
    models = {*found["models"], *(each["model"] for each in given if "model" in each)}
    prompts = {*found["prompts"], *prompt_names()}
    if prompt and prompt not in prompts:
        cure = did_you_mean(prompt, prompts, f"The prompts are: {', '.join(sorted(prompts))}")
        raise NotFoundError(f"there is no prompt named {prompt!r}", cure=cure)
    if model and model not in models:
        cure = did_you_mean(model, models, f"Its models: {', '.join(sorted(models)) or 'none'}")
        raise NotFoundError(f"no run of the dataset {dataset!r} has asked a model {model!r}", cure=cure)

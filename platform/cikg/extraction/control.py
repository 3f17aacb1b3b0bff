"""What a person can do with a run: pause it, cancel it, let it go on, and try again what went wrong."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from typing import Any

from cikg.errors import ConflictError, InputError, NotFoundError
from cikg.extraction import ledger
from cikg.extraction.budget import Budget
from cikg.graph import Graph
from cikg.schema import State, uid

MOST_RUNS = 1_000
PURGED = 1_000
"""Answers forgotten a transaction."""


def runs(graph: Graph, dataset: str | None = None, limit: int = MOST_RUNS) -> list[dict[str, Any]]:
    """The runs of LLM jobs, the newest first; of all datasets if None."""
    return graph.many("extraction_runs", dataset=dataset or "", limit=limit)


def find(graph: Graph, dataset: str, name: str) -> str:
    """The uid of a run that a person names: by its id, the beginning of it, or a job, whose newest run it is then.

    Raises:
        NotFoundError: there is none; says which there are.
        InputError: several begin like this.
    """
    known = runs(graph, dataset)
    for row in known:
        if name in (row["run"], row["job"]):
            return uid(dataset, row["run"])
    begun = [row["run"] for row in known if row["run"].startswith(name)]
    if len(begun) > 1:
        raise InputError(f"{name!r} is the beginning of {' and '.join(begun)}", cure="Give more of it")
    if not begun:
        shown = ", ".join(row["run"] for row in known[:5]) or "none; `cikg extract` begins one"
        raise NotFoundError(f"the dataset {dataset!r} has no run {name!r}", cure=f"Its runs: {shown}")
    return uid(dataset, begun[0])


def stop(graph: Graph, run: str, state: State, actor: str | None = None) -> dict[str, Any]:
    """Pause or cancel a run. Workers notice within seconds; what is committed stays. Where the run stands then.

    Args:
        graph: the graph.
        run: its uid.
        state: `PAUSED` or `CANCELLED`.
        actor: who says so; the account's name if None.

    Raises:
        ConflictError: it has ended already.
    """
    before = ledger.progress(graph, run)
    if before["state"] not in (State.RUNNING, State.PAUSED):
        raise ConflictError(f"the run is {before['state']} already", cure="`cikg jobs retry` tries again what failed")
    if before["state"] == State.PAUSED:
        if state is State.PAUSED:
            return before
        graph.write("resume_run", run=run, budget=None)
    ledger.stop(graph, run, state, f"{state} by {actor or getpass.getuser()}")
    return ledger.progress(graph, run)


def resume(graph: Graph, run: str, budget: Budget | None = None, *, unlimited: bool = False) -> list[int]:
    """Let a run go on with what is left of it; the shards to enqueue.

    Args:
        graph: the graph.
        run: its uid.
        budget: what it may spend from now on.
        unlimited: without a budget, although it had one.

    Raises:
        ConflictError: nothing is left, or its budget was spent and no new one is given.
    """
    stands = ledger.progress(graph, run)
    if not stands["planned"] and not stands["running"]:
        raise ConflictError("nothing of the run is left to do", cure="`cikg jobs retry` tries again what failed")
    if ledger.open_run(graph, run).allowance is not None and budget is None and not unlimited:
        raise ConflictError("the run has a budget", cure="Give a new one with --budget, or lift it with --no-budget")
    ledger.reopen(graph, run, budget)
    return ledger.open_shards(graph, run)


def retry(graph: Graph, run: str, states: Sequence[State], ids: Sequence[str] = ()) -> tuple[int, list[int]]:
    """Plan subjects again that went wrong; how many, and the shards to enqueue.

    Args:
        graph: the graph.
        run: its uid.
        states: those to try again: `FAILED`, `QUARANTINED`, `CANCELLED`.
        ids: of the subjects; all in these states if empty.

    Raises:
        NotFoundError: none of the ids is a subject in these states.
    """
    again = graph.write("replan_subjects", run=run, states=[str(state) for state in states], ids=list(ids))
    count: int = again[0]["subjects"]
    if ids and not count:
        raise NotFoundError(
            f"none of {', '.join(map(repr, ids))} is {' or '.join(states)}", cure="`cikg jobs show` says what is"
        )
    if count:
        ledger.reopen(graph, run, None)
    return count, ledger.open_shards(graph, run) if count else []


def trail(graph: Graph, dataset: str, subject: str) -> list[dict[str, Any]]:
    """Everything that jobs did about one user or item, the oldest first.

    Raises:
        NotFoundError: no job ever had it as a subject.
    """
    rows = graph.many("subject_trail", dataset=dataset, id=subject)
    if not rows:
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
        run: asked for by which run.
        dry_run: only count them.
    """
    chosen = {"dataset": dataset, "prompt": prompt, "model": model, "run": run}
    count: int = graph.one("count_completions", **chosen)["completions"]
    while not dry_run and graph.write("purge_completions", **chosen, size=PURGED)[0]["purged"]:
        pass
    return count

"""What a person does with jobs from a page: start, pause, resume, cancel, try again. Each is logged."""

from __future__ import annotations

from collections.abc import Mapping

from cikg.access import audit
from cikg.errors import InputError
from cikg.extraction import control, ledger, queue
from cikg.extraction.budget import Budget
from cikg.extraction.budget import parse as parse_budget
from cikg.extraction.job import job
from cikg.graph import Graph
from cikg.llm.answers import address_and_model
from cikg.schema import State
from cikg.settings import Settings


def actions(state: str, states: Mapping[str, int]) -> dict[str, str]:
    """What can be done with a job's run: name -> label.

    Args:
        state: the run's.
        states: how many of its subjects are in each state.
    """
    found: dict[str, str] = {}
    if state == State.RUNNING:
        found |= {"pause": "Pause", "cancel": "Cancel"}
    if state in (State.PAUSED, State.CANCELLED) and (states.get(State.PLANNED, 0) or states.get(State.RUNNING, 0)):
        found |= {"resume": "Resume"}
    if state == State.PAUSED:
        found |= {"cancel": "Cancel"}
    if any(states.get(wrong, 0) for wrong in (State.FAILED, State.CANCELLED, State.QUARANTINED)):
        found |= {"retry": "Try again what went wrong"}
    return found


def act(graph: Graph, settings: Settings, run: str, action: str, *, budget: str, actor: str) -> None:
    """Do one of `actions`.

    Args:
        graph: the graph.
        settings: of this process.
        run: the run's uid.
        action: its name.
        budget: what a resumed run may spend, as `cikg jobs resume --budget` takes it; empty for no limit.
        actor: who does it.

    Raises:
        InputError: there is no such action, or no such budget.
        ConflictError: the run has changed in the meantime.
        UnreachableError: Redis does not answer.
    """
    shards: list[int] = []
    if action in ("pause", "cancel"):
        control.stop(graph, run, State.PAUSED if action == "pause" else State.CANCELLED, actor)
    elif action == "resume":
        allowed = _budget(settings, budget, ledger.open_run(graph, run).model)
        shards = control.resume(graph, run, allowed, unlimited=allowed is None)
    elif action == "retry":
        _, shards = control.retry(graph, run, [State.FAILED, State.CANCELLED, State.QUARANTINED])
    else:
        raise InputError(f"a run cannot be told to {action!r}")
    _enqueue(settings, run, shards)
    audit.record(graph, actor, f"jobs.{action}", run, {"budget": budget} if budget else None)


def plan(graph: Graph, settings: Settings, dataset: str, name: str, limit: int | None) -> ledger.Plan:
    """What a job would do for a dataset.

    Raises:
        NotFoundError: there is no such job or dataset.
        ConflictError: the dataset is not whole.
    """
    _, model = address_and_model(settings)
    return ledger.plan(graph, job(name), dataset, model, limit=limit)


def start(graph: Graph, settings: Settings, planned: ledger.Plan, budget: str, actor: str) -> None:
    """Queue what a plan has to do.

    Raises:
        InputError: there is no such budget.
        UnreachableError: Redis does not answer.
    """
    run = planned.run.uid
    _enqueue(settings, run, ledger.start(graph, planned, _budget(settings, budget, planned.run.model)))
    audit.record(graph, actor, "jobs.start", run, {"budget": budget} if budget else None)


def _budget(settings: Settings, text: str, model: str) -> Budget | None:
    return parse_budget(text, settings, model) if text.strip() else None


def _enqueue(settings: Settings, run: str, shards: list[int]) -> None:
    if shards:
        queue.enqueue(queue.create_app(settings), run, shards)

"""What a person does with jobs from a page, as `extraction.control` does it, and each is logged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cikg.access import audit
from cikg.errors import ConflictError, InputError, NotFoundError
from cikg.extraction import control
from cikg.extraction.ledger import Plan
from cikg.graph import Graph
from cikg.schema import State, uid
from cikg.settings import Settings
from web.parts import queued, runs

_OVER = (State.FAILED, State.CANCELLED)


def actions(kind: str, name: str, state: str, states: Mapping[str, int]) -> dict[str, str]:
    """What can be done with a run: name -> label.

    Args:
        kind: its kind; only jobs and commands can be told anything, and a command cannot rest.
        name: its name; what was sent for an import waits on the page Import.
        state: the run's.
        states: how many of its subjects are in each state.
    """
    if kind == "command" and state in _OVER:
        return {} if name.startswith("import") else {"again": "Try again"}
    if kind == "command":
        return {"cancel": "Cancel"} if state in (State.PLANNED, State.RUNNING) else {}
    if kind != "extract":
        return {}
    found: dict[str, str] = {}
    if state == State.RUNNING:
        found |= {"pause": "Pause", "cancel": "Cancel"}
    if state in (State.PAUSED, State.CANCELLED) and (states.get(State.PLANNED, 0) or states.get(State.RUNNING, 0)):
        found |= {"resume": "Resume"}
    if state == State.PAUSED:
        found |= {"cancel": "Cancel"}
    if any(states.get(wrong, 0) for wrong in (State.FAILED, State.CANCELLED, State.QUARANTINED)):
        found |= {"retry": "Retry what went wrong"}
    return found


def act(graph: Graph, settings: Settings, run: str, action: str, *, budget: str, actor: str) -> str:
    """Do one of `actions`; the id of the run to follow then.

    Args:
        graph: the graph.
        settings: of this process.
        run: the run's uid.
        action: its name.
        budget: what a resumed run may spend, as `cikg jobs resume --budget` takes it; one that has a limit needs one.
        actor: who does it.

    Raises:
        InputError: there is no such action, or no such budget.
        ConflictError: the run has changed in the meantime.
        ServiceError: Redis or the provider does not answer.
    """
    dataset, _, following = run.partition(":")
    match action:
        case "again":
            following = again(graph, settings, dataset, following)
        case "pause":
            control.stop(graph, settings, run, State.PAUSED, actor)
        case "cancel":
            control.stop(graph, settings, run, State.CANCELLED, actor)
        case "resume":
            control.resume(graph, settings, run, budget)
        case "retry":
            control.retry(graph, settings, run, quarantined=True)
        case _:
            raise InputError(f"there is no action {action!r} for a run")
    audit.record(graph, actor, f"jobs.{action}", run, {"budget": budget} if budget else None)
    return following


def again(graph: Graph, settings: Settings, dataset: str, identifier: str) -> str:
    """Queue a command that failed or was cancelled once more, as it was given; the id of the new run.

    Raises:
        NotFoundError: the dataset has no such command.
        ConflictError: it has not failed, or imports what was sent.
        UnreachableError: Redis does not answer.
    """
    found = command(graph, dataset, identifier)
    if "again" not in actions("command", found["command"], found["state"], {}):
        raise ConflictError(
            f"the command {identifier!r} is {found['state']}: {found['command']}",
            cure="Only failed and cancelled commands can be tried again; start an import again on its own page",
        )
    return queued.once(graph, settings, dataset, found["arguments"])


def command(graph: Graph, dataset: str, identifier: str) -> dict[str, Any]:
    """A command that was queued, with the names that `extraction.control.commands` gives, its arguments and its uid.

    Raises:
        NotFoundError: the dataset has none with this id.
    """
    found = graph.many("run_detail", run=uid(dataset, identifier))
    if not found or found[0]["run"].get("kind") != "command":
        raise NotFoundError(
            f"{dataset!r} has no command {identifier!r}", cure="GET …/commands lists the queued commands"
        )
    row = found[0]["run"]
    return {**row, **runs.unpack(row["parameters"]), "run": row["id"], "command": row["name"]}


def start(graph: Graph, settings: Settings, planned: Plan, budget: str, actor: str) -> None:
    """Queue what a plan has to do.

    Raises:
        InputError: there is no such budget.
        UnreachableError: Redis does not answer.
    """
    control.start(graph, settings, planned, budget)
    audit.record(graph, actor, "jobs.start", planned.run.uid, {"budget": budget} if budget else None)

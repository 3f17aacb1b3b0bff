"""Commands that a page or an operation has a worker carry out: asked for once, and followed to their end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cikg.extraction import commands
from cikg.graph import Graph
from cikg.schema import State
from cikg.settings import Settings
from web.parts import runs
from web.parts.runs import ACTIVE

LATE_SECONDS = 10
"""Within which a worker that is free has taken what was queued."""
_LOOKED_AT = 50
"""Commands of a name; no more of them wait at a time."""


@dataclass(frozen=True)
class Command:
    """A command that a worker was asked to carry out.

    Attributes:
        id: of its run among the jobs.
        about: what it is about: its first argument.
        state: `planned` while it waits, then `running`, and `done`, `failed` or `cancelled`.
        progress: how far it is, in words.
        error: why it failed.
        is_late: whether no worker has taken it for longer than one that is free would need.
    """

    id: str
    about: str
    state: State
    progress: str | None
    error: str | None
    is_late: bool

    @property
    def active(self) -> bool:
        """Whether its end is to be waited for."""
        return self.state in ACTIVE


@dataclass(frozen=True)
class Followed:
    """What a page follows to its end.

    Attributes:
        commands: those that wait or go on, and the last where it failed.
    """

    commands: tuple[Command, ...]

    @property
    def active(self) -> bool:
        """Whether any end is to be waited for."""
        return any(command.active for command in self.commands)


def newest(graph: Graph, dataset: str, name: str, argument: str = "") -> Command | None:
    """The last command of a dataset that was queued, of those whose name begins so."""
    rows = _recent(graph, dataset, name, argument)
    return _command(rows[0]) if rows else None


def under_way(graph: Graph, dataset: str, name: str) -> tuple[Command, ...]:
    """The commands whose name begins so and whose end is to be waited for, and the newest of all where it failed."""
    found = [_command(row) for row in _recent(graph, dataset, name)]
    return tuple(each for each in found if each.active or (each.state is State.FAILED and each is found[0]))


def said(graph: Graph, dataset: str, name: str) -> dict[str, Any]:
    """What the newest of these commands printed, where it is done; else nothing."""
    rows = _recent(graph, dataset, name)
    told = runs.unpack(rows[0]["said"]) if rows and rows[0]["state"] == State.DONE else None
    return told if isinstance(told, dict) else {}


def once(graph: Graph, settings: Settings, dataset: str, words: Sequence[str], **options: object) -> str:
    """Have a worker carry out a command; the id of its run. One that waits or goes on already is not queued again.

    Two that are asked for in the same moment may both be queued: the second finds what the first made.

    Args:
        graph: the graph.
        settings: of this process.
        dataset: whose run it is.
        words: what it begins with, as `train ease --dataset demo`.
        options: further ones by name; what is None is left to the command.

    Raises:
        UnreachableError: Redis does not answer.
    """
    given = [(f"--{name}", str(value)) for name, value in options.items() if value is not None]
    arguments = [*words, *(part for pair in given for part in pair)]
    for row in _recent(graph, dataset, words[0]):
        if row["state"] in ACTIVE and runs.unpack(row["parameters"]) == {"arguments": arguments}:
            return str(row["id"])
    return commands.enqueue(graph, settings, arguments, dataset).partition(":")[2]


def _recent(graph: Graph, dataset: str, name: str, argument: str = "") -> list[dict[str, Any]]:
    return graph.many("recent_commands", dataset=dataset, name=name, argument=argument, limit=_LOOKED_AT)


def _command(row: dict[str, Any]) -> Command:
    about, state = row["name"].partition(" ")[2], State(row["state"])
    is_late = state is State.PLANNED and row["age"] > LATE_SECONDS
    return Command(row["id"], about, state, row["progress"], row["error"], is_late)

"""The log of changes, and of logins: who did what to what, and when. Nothing ever rewrites it."""

from __future__ import annotations

import getpass
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cikg.errors import NotFoundError, did_you_mean
from cikg.graph import Graph

END = "~"
"""After every entry: where reading begins."""


@dataclass(frozen=True)
class Entry:
    """An entry of the audit log.

    Attributes:
        id: begins with its time, so that ids sort like the log.
        at: ISO time.
        actor: an account's name, `token:ACCOUNT/NAME`, `operator` (logged in by a link), `cli:LOGIN`, or `(unknown)`
            for a login with a name that no account has.
        action: what was done: `account.add`, `jobs.pause`, `login`, `login.refused`, …
        target: what it was done to; of a login, the address that it came from.
        detail: further details; never a secret.
    """

    id: str
    at: str
    actor: str
    action: str
    target: str
    detail: dict[str, Any]


def command_line() -> str:
    """The actor of whoever runs a command."""
    return f"cli:{getpass.getuser()}"


def step(actor: str, action: str, target: str, detail: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
    """The entry as a step of `Graph.write_together`, so that a change and its entry are committed as one."""
    entry = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
    shown = json.dumps(dict(detail or {}), ensure_ascii=False, sort_keys=True, default=str)
    return "write_audit", {"entry": entry, "actor": actor, "action": action, "target": target, "detail": shown}


def record(graph: Graph, actor: str, action: str, target: str, detail: Mapping[str, Any] | None = None) -> None:
    """Log a change that was made elsewhere."""
    graph.write_together([step(actor, action, target, detail)])


def read(graph: Graph, limit: int, *, before: str = END, actor: str = "", action: str = "") -> list[Entry]:
    """The newest entries before one; of one actor and action, each '' for any."""
    rows = graph.many("audit_log", before=before, actor=actor, action=action, limit=limit)
    return [Entry(**{**row, "detail": json.loads(row["detail"])}) for row in rows]


def check(graph: Graph, *, actor: str = "", action: str = "") -> None:
    """See that what the log is filtered by can stand in it: an actor of it or an account, and an action of it.

    Raises:
        NotFoundError: nobody of this name, or nothing of this kind; names the nearest.
    """
    known = graph.one("audit_names")
    if actor and actor not in known["actors"] and not graph.many("find_account", account=actor):
        cure = did_you_mean(actor, known["actors"], "Without --actor, the log shows who did what")
        raise NotFoundError(f"nobody named {actor!r} has changed anything or has an account", cure=cure)
    if action and action not in known["actions"]:
        actions = ", ".join(sorted(known["actions"])) or "nothing"
        cure = did_you_mean(action, known["actions"], f"What was done: {actions}")
        raise NotFoundError(f"nothing was done that is called {action!r}", cure=cure)

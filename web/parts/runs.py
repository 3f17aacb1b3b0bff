"""Runs as the pages show them: progress, duration, and the JSON texts that a run carries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cikg.errors import NotFoundError
from cikg.graph import Graph
from cikg.schema import uid
from web.formatting import as_time

JOBS = ("import", "extract", "cluster", "snapshot", "train", "publish", "command")
ACTIVE = ("planned", "running")


@dataclass(frozen=True)
class Run:
    """A run in a list.

    Attributes:
        dataset: its dataset.
        id: its id, a digest of what it does.
        kind: `extract`, `train`, …
        name: the job or method.
        state: as in `cikg.schema.State`.
        total: subjects, where the run works on some one by one.
        finished: subjects that need no more work.
        started_at: ISO time.
        seconds: how long it took, or has taken so far.
        error: why it failed.
    """

    dataset: str
    id: str
    kind: str
    name: str
    state: str
    total: int | None
    finished: int
    started_at: str | None
    seconds: float | None
    error: str | None

    @property
    def active(self) -> bool:
        """Whether it is still going on."""
        return self.state in ACTIVE


def newest(graph: Graph, dataset: str, limit: int, kinds: tuple[str, ...] = JOBS) -> tuple[Run, ...]:
    """The newest runs of a dataset, or ('') of all."""
    return tuple(summary(row) for row in graph.many("browse_runs", dataset=dataset, kinds=list(kinds), limit=limit))


def training(graph: Graph, dataset: str, run: str) -> dict[str, Any]:
    """The properties of a training run.

    Raises:
        NotFoundError: the dataset has none with this id.
    """
    found = graph.many("run_detail", run=uid(dataset, run))
    if not found or found[0]["run"].get("kind") != "train":
        raise NotFoundError(f"{dataset!r} has no model {run!r}", cure="The list of models shows all of them")
    return dict(found[0]["run"])


def summary(row: dict[str, Any]) -> Run:
    """A run from its properties."""
    started, ended = as_time(row.get("started_at") or row.get("created_at")), as_time(row.get("finished_at"))
    state = row.get("state") or "done"
    if ended is None and state in ACTIVE:
        ended = datetime.now(UTC)
    return Run(
        dataset=row["dataset"],
        id=row["id"],
        kind=row["kind"],
        name=row.get("name") or row["kind"],
        state=state,
        total=row.get("total") if row.get("subjects") else None,
        finished=row.get("finished") or 0,
        started_at=started.isoformat() if started else None,
        seconds=(ended - started).total_seconds() if started and ended else None,
        error=row.get("error"),
    )


def unpack(text: Any) -> Any:
    """The value of a JSON text; what is no JSON stays as it is."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested objects as one level, `{"config.tau": 0.2}`, so that they can be listed."""
    if not isinstance(value, dict):
        return {prefix or "value": value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= flatten(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat

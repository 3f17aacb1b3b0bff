"""What there is to say about datasets: a list of all, and everything about one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from cikg.errors import NotFoundError, SnapshotError
from cikg.graph import Graph
from cikg.graph.datasets import check
from cikg.graph.snapshot import latest
from cikg.schema import SPLIT_KEYS
from cikg.settings import Settings


@dataclass(frozen=True)
class Overview:
    """Everything about one dataset.

    Attributes:
        dataset: its name.
        state: `ready`, `importing` or `dropping`.
        format, source, field: what was imported, from where; what its items are.
        counts: nodes and edges by kind.
        split: how it was split, and how many interactions each split has.
        relations: relations with their types and numbers of facts, the most frequent first.
        interests: where its interests come from: `imported`, `extracted` or `none`.
        embeddings: which nodes have vectors, by which model (`Intent/lexical_64`).
        published: the run whose recommendations are served.
        report: what its import read and rejected.
        runs: the newest first.
        snapshot: hash and path of the last one.
    """

    dataset: str
    state: str
    format: str | None
    source: str | None
    field: str | None
    counts: dict[str, int]
    split: dict[str, Any]
    relations: list[dict[str, Any]]
    interests: str | None
    embeddings: list[str]
    published: str | None
    report: dict[str, Any] | None
    runs: list[dict[str, Any]]
    snapshot: dict[str, str] | None


def all_datasets(graph: Graph) -> list[dict[str, Any]]:
    """Name, format, state, counts and time of import of each dataset, by name."""
    return graph.many("dataset_list")


def overview(graph: Graph, dataset: str, settings: Settings) -> Overview:
    """Say everything about a dataset.

    Args:
        graph: where it is.
        dataset: its name.
        settings: say where its snapshots are.

    Raises:
        NotFoundError: there is no such dataset.
    """
    found = check(graph, dataset)
    runs = graph.many("dataset_runs", dataset=dataset)
    reports = [run.pop("report") for run in runs]
    splits = {row["split"]: row["interactions"] for row in graph.many("dataset_splits", dataset=dataset)}
    return Overview(
        dataset=dataset,
        state=found["state"],
        format=found.get("format"),
        source=found.get("source"),
        field=found.get("field"),
        counts=graph.one("dataset_counts", dataset=dataset),
        split={key: found[key] for key in SPLIT_KEYS if key in found} | splits,
        relations=graph.many("dataset_relations", dataset=dataset),
        interests=found.get("interests"),
        embeddings=found.get("embeddings") or [],
        published=found.get("published"),
        report=next((json.loads(report) for report in reports if report), None),
        runs=runs,
        snapshot=_snapshot(settings, dataset),
    )


def _snapshot(settings: Settings, dataset: str) -> dict[str, str] | None:
    try:
        found = latest(settings, dataset)
    except (NotFoundError, SnapshotError):
        return None
    return {"hash": found.hash, "path": str(found.path)}

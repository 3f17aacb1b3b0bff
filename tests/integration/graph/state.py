"""What a dataset looks like in the graph, whatever its name and whenever it was written."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from cikg.graph import Graph

_LABELS = ("Dataset", "User", "Item", "Entity", "Intent", "Interest", "Run")
_CHANGING = {"version", "created_at", "started_at", "finished_at", "source", "parameters", "report"}


def state(graph: Graph, dataset: str) -> list[Any]:
    """All nodes and edges with their properties, sorted; the dataset's own name is replaced."""
    rows: list[Any] = []
    for label in _LABELS:
        rows += graph.execute(
            f"MATCH (n:{label} {{dataset: $dataset}}) RETURN labels(n) AS labels, properties(n) AS properties",
            dataset=dataset,
        )
        rows += graph.execute(
            f"MATCH (n:{label} {{dataset: $dataset}})-[r]->(m) "
            "RETURN n.uid AS source, type(r) AS type, properties(r) AS properties, m.uid AS target, m.dataset AS into",
            dataset=dataset,
        )
    for row in rows:
        row["properties"] = {key: value for key, value in row["properties"].items() if key not in _CHANGING}
    return sorted(json.dumps(row, sort_keys=True, default=str).replace(dataset, "<dataset>") for row in rows)


def digest(graph: Graph, dataset: str) -> str:
    """SHA-256 of a dataset's state: equal for equal graphs."""
    return hashlib.sha256("\n".join(state(graph, dataset)).encode()).hexdigest()

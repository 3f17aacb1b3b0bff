"""Datasets by the names that people give: their own nodes, and the error where there is none."""

from __future__ import annotations

from cikg.errors import NotFoundError, did_you_mean
from cikg.graph.database import Graph, Row


def check(graph: Graph, dataset: str) -> Row:
    """Say so where a dataset is not there, instead of showing nothing of it; the properties of its own node.

    Raises:
        NotFoundError: there is no such dataset.
    """
    for row in graph.many("find_dataset", dataset=dataset):
        found: Row = row["dataset"]
        return found
    raise unknown(graph, dataset)


def unknown(graph: Graph, dataset: str) -> NotFoundError:
    """The error for a name that no dataset has; names the nearest that one has."""
    names = [row["id"] for row in graph.many("dataset_names")]
    cure = did_you_mean(dataset, names, "`cikg dataset list` shows all; `cikg import` makes one")
    return NotFoundError(f"there is no dataset {dataset!r}", cure=cure)

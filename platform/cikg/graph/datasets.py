"""Datasets that people name: what stands on their own nodes, and what to say where there is none."""

from __future__ import annotations

import difflib

from cikg.errors import NotFoundError
from cikg.graph.database import Graph, Row


def properties(graph: Graph, dataset: str) -> Row:
    """The properties of a dataset's own node.

    Raises:
        NotFoundError: there is no such dataset.
    """
    for row in graph.many("find_dataset", dataset=dataset):
        found: Row = row["dataset"]
        return found
    raise unknown(graph, dataset)


def check(graph: Graph, dataset: str) -> None:
    """Say so where a dataset is not there, instead of showing nothing of it.

    Raises:
        NotFoundError: there is no such dataset.
    """
    properties(graph, dataset)


def unknown(graph: Graph, dataset: str) -> NotFoundError:
    """The error for a name that no dataset has; names the nearest that one has."""
    names = [row["id"] for row in graph.many("dataset_names")]
    near = difflib.get_close_matches(dataset, names, n=1)
    cure = f"Did you mean {near[0]!r}?" if near else "`cikg dataset list` shows all; `cikg import` makes one"
    return NotFoundError(f"there is no dataset {dataset!r}", cure=cure)

"""Takes a dataset out of the graph, some nodes a transaction: it can be interrupted and repeated at any time."""

from __future__ import annotations

from collections.abc import Callable

from cikg.graph import Graph

DROP_BATCH = 500
"""Nodes deleted a transaction, each with all its edges."""


def held(graph: Graph, dataset: str) -> int:
    """How many nodes `clear` would delete."""
    return int(graph.one("count_nodes", dataset=dataset)["nodes"])


def clear(graph: Graph, dataset: str, advance: Callable[[int], None] = lambda _count: None) -> None:
    """Delete what a dataset holds. Its own node stays, in the state 'dropping', and so do the LLM's answers.

    Args:
        graph: where it is.
        dataset: its name.
        advance: called with the number of nodes deleted after each transaction.
    """
    graph.write("begin_drop", dataset=dataset)
    while dropped := graph.write("drop_nodes", dataset=dataset, size=DROP_BATCH)[0]["dropped"]:
        advance(dropped)

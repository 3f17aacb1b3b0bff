"""What stands around a node, small enough to be read: at most 60 nodes, and a count of what is left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cikg.graph import Graph
from cikg.schema import uid
from web.chrome import address

MOST_NODES = 60
MOST_PER_TYPE = 14


@dataclass(frozen=True)
class Node:
    """A node of the picture; `href` is where it leads, `pruned` why all its edges to the centre were pruned."""

    key: str
    label: str
    id: str
    name: str
    href: str
    pruned: str | None = None


@dataclass(frozen=True)
class Edge:
    """An edge between shown nodes."""

    source: str
    target: str
    type: str
    pruned: bool = False


@dataclass(frozen=True)
class Group:
    """The neighbours by one relationship type: those shown, and how many there are."""

    type: str
    shown: tuple[Node, ...]
    total: int


@dataclass(frozen=True)
class Neighbourhood:
    """A node, its neighbours by type, and the edges among all that is shown.

    Attributes:
        nodes: the node itself first.
        edges: among them.
        groups: the same neighbours as a list.
        left_out: neighbours that are not shown.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    groups: tuple[Group, ...]
    left_out: int


def load(graph: Graph, dataset: str, label: str, identifier: str, name: str) -> Neighbourhood:
    """Read the neighbourhood of a node."""
    rows = graph.many("neighbours", label=label, uid=uid(dataset, identifier), cap=MOST_PER_TYPE, pruned=False)
    if not rows:
        return Neighbourhood((), (), (), 0)
    share = max((MOST_NODES - 1) // len(rows), 1)
    cut = min(share, MOST_PER_TYPE) if sum(len(row["shown"]) for row in rows) >= MOST_NODES else MOST_PER_TYPE
    groups = tuple(
        Group(
            row["type"],
            tuple(Node(**node, href=address(node["label"], dataset, node["id"])) for node in row["shown"][:cut]),
            row["total"],
        )
        for row in rows[: MOST_NODES - 1]
    )
    centre = Node(rows[0]["centre"], label, identifier, name, address(label, dataset, identifier))
    nodes = {node.key: node for node in (centre, *(node for group in groups for node in group.shown))}
    left_out = sum(row["total"] for row in rows) - sum(len(group.shown) for group in groups)
    return Neighbourhood(tuple(nodes.values()), edges_among(graph, nodes), groups, left_out)


def edges_among(graph: Graph, keys: Iterable[str], *, pruned: bool = False) -> tuple[Edge, ...]:
    """The edges among nodes, in one order."""
    rows = graph.many("edges_between", keys=list(keys), pruned=pruned)
    return tuple(sorted((Edge(**row) for row in rows), key=lambda edge: (edge.source, edge.target, edge.type)))

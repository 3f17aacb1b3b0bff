"""What the console's page and its API share: whether it is open, how long a statement may take, how values look."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cikg.errors import InputError, NotReadOnlyError
from cikg.graph import Graph
from cikg.graph.console import Picture
from cikg.settings import Settings
from web.chrome import address
from web.parts.neighbourhood import Edge, Node

PAGED = ("User", "Item", "Entity", "Intent", "Interest")
"""Labels whose nodes have a page."""


NAME = r"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"
"""What a statement can be kept as."""


class ClosedError(NotReadOnlyError):
    """The console is off."""


def require_console(settings: Settings) -> None:
    """Make sure that the console is open.

    Raises:
        ClosedError: it is not.
    """
    if not settings.console:
        raise ClosedError("the Cypher console is off", cure="Set CIKG_CONSOLE=true where the dashboard runs")


def allowed_seconds(settings: Settings, wanted: float | None) -> float:
    """How long a statement may take.

    Raises:
        InputError: more is wanted than is allowed, or nothing.
    """
    if wanted is None:
        return settings.console_seconds
    if not 0.1 <= wanted <= settings.console_seconds:
        raise InputError(
            f"a statement may take 0.1 to {settings.console_seconds:g} seconds, not {wanted:g}",
            cure="Ask for less, or raise CIKG_CONSOLE_SECONDS",
        )
    return wanted


def keep(graph: Graph, name: str, cypher: str, parameters: dict[str, Any], *, purpose: str, author: str) -> str:
    """Keep a statement under a name, in the place of one that has it; the name.

    Raises:
        InputError: nothing can be kept under this name.
    """
    if not re.fullmatch(NAME, name):
        raise InputError(
            f"{name!r} cannot name a statement", cure="Use 1 to 64 lower-case letters, digits, '.', '_' or '-'"
        )
    text = json.dumps(parameters, ensure_ascii=False)
    graph.write("keep_query", query=name, purpose=purpose, cypher=cypher, parameters=text, author=author)
    return name


@dataclass(frozen=True)
class Cell:
    """A value of an answer as a table shows it: `label`, `id` and `dataset` where it is a node that has a page."""

    text: str
    label: str | None = None
    id: str | None = None
    dataset: str | None = None
    is_number: bool = False


def cells(row: list[Any]) -> Iterator[Cell]:
    """The values of a row."""
    for value in row:
        match value:
            case {"labels": [label, *_], "id": str(identifier), "dataset": str(dataset)} if label in PAGED:
                yield Cell(str(value.get("name") or identifier), label, identifier, dataset)
            case {"type": str(kind), **properties} if "labels" not in value:  # an edge
                yield Cell(f"{kind} {_json(properties)}" if properties else kind)
            case bool():
                yield Cell("yes" if value else "no")
            case int() | float():
                yield Cell(f"{value:,}" if isinstance(value, int) else f"{value:.6g}", is_number=True)
            case None:
                yield Cell("–")
            case str():
                yield Cell(value)
            case _:
                yield Cell(_json(value))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def known_nodes(picture: Picture) -> tuple[tuple[Node, ...], tuple[Edge, ...]]:
    """Those nodes of a picture that have a page, and the edges between them."""
    shown = {
        node.key: Node(node.key, node.label, node.id, node.name, address(node.label, node.dataset, node.id))
        for node in picture.nodes.values()
        if node.label in PAGED and node.id and node.dataset
    }
    edges = (edge for edge in picture.edges.values() if edge.source in shown and edge.target in shown)
    return tuple(shown.values()), tuple(Edge(edge.source, edge.target, edge.type) for edge in edges)

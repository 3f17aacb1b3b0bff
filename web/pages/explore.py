"""The graph by hand: nodes side by side with what is around them, and the paths between two.

Everything that is shown stands in the address, so that it can be shared: `at` names the nodes that are open, `hide`
relationship types, `to` the other end of paths, `most` how many neighbours a type, `pruned` that pruned edges show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from flask import Blueprint, Response, request, url_for

from cikg.datasets.tables import LONGEST_ID
from cikg.graph import Graph
from cikg.schema import Label, uid
from web.chrome import Link, render
from web.parts.neighbourhood import Edge, Group, Node, edges_among
from web.parts.search import search
from web.store import graph
from web.urls import page

blueprint = Blueprint("explore", __name__)
link = Link("Explore", "explore.index", 5)
MOST_OPEN = 6
MOST_PATHS = 5
MOST_HIDDEN, LONGEST_TYPE = 20, 100
FEW, MANY = 8, 64
KINDS = (Label.USER, Label.ITEM, Label.ENTITY, Label.INTENT, Label.INTEREST)


@dataclass(frozen=True)
class View:
    """What an address asks for.

    Attributes:
        dataset: the dataset.
        open: label and id of the nodes whose neighbours are shown.
        hidden: relationship types that are not.
        to: a name, or label and id, of the other end of paths from the first open node.
        most: neighbours a relationship type.
        pruned: whether pruned edges are shown.
    """

    dataset: str
    open: tuple[tuple[str, str], ...]
    hidden: tuple[str, ...]
    to: str
    most: int
    pruned: bool

    @property
    def href(self) -> str:
        """The address of this view."""
        named: dict[str, Any] = {"at": [f"{label}:{identifier}" for label, identifier in self.open]}
        named |= {"hide": self.hidden, "to": self.to or None, "pruned": 1 if self.pruned else None}
        return url_for("explore.index", dataset=self.dataset, **named, most=self.most if self.most != FEW else None)

    def opening(self, label: str, identifier: str) -> View:
        """The same with one more node open; of too many, the second oldest is closed."""
        if (label, identifier) in self.open:
            return self
        kept = self.open if len(self.open) < MOST_OPEN else (self.open[0], *self.open[2:])
        return replace(self, open=(*kept, (label, identifier)))


@dataclass(frozen=True)
class Place:
    """An open node.

    Attributes:
        node: it; its `href` is its own page.
        close: the address of the view without it.
        groups: its neighbours by relationship type; the `href` of each opens it, too.
    """

    node: Node
    close: str
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Choice:
    """A relationship type that can be hidden or shown."""

    type: str
    shown: bool
    href: str


@dataclass(frozen=True)
class ExplorePage:
    """A part of the graph.

    Attributes:
        dataset: the dataset.
        view: what the address asks for.
        places: the open nodes.
        nodes: all that is drawn.
        edges: among them.
        types: the relationship types around the open nodes.
        target: the other end of paths; None where none is asked for or found.
        paths: from the first open node to it, each a list of nodes and of the edges between.
        more: the address that shows more neighbours; None where all are shown or as many as fit.
        left_out: how many neighbours are not shown.
        toggle_pruned: the address that shows or hides pruned edges.
        begin: where one may begin, while nothing is open.
    """

    template: ClassVar[str] = "explore.html"
    dataset: str
    view: View
    places: tuple[Place, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    types: tuple[Choice, ...]
    target: Node | None
    paths: tuple[dict[str, Any], ...]
    more: str | None
    left_out: int
    toggle_pruned: str
    begin: tuple[Node, ...]


def asked(dataset: str) -> View:
    """The view that the address names; parts that cannot be read are left out."""
    given = request.args
    opened = [parsed for parsed in map(_parse, given.getlist("at")) if parsed][:MOST_OPEN]
    most = min(max(given.get("most", FEW, type=int), 1), MANY)
    hidden = tuple(sorted({each for each in given.getlist("hide") if len(each) <= LONGEST_TYPE}))[:MOST_HIDDEN]
    return View(dataset, tuple(dict.fromkeys(opened)), hidden, given.get("to", "").strip(), most, "pruned" in given)


def load(graph: Graph, view: View) -> ExplorePage:
    """Read what a view shows."""
    known = _nodes(graph, view, view.open)
    around = {node.key: _around(graph, view, node) for node in known}
    target = _target(graph, view) if view.to and known else None
    paths = _paths(graph, view, known[0], target) if target else []
    between = _nodes(graph, view, [(node["kind"], node["id"]) for path in paths for node in path["nodes"]])
    places = tuple(_place(view, node, around[node.key]) for node in known)
    shown = (other for place in places for group in place.groups for other in group.shown)
    nodes = {node.key: node for node in (*known, *between, *shown)}
    types = sorted({row["type"] for rows in around.values() for row in rows})
    left_out = sum(group.total - len(group.shown) for place in places for group in place.groups)
    return ExplorePage(
        dataset=view.dataset,
        view=view,
        places=places,
        nodes=tuple(nodes.values()),
        edges=edges_among(graph, nodes, pruned=view.pruned),
        types=tuple(_choice(view, each) for each in types),
        target=target,
        paths=tuple(paths),
        more=replace(view, most=min(2 * view.most, MANY)).href if left_out and view.most < MANY else None,
        left_out=left_out,
        toggle_pruned=replace(view, pruned=not view.pruned).href,
        begin=() if known else _beginnings(graph, view),
    )


def _beginnings(graph: Graph, view: View) -> tuple[Node, ...]:
    """The largest interests, the items that most users chose, and the users who chose most."""
    first = {"dataset": view.dataset, "text": "", "skip": 0, "limit": 8}
    some = {
        "Interest": graph.many("top_interests", dataset=view.dataset, limit=8),
        "Item": graph.one("browse_items", **first, by="")["rows"],
        "User": graph.one("browse_users", **first, by="interactions")["rows"],
    }
    return tuple(_nodes(graph, view, [(label, row["id"]) for label, rows in some.items() for row in rows]))


def _parse(text: str) -> tuple[str, str] | None:
    label, _, identifier = text.partition(":")
    return (label, identifier) if label in set(KINDS) and 0 < len(identifier) <= LONGEST_ID else None


def _nodes(graph: Graph, view: View, wanted: Sequence[tuple[str, str]]) -> list[Node]:
    """The nodes of these labels and ids, in this order, without those that are not there."""
    rows = [{"label": label, "uid": uid(view.dataset, identifier)} for label, identifier in wanted]
    found = {(row["label"], row["id"]): row for row in graph.many("nodes_at", rows=rows)}
    present = [found[key] for key in dict.fromkeys(wanted) if key in found]
    return [Node(**row, href=view.opening(row["label"], row["id"]).href) for row in present]


def _around(graph: Graph, view: View, node: Node) -> list[dict[str, Any]]:
    key = uid(view.dataset, node.id)
    return graph.many("neighbours", label=node.label, uid=key, cap=view.most, pruned=view.pruned)


def _place(view: View, node: Node, rows: Sequence[dict[str, Any]]) -> Place:
    groups = tuple(
        Group(
            row["type"],
            tuple(Node(**each, href=view.opening(each["label"], each["id"]).href) for each in row["shown"]),
            row["total"],
        )
        for row in rows
        if row["type"] not in view.hidden
    )
    rest = tuple(each for each in view.open if each != (node.label, node.id))
    return Place(node, replace(view, open=rest).href, groups)


def _choice(view: View, name: str) -> Choice:
    shown = name not in view.hidden
    hidden = (*view.hidden, name) if shown else tuple(each for each in view.hidden if each != name)
    return Choice(name, shown, replace(view, hidden=tuple(sorted(hidden))).href)


def _target(graph: Graph, view: View) -> Node | None:
    """The other end of paths: exactly what is named, else the best of what a search for it finds."""
    exact = _parse(view.to)
    if exact and (found := _nodes(graph, view, [exact])):
        return found[0]
    hits = search(graph, view.dataset, view.to).hits
    return next(iter(_nodes(graph, view, [(hit.label, hit.id) for hit in hits[:1]])), None)


def _paths(graph: Graph, view: View, source: Node, target: Node) -> list[dict[str, Any]]:
    if source.key == target.key:
        return []
    return graph.many(
        "shortest_paths",
        source_label=source.label,
        source=uid(view.dataset, source.id),
        target_label=target.label,
        target=uid(view.dataset, target.id),
        most=4 * MOST_PATHS,
    )[:MOST_PATHS]


@page(blueprint, "/d/<id:dataset>/explore")
def index(dataset: str) -> Response:
    """A part of the graph."""
    return render(load(graph(), asked(dataset)))

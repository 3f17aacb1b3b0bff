"""Search: what is found by name or id, and items in a user's order."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import ClassVar

from flask import Blueprint, Response, request, url_for

from cikg.graph import Graph
from cikg.recommend.newcomers.search import UserHits
from cikg.recommend.newcomers.search import search as ranked_search
from cikg.schema import uid
from web.chrome import render, wants_json
from web.parts import newcomers
from web.parts.search import SHOWN, Hit, search
from web.store import graph
from web.urls import page

blueprint = Blueprint("search", __name__)


@dataclass(frozen=True)
class SearchPage:
    """What was found for a text.

    Attributes:
        dataset: where.
        text: what was searched for.
        hits: best first; what has exactly this id comes before names.
        cut: whether there may be more.
        user: whose order items were asked for in, by id; empty for none.
        name: that user's name, or the id where none is known.
        can_rank: whether there is a model that can put items in a user's order.
        ranked: items by full text over names and texts, in that order; None where it was not asked for.
        looking: the address that has them, where the model that puts them in order is not loaded yet; else empty.
    """

    template: ClassVar[str] = "search.html"
    dataset: str
    text: str
    hits: tuple[Hit, ...]
    cut: bool
    user: str = ""
    name: str = ""
    can_rank: bool = False
    ranked: UserHits | None = None
    looking: str = ""


def in_order(graph: Graph, found: SearchPage, user: str, *, wait: bool = True) -> SearchPage:
    """What was found, and items in a user's order where one is named.

    Args:
        graph: the graph.
        found: what was found.
        user: the user's id, a name that no other user has, or nothing.
        wait: whether to wait for a model that is not loaded yet.

    Raises:
        NotFoundError: there is no model for that, or it does not know the user.
    """
    can_rank = newcomers.run_of(found.dataset) is not None
    user, name = _user(graph, found.dataset, user.strip())
    found = replace(found, user=user, name=name, can_rank=can_rank)
    if not user or not re.search(r"\w", found.text):
        if can_rank and found.text:
            newcomers.prepare(found.dataset)  # who reads what was found may ask for a user's order next
        return found
    if can_rank and not wait and not newcomers.is_ready(found.dataset):
        looking = url_for("search.index", dataset=found.dataset, q=found.text, user=user, look=1)
        return replace(found, looking=looking)
    return replace(found, ranked=ranked_search(graph, newcomers.load(found.dataset), found.text, user, k=SHOWN))


def _user(graph: Graph, dataset: str, text: str) -> tuple[str, str]:
    """Id and name of the user with this id, or else with this name, if one alone has it."""
    if not text:
        return "", ""
    found = graph.many("nodes_at", rows=[{"label": "User", "uid": uid(dataset, text)}])
    if not found:
        hits = search(graph, dataset, text).hits
        named = [hit for hit in hits if hit.label == "User" and hit.name.lower() == text.lower()]
        return (named[0].id, named[0].name) if len(named) == 1 else (text, text)
    return found[0]["id"], found[0]["name"]


@page(blueprint, "/d/<id:dataset>/search")
def index(dataset: str) -> Response:
    """What was found for `?q=`, and, with `&user=`, items in a user's order."""
    hits = search(graph(), dataset, request.args.get("q", ""))
    found = SearchPage(dataset, hits.text, hits.hits, hits.cut)
    look, user = wants_json() or "look" in request.args, request.args.get("user", "")
    suggested = "HX-Request" in request.headers and not look
    return render(found if suggested else in_order(graph(), found, user, wait=look))

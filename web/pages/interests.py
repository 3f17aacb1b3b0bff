"""Interests: the phrases that make them up, who holds them, and what their holders choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from flask import Blueprint, Response, redirect, url_for
from flask.typing import ResponseReturnValue

from cikg.access.accounts import Scope
from cikg.errors import NotFoundError
from cikg.graph import Graph
from cikg.schema import uid
from web import login
from web.chrome import Link, render
from web.parts import clustering, listing, neighbourhood
from web.parts.clustering import Clustering
from web.store import graph, settings
from web.urls import page

blueprint = Blueprint("interests", __name__)
link = Link("Interests", "interests.index", 30)
SHOWN = 30


@dataclass(frozen=True)
class InterestsPage:
    """The list of interests, and what they could be made of."""

    template: ClassVar[str] = "interests.html"
    dataset: str
    listing: listing.Listing
    clustering: Clustering


@dataclass(frozen=True)
class InterestPage:
    """One interest.

    Attributes:
        dataset: the dataset.
        id: the interest's id.
        name: its name.
        source: `extracted` or `imported`.
        holder_count: how many users hold it.
        items: what they chose more often than everyone.
        intents: some of the phrases that make it up.
        intent_count: how many do.
        holders: some of them.
        neighbourhood: what stands around it.
    """

    template: ClassVar[str] = "interest.html"
    dataset: str
    id: str
    name: str
    source: str | None
    holder_count: int
    items: tuple[dict[str, Any], ...]
    intents: tuple[dict[str, Any], ...]
    intent_count: int
    holders: tuple[dict[str, Any], ...]
    neighbourhood: neighbourhood.Neighbourhood


def load_interest(graph: Graph, dataset: str, identifier: str) -> InterestPage:
    """Read one interest's page.

    Raises:
        NotFoundError: there is no such interest.
    """
    key = uid(dataset, identifier)
    found = graph.many("interest_detail", interest=key)
    if not found:
        raise NotFoundError(f"{dataset!r} has no interest {identifier!r}", cure="Search for its name above")
    return InterestPage(
        dataset=dataset,
        id=identifier,
        name=found[0]["name"],
        source=found[0]["source"],
        holder_count=found[0]["holders"],
        items=tuple(graph.many("interest_items", interest=key, limit=SHOWN)),
        intents=tuple(graph.many("interest_intents", interest=key, limit=SHOWN)),
        intent_count=found[0]["intent_count"],
        holders=tuple(graph.many("interest_holders", interest=key, limit=SHOWN)),
        neighbourhood=neighbourhood.load(graph, dataset, "Interest", identifier, found[0]["name"]),
    )


@page(blueprint, "/d/<id:dataset>/interests")
def index(dataset: str) -> Response:
    """The list of interests."""
    found = listing.load(graph(), "browse_interests", dataset, ("intents",))
    return render(InterestsPage(dataset, found, clustering.load(graph(), dataset)))


@blueprint.post("/d/<id:dataset>/interests")
@login.needs(Scope.WRITE)
def cluster(dataset: str) -> ResponseReturnValue:
    """Have a worker make interests of the phrases that were found."""
    clustering.act(graph(), settings(), dataset, login.caller().name)
    return redirect(url_for("interests.index", dataset=dataset), 303)


@page(blueprint, "/d/<id:dataset>/interests/<id:identifier>")
def interest(dataset: str, identifier: str) -> Response:
    """One interest."""
    return render(load_interest(graph(), dataset, identifier))

"""Users: what they did, what they are interested in, what is recommended to them and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from flask import Blueprint, Response

from cikg.errors import NotFoundError
from cikg.graph import Graph
from cikg.schema import uid
from cikg.serving.recommend import Recommendation, read
from web import listing, neighbourhood
from web.chrome import Link, render
from web.store import graph
from web.urls import page

blueprint = Blueprint("users", __name__)
link = Link("Users", "users.index", 10)
SHOWN_HISTORY = 100
SHOWN_RECOMMENDATIONS = 20


@dataclass(frozen=True)
class UsersPage:
    """The list of users."""

    template: ClassVar[str] = "users.html"
    dataset: str
    listing: listing.Listing


@dataclass(frozen=True)
class UserPage:
    """One user.

    Attributes:
        dataset: the dataset.
        id: the user's id.
        name: the user's name, or the id where none is known.
        run: the one whose model's recommendations are shown; None where none is published.
        method: its method.
        recommendations: in order of rank.
        interests: with holders, phrases and evidence.
        intents: the phrases that an LLM inferred, with evidence.
        history: the newest interactions.
        interactions: how many there are in all.
        neighbourhood: what stands around the user.
    """

    template: ClassVar[str] = "user.html"
    dataset: str
    id: str
    name: str
    run: str | None
    method: str | None
    recommendations: tuple[Recommendation, ...]
    interests: tuple[dict[str, Any], ...]
    intents: tuple[dict[str, Any], ...]
    history: tuple[dict[str, Any], ...]
    interactions: int
    neighbourhood: neighbourhood.Neighbourhood


def load_user(graph: Graph, dataset: str, identifier: str) -> UserPage:
    """Read one user's page.

    Raises:
        NotFoundError: there is no such user.
    """
    key = uid(dataset, identifier)
    served = read(graph, dataset, identifier, SHOWN_RECOMMENDATIONS)
    if served is None or not served.known:
        raise NotFoundError(f"{dataset!r} has no user {identifier!r}", cure="Search for a name or an id above")
    history = graph.one("user_history", user=key, limit=SHOWN_HISTORY)
    name = served.name or identifier
    return UserPage(
        dataset=dataset,
        id=identifier,
        name=name,
        run=served.run,
        method=served.method,
        recommendations=served.items,
        interests=tuple(graph.many("user_interests", user=key)),
        intents=tuple(graph.many("user_intents", user=key)),
        history=tuple(history["rows"]),
        interactions=history["total"],
        neighbourhood=neighbourhood.load(graph, dataset, "User", identifier, name),
    )


@page(blueprint, "/d/<id:dataset>/users")
def index(dataset: str) -> Response:
    """The list of users."""
    return render(UsersPage(dataset, listing.load(graph(), "browse_users", dataset)))


@page(blueprint, "/d/<id:dataset>/users/<id:identifier>")
def user(dataset: str, identifier: str) -> Response:
    """One user."""
    return render(load_user(graph(), dataset, identifier))

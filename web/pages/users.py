"""Users: what they did, what they are interested in, what is recommended to them and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from cikg.access.accounts import Scope
from cikg.errors import NotFoundError
from cikg.graph import Graph
from cikg.schema import Label, uid
from cikg.serving import corrections
from cikg.serving.corrections import Correction
from cikg.serving.recommend import Recommendation, read
from web import login
from web.chrome import Link, render
from web.parts import correcting, listing, neighbourhood, served, what_if
from web.parts.experts import Expert, Part, experts_of, parts_of
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
        profile: what an LLM wrote of the user; empty where none did.
        run: the one whose model's recommendations are shown; None where none is published.
        method: its method.
        recommendations: in order of rank.
        experts: the parts of the model, where it has several.
        makeup: for each recommendation, what the experts add to its score.
        question: what of the following is taken away, and what is added.
        what_if: the list as it would be; None while nothing is otherwise.
        interests: with holders, phrases and evidence.
        intents: the phrases that an LLM inferred, with evidence.
        corrections: what of both is said to be wrong.
        outdated: whether something was corrected since the list was made.
        history: the newest interactions.
        interactions: how many there are in all.
        neighbourhood: what stands around the user.
    """

    template: ClassVar[str] = "user.html"
    dataset: str
    id: str
    name: str
    profile: str
    run: str | None
    method: str | None
    recommendations: tuple[Recommendation, ...]
    experts: tuple[Expert, ...]
    makeup: tuple[tuple[Part, ...], ...]
    question: what_if.Question
    what_if: what_if.WhatIf | None
    interests: tuple[dict[str, Any], ...]
    intents: tuple[dict[str, Any], ...]
    corrections: tuple[Correction, ...]
    outdated: bool
    history: tuple[dict[str, Any], ...]
    interactions: int
    neighbourhood: neighbourhood.Neighbourhood


def load_user(graph: Graph, asked: what_if.Question) -> UserPage:
    """Read one user's page, and answer what is asked of it.

    Raises:
        NotFoundError: there is no such user.
    """
    dataset, identifier = asked.dataset, asked.user
    key = uid(dataset, identifier)
    shown = read(graph, dataset, identifier, SHOWN_RECOMMENDATIONS)
    if shown is None or not shown.known:
        raise NotFoundError(f"{dataset!r} has no user {identifier!r}", cure="Search for a name or an id above")
    if shown.run is not None:
        served.prepare(dataset, shown.run)
    history = graph.one("user_history", user=key, limit=SHOWN_HISTORY)
    name = shown.name or identifier
    corrected = corrections.about(graph, dataset, Label.USER, identifier)
    question, answer = what_if.answer(graph, asked, corrected.evidence)
    return UserPage(
        dataset=dataset,
        id=identifier,
        name=name,
        profile="".join(row["text"] for row in graph.many("user_profiles", users=[key])),
        run=shown.run,
        method=shown.method,
        recommendations=shown.items,
        **_experts(shown.items),
        question=question,
        what_if=answer,
        interests=tuple(graph.many("user_interests", user=key)),
        intents=tuple(graph.many("user_intents", user=key)),
        corrections=corrected.corrections,
        outdated=shown.outdated,
        history=tuple(history["rows"]),
        interactions=history["total"],
        neighbourhood=neighbourhood.load(graph, dataset, "User", identifier, name),
    )


def _experts(shown: tuple[Recommendation, ...]) -> dict[str, Any]:
    found = experts_of(item.shares for item in shown)
    most = max((sum(max(share, 0) for share in item.shares.values()) for item in shown), default=0)
    return {"experts": found, "makeup": tuple(parts_of(found, item.shares, most) for item in shown)}


@page(blueprint, "/d/<id:dataset>/users")
def index(dataset: str) -> Response:
    """The list of users."""
    return render(UsersPage(dataset, listing.load(graph(), "browse_users", dataset, ("interactions", "interests"))))


@page(blueprint, "/d/<id:dataset>/users/<id:identifier>")
def user(dataset: str, identifier: str) -> Response:
    """One user; `?without=…&with=…` asks what would be recommended otherwise."""
    return render(load_user(graph(), what_if.asked(dataset, identifier)))


@blueprint.post("/d/<id:dataset>/users/<id:identifier>/corrections")
@login.needs(Scope.WRITE)
def correct(dataset: str, identifier: str) -> ResponseReturnValue:
    """Say that something about a user is wrong, or that it stands after all, and show the list that follows."""
    correcting.decide(graph(), dataset, Label.USER, identifier, request.form)
    return redirect(url_for("users.user", dataset=dataset, identifier=identifier), 303)

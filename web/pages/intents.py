"""Intents: who has them, what satisfies them, and which of them mean the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from cikg.access import audit
from cikg.access.accounts import Scope
from cikg.errors import NotFoundError
from cikg.extraction.steps.merging import Pair, Verdict, pairs
from cikg.graph import Graph
from cikg.schema import uid
from cikg.settings import Settings
from web import login
from web.chrome import Link, render
from web.parts import listing, merging, neighbourhood
from web.parts.merging import Looking
from web.store import graph, settings
from web.urls import page

blueprint = Blueprint("intents", __name__)
link = Link("Intents", "intents.index", 25)
SHOWN = 30
SHOWN_PAIRS = 100


@dataclass(frozen=True)
class IntentsPage:
    """The list of intents."""

    template: ClassVar[str] = "intents.html"
    dataset: str
    listing: listing.Listing


@dataclass(frozen=True)
class IntentPage:
    """One intent.

    Attributes:
        dataset: the dataset.
        id: the intent's id.
        name: the phrase.
        merged_into: the id of the intent that it was merged into, or None.
        user_count: how many users possess it.
        item_count: how many items satisfy it.
        interests: the interests that it belongs to.
        users: some who possess it, those with the most evidence first.
        items: some that satisfy it, exact before related ones.
        pairs: what was thought of it and others that may mean the same.
        neighbourhood: what stands around it.
    """

    template: ClassVar[str] = "intent.html"
    dataset: str
    id: str
    name: str
    merged_into: str | None
    user_count: int
    item_count: int
    interests: tuple[dict[str, Any], ...]
    users: tuple[dict[str, Any], ...]
    items: tuple[dict[str, Any], ...]
    pairs: tuple[dict[str, Any], ...]
    neighbourhood: neighbourhood.Neighbourhood


@dataclass(frozen=True)
class MergesPage:
    """Pairs of intents that may mean the same, or that were judged.

    Attributes:
        dataset: the dataset.
        state: the verdict that is shown.
        states: all verdicts.
        total: how many pairs there are with it.
        pairs: the likeliest of them.
        looking: what more could be looked for by, and how far a worker is with that.
    """

    template: ClassVar[str] = "merges.html"
    dataset: str
    state: Verdict
    states: tuple[Verdict, ...]
    total: int
    pairs: tuple[Pair, ...]
    looking: Looking


def load_intent(graph: Graph, dataset: str, identifier: str) -> IntentPage:
    """Read one intent's page.

    Raises:
        NotFoundError: there is no such intent.
    """
    key = uid(dataset, identifier)
    found = graph.many("intent_detail", intent=key)
    if not found:
        raise NotFoundError(f"{dataset!r} has no intent {identifier!r}", cure="Search for its words above")
    row, named = found[0], {"dataset": dataset, "intent": identifier, "limit": SHOWN}
    return IntentPage(
        dataset=dataset,
        id=identifier,
        name=row["name"],
        merged_into=row["merged_into"],
        user_count=row["users"],
        item_count=row["items"],
        interests=tuple(row["interests"]),
        users=tuple(graph.many("users_by_intent", **named)),
        items=tuple(graph.many("items_by_intent", **named)),
        pairs=tuple(graph.many("pairs_of_intent", intent=key)),
        neighbourhood=neighbourhood.load(graph, dataset, "Intent", identifier, row["name"]),
    )


def load_merges(graph: Graph, settings: Settings, dataset: str, state: str) -> MergesPage:
    """Read the pairs with a verdict; those that wait for one where the verdict is unknown."""
    verdict = Verdict(state) if state in set(Verdict) else Verdict.PROPOSED
    found = pairs(graph, dataset, verdict)
    looking = merging.load(graph, settings, dataset)
    return MergesPage(dataset, verdict, tuple(Verdict), len(found), tuple(found[:SHOWN_PAIRS]), looking)


@page(blueprint, "/d/<id:dataset>/intents")
def index(dataset: str) -> Response:
    """The list of intents."""
    return render(IntentsPage(dataset, listing.load(graph(), "browse_intents", dataset, ("items",))))


@page(blueprint, "/d/<id:dataset>/intents/<id:identifier>")
def intent(dataset: str, identifier: str) -> Response:
    """One intent."""
    return render(load_intent(graph(), dataset, identifier))


@page(blueprint, "/d/<id:dataset>/merges")
def merges(dataset: str) -> Response:
    """Pairs to judge."""
    return render(load_merges(graph(), settings(), dataset, request.args.get("state", "")))


@blueprint.post("/d/<id:dataset>/merges")
@login.needs(Scope.WRITE)
def decide(dataset: str) -> ResponseReturnValue:
    """Judge a pair, and go back to where that was done."""
    form, actor = request.form, login.caller().name
    merging.judge(graph(), dataset, form["intent"], form["into"], form["verdict"], actor=actor)
    audit.record(graph(), actor, f"intents.{form['verdict']}", uid(dataset, form["intent"]), {"into": form["into"]})
    if "page" in form:
        return redirect(url_for("intents.intent", dataset=dataset, identifier=form["page"]), 303)
    return redirect(url_for("intents.merges", dataset=dataset, state=form.get("state", "")), 303)


@blueprint.post("/d/<id:dataset>/merges/<action>")
@login.needs(Scope.WRITE)
def act(dataset: str, action: str) -> ResponseReturnValue:
    """Have a worker look for pairs, make the vectors to look by, or merge the likeliest."""
    merging.act(graph(), settings(), dataset, action, request.form, actor=login.caller().name)
    return redirect(url_for("intents.merges", dataset=dataset), 303)

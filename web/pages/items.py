"""Items: their facts, who chose them, and the interests that lead to them."""

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
from web import login
from web.chrome import Link, render
from web.parts import correcting, listing, neighbourhood
from web.store import graph
from web.urls import page

blueprint = Blueprint("items", __name__)
link = Link("Items", "items.index", 20)
SHOWN_FACTS = 12
SHOWN_READERS = 30
SHOWN_INTERESTS = 15


@dataclass(frozen=True)
class ItemsPage:
    """The list of items."""

    template: ClassVar[str] = "items.html"
    dataset: str
    listing: listing.Listing


@dataclass(frozen=True)
class ItemPage:
    """One item.

    Attributes:
        dataset: the dataset.
        id: the item's id.
        name: its name.
        text: what it is, in words; may be empty.
        facts: by relation and direction, the rarest first.
        fact_count: how many there are in all.
        intents: what it offers, in an LLM's words, exact before related ones.
        corrections: what of these is said to be wrong.
        interests: those whose holders chose it more often than everyone.
        readers: some of the users who chose it.
        reader_count: how many did.
        recommended: to how many users the served model recommends it.
        neighbourhood: what stands around it.
    """

    template: ClassVar[str] = "item.html"
    dataset: str
    id: str
    name: str
    text: str | None
    facts: tuple[dict[str, Any], ...]
    fact_count: int
    intents: tuple[dict[str, Any], ...]
    corrections: tuple[Correction, ...]
    interests: tuple[dict[str, Any], ...]
    readers: tuple[dict[str, Any], ...]
    reader_count: int
    recommended: int
    neighbourhood: neighbourhood.Neighbourhood


def load_item(graph: Graph, dataset: str, identifier: str) -> ItemPage:
    """Read one item's page.

    Raises:
        NotFoundError: there is no such item.
    """
    key = uid(dataset, identifier)
    found = graph.many("item_detail", item=key)
    if not found:
        raise NotFoundError(f"{dataset!r} has no item {identifier!r}", cure="Search for a name or an id above")
    facts = graph.many("thing_facts", label="Item", thing=key, limit=SHOWN_FACTS)
    return ItemPage(
        dataset=dataset,
        id=identifier,
        name=found[0]["name"],
        text=found[0]["text"],
        facts=tuple(facts),
        fact_count=sum(row["total"] for row in facts),
        intents=tuple(graph.many("intents_of_item", dataset=dataset, item=identifier)),
        corrections=corrections.about(graph, dataset, Label.ITEM, identifier).corrections,
        interests=tuple(graph.many("item_interests", item=key, limit=SHOWN_INTERESTS)),
        readers=tuple(graph.many("item_readers", item=key, limit=SHOWN_READERS)),
        reader_count=found[0]["readers"],
        recommended=found[0]["recommended"],
        neighbourhood=neighbourhood.load(graph, dataset, "Item", identifier, found[0]["name"]),
    )


@page(blueprint, "/d/<id:dataset>/items")
def index(dataset: str) -> Response:
    """The list of items."""
    return render(ItemsPage(dataset, listing.load(graph(), "browse_items", dataset, ("facts",))))


@page(blueprint, "/d/<id:dataset>/items/<id:identifier>")
def item(dataset: str, identifier: str) -> Response:
    """One item."""
    return render(load_item(graph(), dataset, identifier))


@blueprint.post("/d/<id:dataset>/items/<id:identifier>/corrections")
@login.needs(Scope.WRITE)
def correct(dataset: str, identifier: str) -> ResponseReturnValue:
    """Say that an item does not offer something, or that it does after all."""
    correcting.decide(graph(), dataset, Label.ITEM, identifier, request.form)
    return redirect(url_for("items.item", dataset=dataset, identifier=identifier), 303)

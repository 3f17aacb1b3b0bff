"""Entities: authors, genres, places, and the items they have to do with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from flask import Blueprint, Response

from cikg.errors import NotFoundError
from cikg.graph import Graph
from cikg.schema import uid
from web.chrome import Link, render
from web.parts import listing
from web.store import graph
from web.urls import page

blueprint = Blueprint("entities", __name__)
link = Link("Entities", "entities.index", 40)
SHOWN_FACTS = 60


@dataclass(frozen=True)
class EntitiesPage:
    """The list of entities."""

    template: ClassVar[str] = "entities.html"
    dataset: str
    listing: listing.Listing


@dataclass(frozen=True)
class EntityPage:
    """One entity.

    Attributes:
        dataset: the dataset.
        id: the entity's id.
        name: its name.
        facts: by relation and direction, the rarest first.
        fact_count: how many there are in all.
    """

    template: ClassVar[str] = "entity.html"
    dataset: str
    id: str
    name: str
    facts: tuple[dict[str, Any], ...]
    fact_count: int


def load_entity(graph: Graph, dataset: str, identifier: str) -> EntityPage:
    """Read one entity's page.

    Raises:
        NotFoundError: there is no such entity.
    """
    key = uid(dataset, identifier)
    found = graph.many("entity_detail", entity=key)
    if not found:
        raise NotFoundError(f"{dataset!r} has no entity {identifier!r}", cure="Search for its name above")
    facts = graph.many("thing_facts", label="Entity", thing=key, limit=SHOWN_FACTS)
    return EntityPage(dataset, identifier, found[0]["name"], tuple(facts), sum(row["total"] for row in facts))


@page(blueprint, "/d/<id:dataset>/entities")
def index(dataset: str) -> Response:
    """The list of entities."""
    return render(EntitiesPage(dataset, listing.load(graph(), "browse_entities", dataset)))


@page(blueprint, "/d/<id:dataset>/entities/<id:identifier>")
def entity(dataset: str, identifier: str) -> Response:
    """One entity."""
    return render(load_entity(graph(), dataset, identifier))

"""Datasets, the search in one, and what stands around and between its nodes."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cikg.errors import NotFoundError
from cikg.schema import Label, uid
from web.api.operation import operation
from web.api.paging import Page, Paged, by_key, by_place
from web.pages.search import SHOWN, load_search
from web.store import graph

TAG = "Datasets"
MOST_PATHS = 20
MOST_HITS = 200


class Kind(StrEnum):
    """The kinds of nodes that are looked at."""

    USER = Label.USER
    ITEM = Label.ITEM
    ENTITY = Label.ENTITY
    INTENT = Label.INTENT
    INTEREST = Label.INTEREST


class DatasetSummary(BaseModel):
    """A dataset in a list."""

    id: str
    field: str = Field(description="What its items are: books, films, …")
    state: str = Field(description="`ready`, `importing` or `dropping`")
    version: int = Field(description="How often it was changed")
    served: str | None = Field(description="The run whose recommendations are served")


class Dataset(DatasetSummary):
    """A dataset with its counts."""

    source: str | None = Field(description="Where it was imported from")
    users: int
    items: int
    entities: int
    intents: int
    interests: int


class Node(BaseModel):
    """A node of the graph."""

    kind: str = Field(description="User, Item, Entity, Intent or Interest")
    id: str
    name: str


class Found(Node):
    """Something found."""

    degree: int = Field(description="How many edges it has")


class SearchQuery(BaseModel):
    """What to look for."""

    model_config = ConfigDict(extra="forbid")

    q: str = Field(min_length=1, max_length=200, description="Words of a name, the last one perhaps begun, or an id")
    limit: int = Field(SHOWN, ge=1, le=MOST_HITS, description="The most nodes to return")


class Hits(BaseModel):
    """What was found, best first."""

    items: list[Found]
    truncated: bool = Field(description="Whether there may be more")


class NeighbourQuery(Paged):
    """Which neighbours."""

    type: str = Field("", max_length=200, description="Only along edges of this type")
    pruned: bool = Field(False, description="Also along edges that were pruned")


class Neighbour(Node):
    """A node at the other end of an edge."""

    type: str = Field(description="The edge's type")
    outgoing: bool = Field(description="Whether the edge leads from the node that was asked about")
    relation: str | None = Field(description="A fact's relation, in the dataset's own words")
    evidence: list[str] | None = Field(description="Ids of the interactions that show it, of an edge that an LLM made")
    run: str | None
    completion: str | None
    pruned_by: str | None
    pruned_reason: str | None


class PathQuery(BaseModel):
    """Between which nodes."""

    model_config = ConfigDict(extra="forbid")

    source_kind: Kind = Field(description="Of the node to begin at")
    source: str = Field(min_length=1, max_length=1000, description="Its id")
    target_kind: Kind = Field(description="Of the node to end at")
    target: str = Field(min_length=1, max_length=1000, description="Its id")
    limit: int = Field(3, ge=1, le=MOST_PATHS, description="The most paths to return")


class Step(BaseModel):
    """An edge of a path."""

    type: str
    relation: str | None
    forward: bool = Field(description="Whether the edge points the way the path goes")


class Path(BaseModel):
    """A path: one edge fewer than nodes."""

    nodes: list[Node]
    edges: list[Step]


class Paths(BaseModel):
    """The shortest paths of at most four edges, the shortest first."""

    items: list[Path]


@operation("GET", "/datasets", tag=TAG, answer=Page[DatasetSummary], query=Paged)
def datasets(query: Paged) -> Page[Any]:
    """All datasets, by name."""
    return by_key(query, "", _datasets, lambda row: row["id"])


@operation("GET", "/datasets/<dataset>", tag=TAG, answer=Dataset)
def dataset(dataset: str) -> dict[str, Any]:
    """One dataset with its counts."""
    return graph().one("dataset_detail", dataset=dataset)


@operation("GET", "/datasets/<dataset>/search", tag=TAG, answer=Hits, query=SearchQuery, versioned=True)
def search(dataset: str, query: SearchQuery) -> Hits:
    """What has a name or an id like this: users, items, entities, intents and interests."""
    found = load_search(graph(), dataset, query.q, query.limit)
    hits = [Found(kind=hit.label, id=hit.id, name=hit.name, degree=hit.degree) for hit in found.hits]
    return Hits(items=hits, truncated=found.cut)


@operation(
    "GET",
    "/datasets/<dataset>/nodes/<kind>/<key:node>/neighbours",
    tag=TAG,
    answer=Page[Neighbour],
    query=NeighbourQuery,
    versioned=True,
)
def neighbours(dataset: str, kind: str, node: str, query: NeighbourQuery) -> Page[Any]:
    """The neighbours of a node, by the edges' types, with what is known of each edge."""
    asked = {"label": exists(dataset, kind, node), "uid": uid(dataset, node), "type": query.type}
    return by_place(
        query,
        lambda skip, limit: graph().many("neighbours_by_type", **asked, pruned=query.pruned, skip=skip, limit=limit),
    )


@operation("GET", "/datasets/<dataset>/paths", tag=TAG, answer=Paths, query=PathQuery, versioned=True)
def paths(dataset: str, query: PathQuery) -> dict[str, Any]:
    """The shortest paths between two nodes, without recommendations and pruned edges."""
    asked = {
        "source_label": exists(dataset, query.source_kind, query.source),
        "source": uid(dataset, query.source),
        "target_label": exists(dataset, query.target_kind, query.target),
        "target": uid(dataset, query.target),
    }
    return {"items": graph().many("shortest_paths", **asked, most=query.limit)}


def _datasets(after: str, limit: int) -> list[dict[str, Any]]:
    return graph().many("list_of_datasets", after=after, limit=limit)


def exists(dataset: str, kind: str, identifier: str) -> Kind:
    """The label of a kind, once it is sure that there is such a node.

    Raises:
        NotFoundError: there is no such kind, or no such node.
    """
    label = next((label for label in Kind if label.lower() == kind.lower()), None)
    if label is None:
        raise NotFoundError(f"there is no kind {kind!r}", cure=f"It is one of {', '.join(Kind)}")
    if not graph().many("find_labelled", label=label, uid=uid(dataset, identifier)):
        raise NotFoundError(f"{dataset!r} has no {label.lower()} {identifier!r}", cure="Search for its name")
    return label

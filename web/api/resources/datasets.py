"""Datasets, the search in one, and what stands around and between its nodes."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cikg.errors import NotFoundError
from cikg.schema import Label, uid
from web.api.operation import operation
from web.api.paging import Filtered, Page, Paged, by_key, by_place
from web.parts.search import SHOWN
from web.parts.search import search as find
from web.store import graph

TAG = "Datasets"
MOST_PATHS = 20
MOST_HITS = 200


class Kind(StrEnum):
    """The kinds of nodes."""

    USER = Label.USER
    ITEM = Label.ITEM
    ENTITY = Label.ENTITY
    INTENT = Label.INTENT
    INTEREST = Label.INTEREST


class DatasetSummary(BaseModel):
    """A dataset in a list."""

    id: str = Field(description="Its name")
    field: str = Field(description="What its items are: books, films, …")
    state: str = Field(description="`ready`, `importing` or `dropping`")
    version: int = Field(description="A number that grows with every change")
    served: str | None = Field(description="The training run whose recommendations are served")


class Dataset(DatasetSummary):
    """A dataset with its counts."""

    source: str | None = Field(description="Where it was imported from")
    users: int
    items: int
    interactions: int
    entities: int
    facts: int
    intents: int = Field(description="Without those that were merged into others")
    interests: int


class Node(BaseModel):
    """A node of the graph."""

    kind: str = Field(description="`User`, `Item`, `Entity`, `Intent` or `Interest`")
    id: str
    name: str = Field(description="Its name; its id if it has none")


class Found(Node):
    """A node that matches a search."""

    degree: int = Field(description="Number of its edges")


class SearchQuery(BaseModel):
    """What to search for."""

    model_config = ConfigDict(extra="forbid")

    q: str = Field(
        min_length=1,
        max_length=200,
        description="Words of the name, of which the last may be incomplete; or the exact id",
    )
    limit: int = Field(SHOWN, ge=1, le=MOST_HITS, description="Maximum number of nodes")


class Hits(BaseModel):
    """The nodes that match, best first."""

    items: list[Found]
    truncated: bool = Field(description="Whether there may be more")


class NeighbourQuery(Paged):
    """Which neighbours."""

    type: str = Field("", max_length=200, description="Only edges of this type, such as `HAS_INTEREST`")
    pruned: bool = Field(False, description="Include pruned edges")


class Neighbour(Node):
    """A node at the other end of an edge."""

    type: str = Field(description="Type of the edge, such as `HAS_INTEREST`")
    outgoing: bool = Field(description="Whether the edge starts at the requested node")
    relation: str | None = Field(description="For a fact, its relation in the dataset's own words")
    evidence: list[str] | None = Field(description="For an edge from an LLM, ids of the items that support it")
    run: str | None = Field(description="The run that wrote the edge")
    completion: str | None = Field(description="The LLM's answer that the edge comes from")
    pruned_by: str | None = Field(description="Who or what pruned the edge; null if it is not pruned")
    pruned_reason: str | None = Field(description="Why it was pruned")


class PathQuery(BaseModel):
    """Which nodes to connect."""

    model_config = ConfigDict(extra="forbid")

    source_kind: Kind = Field(description="Kind of the first node")
    source: str = Field(min_length=1, max_length=1000, description="Id of the first node")
    target_kind: Kind = Field(description="Kind of the last node")
    target: str = Field(min_length=1, max_length=1000, description="Id of the last node")
    limit: int = Field(3, ge=1, le=MOST_PATHS, description="Maximum number of paths")


class Step(BaseModel):
    """An edge of a path."""

    type: str = Field(description="Type of the edge")
    relation: str | None = Field(description="For a fact, its relation")
    forward: bool = Field(description="Whether the edge points in the direction of the path")


class Path(BaseModel):
    """A path. It has one edge less than nodes."""

    nodes: list[Node]
    edges: list[Step]


class Paths(BaseModel):
    """Paths of at most four edges, shortest first."""

    items: list[Path]


@operation("GET", "/datasets", tag=TAG, answer=Page[DatasetSummary], query=Filtered)
def datasets(query: Filtered) -> Page[Any]:
    """List the datasets, sorted by name."""
    return by_key(
        query,
        "",
        lambda after, limit: graph().many("list_of_datasets", text=query.text, after=after, limit=limit),
        lambda row: row["id"],
    )


@operation("GET", "/datasets/<dataset>", tag=TAG, answer=Dataset)
def dataset(dataset: str) -> dict[str, Any]:
    """Return a dataset and how much it contains."""
    return graph().one("dataset_detail", dataset=dataset) | graph().one("edge_counts", dataset=dataset)


@operation("GET", "/datasets/<dataset>/search", tag=TAG, answer=Hits, query=SearchQuery, versioned=True)
def search(dataset: str, query: SearchQuery) -> Hits:
    """Search users, items, entities, intents and interests by name or id."""
    found = find(graph(), dataset, query.q, query.limit)
    hits = [Found(kind=hit.label, id=hit.id, name=hit.name, degree=hit.degree) for hit in found.hits]
    return Hits(items=hits, truncated=found.cut)


@operation(
    "GET",
    "/datasets/<dataset>/nodes/<kind>/<key:node>/neighbours",
    tag=TAG,
    answer=Page[Neighbour],
    query=NeighbourQuery,
)
def neighbours(dataset: str, kind: str, node: str, query: NeighbourQuery) -> Page[Any]:
    """List the neighbours of a node, sorted by the type of the edge, with the origin of each edge."""
    asked = {"label": exists(dataset, kind, node), "uid": uid(dataset, node), "type": query.type}
    return by_place(
        query,
        lambda skip, limit: graph().many("neighbours_by_type", **asked, pruned=query.pruned, skip=skip, limit=limit),
    )


@operation("GET", "/datasets/<dataset>/paths", tag=TAG, answer=Paths, query=PathQuery, versioned=True)
def paths(dataset: str, query: PathQuery) -> dict[str, Any]:
    """Find the shortest paths between two nodes. Recommendations and pruned edges are ignored."""
    asked = {
        "source_label": exists(dataset, query.source_kind, query.source),
        "source": uid(dataset, query.source),
        "target_label": exists(dataset, query.target_kind, query.target),
        "target": uid(dataset, query.target),
    }
    return {"items": graph().many("shortest_paths", **asked, most=query.limit)}


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

"""How a recommendation comes about, by one that is served: choices, what an LLM read in them, an interest, an item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cikg.graph import Graph
from cikg.schema import uid
from cikg.serving.recommend import Recommendation, read


@dataclass(frozen=True)
class Story:
    """One recommendation with all that led to it.

    Attributes:
        user: the user's id.
        name: the user's name, or the id where none is known.
        evidence: the choices that the interest was read from: id and name of each.
        phrases: what the LLM made of them; empty where the interest was imported.
        holders: users who share the interest.
        item: what is recommended; the interest is its reason.
    """

    user: str
    name: str
    evidence: tuple[dict[str, Any], ...]
    phrases: tuple[str, ...]
    holders: int
    item: Recommendation


def tell(graph: Graph, dataset: str) -> Story | None:
    """The story of a recommendation whose reason is strong; None where none is served that an interest explains."""
    found = next(iter(graph.many("telling_recommendation", dataset=dataset)), None)
    if found is None:
        return None
    served = read(graph, dataset, found["user"], found["rank"])
    item = next((each for each in served.items if each.rank == found["rank"]), None) if served else None
    interests = graph.many("user_interests", user=uid(dataset, found["user"]))
    held = next((each for each in interests if each["id"] == found["interest"]), None)
    if served is None or item is None or item.interest is None or held is None:
        return None  # it was changed a moment ago
    name = served.name or found["user"]
    return Story(found["user"], name, tuple(held["evidence"]), tuple(held["phrases"]), held["holders"], item)

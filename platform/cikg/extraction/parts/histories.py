"""What jobs about users read: training histories, with what the graph knows about each item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cikg.extraction.parts.portions import portions
from cikg.graph import Graph, datasets
from cikg.schema import relation_in_words, uid

LONGEST_HISTORY = 30
"""Items of a history that a prompt shows, the latest first."""
MOST_NAMES = 8
"""Things that a prompt names for one relation of an item."""


@dataclass(frozen=True, slots=True)
class Card:
    """What is known about one item."""

    id: str
    name: str
    text: str = ""
    facts: dict[str, list[str]] = field(default_factory=dict)  # readable relation -> names


@dataclass(frozen=True, slots=True)
class History:
    """A user and the items that the training interactions hold, the latest first."""

    user: str
    items: tuple[Card, ...]


def dataset_row(graph: Graph, dataset: str) -> dict[str, Any]:
    """What a job needs to know of its dataset: `field`, `relations`, `state`, `version`.

    Raises:
        NotFoundError: there is no such dataset.
    """
    rows = graph.many("run_dataset", dataset=dataset)
    if not rows:
        raise datasets.unknown(graph, dataset)
    return rows[0]


def users(graph: Graph, dataset: str) -> list[str]:
    """Ids of the users that have a training history; numbers in the order of their values."""
    found = [row["user"] for row in graph.many("history_users", dataset=dataset)]
    return sorted(found, key=lambda user: (len(user), user) if user.isdecimal() else (1 << 30, user))


def items(graph: Graph, dataset: str) -> list[str]:
    """Ids of all items."""
    return [row["item"] for row in graph.many("dataset_items", dataset=dataset)]


def read(graph: Graph, dataset: str, chosen: Sequence[str]) -> Iterator[History]:
    """Yield the histories of users, in the order of their ids as text.

    Raises:
        NotFoundError: there is no such dataset.
    """
    relations = dataset_row(graph, dataset)["relations"]
    known: dict[str, Card] = {}
    for part in portions(chosen):
        uids = [uid(dataset, user) for user in part]
        rows = graph.one("user_histories", users=uids, limit=LONGEST_HISTORY)["histories"]
        unknown = sorted({item for row in rows for item in row["items"]} - set(known))
        known.update(cards(graph, dataset, unknown, relations))
        for row in rows:
            yield History(row["user"], tuple(known[item] for item in row["items"]))


def cards(graph: Graph, dataset: str, items: Sequence[str], relations: Sequence[str]) -> Iterator[tuple[str, Card]]:
    """Yield the ids of items with what is known about them.

    Args:
        graph: the graph.
        dataset: the dataset's name.
        items: their ids, few enough for one statement.
        relations: the types of the dataset's facts.
    """
    uids = [uid(dataset, item) for item in items]
    for row in graph.one("item_cards", items=uids, relations=relations, limit=MOST_NAMES)["cards"]:
        facts: dict[str, list[str]] = {}
        for fact in row["facts"]:
            facts.setdefault(relation_in_words(fact["relation"]), []).extend(fact["names"])
        yield row["item"], Card(row["item"], row["name"] or row["item"], row["text"] or "", facts)

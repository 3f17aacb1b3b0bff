"""What SeeKRec's prompts show of a user or an item: edges by hop, read from the graph. Histories are of train alone.

Around a user: what they chose and what they are said to like; then what is known about their choices; then what
resembles these. Around an item: what is known about it and what it serves; then what resembles it; then what its users
chose as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cikg.extraction.parts.histories import Card, cards, dataset_row
from cikg.extraction.parts.portions import portions
from cikg.extraction.parts.subgraphs import Edge, Neighbourhood
from cikg.graph import Graph
from cikg.schema import uid

MOST_CHOSEN = 30
"""Choices of a user that are shown."""
MOST_OF_A_HOP = 40
"""Edges that the second and the third hop add."""
MOST_NAMES = 5
"""Names that one edge lists."""
COMMON = 100
"""Neighbours of a thing that is too common to make two items alike."""
READERS = 50
"""Users of an item whose other choices are looked at."""
_BATCH = 200


def users(graph: Graph, dataset: str, chosen: Sequence[str], job: str) -> Iterator[Neighbourhood]:
    """Yield the neighbourhoods of users, by id.

    Args:
        graph: the graph.
        dataset: the dataset's name.
        chosen: the users' ids.
        job: the job that reads; what it pruned itself is shown all the same.

    Raises:
        NotFoundError: there is no such dataset.
    """
    relations = dataset_row(graph, dataset)["relations"]
    for uids in _batches(dataset, chosen):
        found = graph.many("user_neighbourhoods", dataset=dataset, job=job, users=uids, limit=MOST_CHOSEN)
        items = sorted({uid(dataset, each["id"]) for row in found for each in row["chosen"]})
        about = _About(graph, dataset, job, items, relations)
        for row in found:
            yield Neighbourhood(row["id"], (_own(row), _known(row["chosen"], about), _alike(row["chosen"], about)))


class _About:
    """What is known about some items, by their ids.

    Attributes:
        cards: name, text and facts.
        serves: the names of the intents that each serves.
        resembling: the items most like each.
    """

    def __init__(self, graph: Graph, dataset: str, job: str, items: Sequence[str], relations: Sequence[str]) -> None:
        bare = [item.removeprefix(uid(dataset, "")) for item in items]
        self.cards: dict[str, Card] = dict(cards(graph, dataset, bare, relations))
        served = graph.many("served_intents", dataset=dataset, job=job, items=items)
        self.serves: dict[str, list[dict[str, str]]] = {row["item"]: row["intents"] for row in served}
        alike = graph.many("resembling_items", items=items, relations=relations, common=COMMON, limit=MOST_OF_A_HOP)
        self.resembling: dict[str, list[dict[str, Any]]] = {row["item"]: row["others"] for row in alike}


def _own(row: Mapping[str, Any]) -> tuple[Edge, ...]:
    """A user's choices and likings."""
    names = {each["id"]: each["name"] for each in row["chosen"]}
    chosen = [Edge({"edge": "chose", "to": each["name"]}, item=each["id"]) for each in row["chosen"]]
    likes = [
        Edge(
            {
                "edge": "likes",
                "to": each["name"],
                "shown_by": [names[item] for item in each["evidence"] if item in names][:MOST_NAMES],
            },
            intent=each["uid"],
        )
        for each in row["intents"]
    ]
    return (*chosen, *likes[:MOST_OF_A_HOP])


def _known(chosen: Iterable[Mapping[str, str]], about: _About) -> tuple[Edge, ...]:
    """What is known about a user's choices, what most of them share first."""
    holders: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in chosen:
        said = [(relation, name) for relation, names in about.cards[each["id"]].facts.items() for name in names]
        said += [("serves", intent["name"]) for intent in about.serves.get(each["id"], ())]
        for pair in dict.fromkeys(said):
            holders[pair].append(each["name"])
    first = sorted(holders, key=lambda pair: (-len(holders[pair]), pair))[:MOST_OF_A_HOP]
    return tuple(
        Edge({"edge": edge, "to": to, "from": holders[edge, to][:MOST_NAMES], "count": len(holders[edge, to])})
        for edge, to in first
    )


def _alike(chosen: Iterable[Mapping[str, str]], about: _About) -> tuple[Edge, ...]:
    """Items that resemble a user's choices, those that resemble most of them first."""
    chosen = list(chosen)
    own, like = {each["id"] for each in chosen}, defaultdict[tuple[str, str], list[str]](list)
    for each in chosen:
        for other in about.resembling.get(each["id"], ()):
            if other["id"] not in own:
                like[other["id"], other["name"]].append(each["name"])
    first = sorted(like, key=lambda other: (-len(like[other]), other))[:MOST_OF_A_HOP]
    return tuple(Edge({"edge": "resembles", "to": other[1], "from": like[other][:MOST_NAMES]}) for other in first)


def items(graph: Graph, dataset: str, chosen: Sequence[str], job: str) -> Iterator[Neighbourhood]:
    """Yield the neighbourhoods of items, by id; arguments and errors as for `users`."""
    relations = dataset_row(graph, dataset)["relations"]
    for uids in _batches(dataset, chosen):
        about = _About(graph, dataset, job, uids, relations)
        together = {
            row["item"]: row["others"]
            for row in graph.many("items_chosen_together", items=uids, readers=READERS, limit=MOST_OF_A_HOP)
        }
        for identifier, card in sorted(about.cards.items()):
            facts = [Edge({"edge": relation, "to": name}) for relation, names in card.facts.items() for name in names]
            serves = [
                Edge({"edge": "serves", "to": each["name"]}, intent=each["uid"])
                for each in about.serves.get(identifier, ())
            ]
            resembling = (
                Edge({"edge": "resembles", "to": each["name"], "through": sorted(each["through"])[:MOST_NAMES]})
                for each in about.resembling.get(identifier, ())
            )
            with_it = (
                Edge({"edge": "chosen together with", "to": each["name"], "count": each["users"]})
                for each in together.get(identifier, ())
            )
            yield Neighbourhood(identifier, ((*facts, *serves[:MOST_OF_A_HOP]), tuple(resembling), tuple(with_it)))


def _batches(dataset: str, chosen: Sequence[str]) -> Iterator[list[str]]:
    for part in portions(chosen, _BATCH):
        yield [uid(dataset, each) for each in part]

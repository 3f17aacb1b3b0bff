"""Job `item_comprehension`: what an item is, from its own facts and from those that its neighbours in the graph share.

Paper: CoLaKG (Cui et al., 2024), "item-centred KG subgraph comprehension": an item's triples and, two steps away, the
items that share them, explained by the model; the text is embedded for training.
Departures: only what few items share counts as a neighbourhood; the answer is one paragraph of at most 200 words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

from cikg.extraction.job import Job, Subject, ask_once
from cikg.extraction.parts import histories, profiles
from cikg.extraction.parts.histories import Card, dataset_row
from cikg.extraction.parts.phrases import data_line, line
from cikg.extraction.parts.portions import portions
from cikg.extraction.parts.profiles import at_most
from cikg.graph import Graph
from cikg.schema import Label, uid

WORDS = 200
LONGEST_TEXT = 1_500
"""Characters of an item's text that the prompt shows."""
NEIGHBOURS = 12
"""Items that share facts with it, those that share most first."""
MOST_SHARED = 5
COMMON = 100
"""Neighbours of a thing that is too common to make two items alike."""


class ItemComprehension(BaseModel):
    """The answer: one paragraph."""

    model_config = ConfigDict(extra="forbid")

    comprehension: Annotated[str, AfterValidator(at_most(WORDS))]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """An item, and its neighbours with what each shares with it."""

    card: Card
    neighbours: tuple[tuple[str, tuple[str, ...]], ...]


def read(graph: Graph, dataset: str, chosen: Sequence[str]) -> Iterator[Surroundings]:
    """Yield items with the neighbourhood that their facts make.

    Raises:
        NotFoundError: there is no such dataset.
    """
    relations = dataset_row(graph, dataset)["relations"]
    for part in portions(chosen):
        uids = [uid(dataset, item) for item in part]
        rows = graph.many("resembling_items", items=uids, relations=relations, common=COMMON, limit=NEIGHBOURS)
        near = {row["item"]: row["others"] for row in rows}
        for _, card in histories.cards(graph, dataset, part, relations):
            others = near.get(card.id, [])
            yield Surroundings(card, tuple((each["name"], tuple(sorted(each["through"]))) for each in others))


def plan(found: Iterable[Surroundings], field: str) -> Iterator[Subject]:
    """One subject an item. Its input is the text that the prompt will hold."""
    for each in found:
        neighbours = [{"title": name, "shares": list(shared[:MOST_SHARED])} for name, shared in each.neighbours]
        yield Subject(
            each.card.id,
            {
                "field": field,
                "item": line(each.card, LONGEST_TEXT),
                "neighbours": "\n".join(map(data_line, neighbours)),
                "items": [each.card.id],
            },
        )


work = ask_once("item_comprehension", ItemComprehension)


def apply(subject: Subject, answer: ItemComprehension, dataset: str) -> dict[str, Any]:
    """Turn an answer into a profile that rests on the item itself."""
    return profiles.row(subject, answer.comprehension, Label.ITEM, dataset, made="comprehended")


JOB = Job(
    name="item_comprehension",
    help="What each item is, from its facts and its neighbours in the graph.",
    about=Label.ITEM,
    prompts=("item_comprehension",),
    ids=histories.items,
    read=read,
    plan=plan,
    work=work,
    apply=apply,
    write="replace_profiles",
    answer_tokens=120,
)

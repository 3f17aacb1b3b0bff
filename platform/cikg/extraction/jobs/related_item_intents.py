"""Job `related_item_intents`: which other intents of the pool an item serves as well.

Paper: IKGR, the second round ("related intents"): the 100 intents of the pool nearest to the item that it does not have
yet, and one question which of them it serves. No new intents come of it.
Departures: the answer may name none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cikg.extraction.job import Job, Subject, ask_once
from cikg.extraction.parts import descriptions, related
from cikg.extraction.parts.descriptions import Described
from cikg.extraction.parts.related import MOST_RELATED, Candidates
from cikg.graph import Graph
from cikg.graph.vectors import written_for
from cikg.schema import Label, uid


class RelatedIntents(BaseModel):
    """The answer: the numbers of up to ten candidates, the most fitting first."""

    model_config = ConfigDict(extra="forbid")

    related: list[int] = Field(max_length=MOST_RELATED)


@dataclass(frozen=True, slots=True)
class Choice:
    """An item and the intents that it may have besides its own."""

    item: Described
    candidates: Candidates


def ids(graph: Graph, dataset: str) -> list[str]:
    """The ids of the items that have a vector, once all have one that have a text.

    Raises:
        NotFoundError: there is no such dataset.
        InputError: it has no intents.
    """
    embedding = related.embed(graph, dataset, (Label.ITEM, Label.INTENT))
    rows = graph.run(written_for("embedded_nodes", Label.ITEM, embedding), dataset=dataset)
    return [row["uid"].removeprefix(uid(dataset, "")) for row in rows]


def read(graph: Graph, dataset: str, chosen: Sequence[str]) -> Iterator[Choice]:
    """Yield items with the intents near to them; those with nothing near are left out.

    Raises:
        NotFoundError: there is no such dataset.
    """
    candidates = dict(related.near(graph, dataset, "intents_near_items", chosen))
    for item in descriptions.read(graph, dataset, [one for one in chosen if one in candidates]):
        yield Choice(item, candidates[item.id])


def plan(found: Iterable[Choice], field: str) -> Iterator[Subject]:
    """One subject an item. Its input is the text that the prompt will hold, and the intent each line stands for."""
    for choice in found:
        shown = {"field": field, "item": choice.item.shown, "glossary": choice.item.glossary}
        yield Subject(choice.item.id, {**shown, **related.offered(choice.candidates)})


work = ask_once("related_item_intents", RelatedIntents)


def apply(subject: Subject, answer: RelatedIntents, dataset: str) -> dict[str, Any]:
    """Turn an answer into intents of the second round. The evidence of each is the item itself.

    Raises:
        UnusableAnswerError: it gives numbers, and none is a candidate's.
    """
    return related.chosen(((number, [subject.id]) for number in answer.related), subject.input["intents"], dataset)


JOB = Job(
    name="related_item_intents",
    help="Which other intents of the pool each item serves; runs after the jobs that find exact ones.",
    about=Label.ITEM,
    prompts=("related_item_intents",),
    ids=ids,
    read=read,
    plan=plan,
    work=work,
    apply=apply,
    write="replace_item_intents",
    answer_tokens=15,
)

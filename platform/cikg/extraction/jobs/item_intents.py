"""Job `item_intents`: what people may want an item for, as its own name, facts and text say it.

Paper: IKGR, the first round ("exact intents"): one question an item; equal phrases become one intent of the pool.
Departures: the answer quotes the words that each intent rests on, and what it cannot quote is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cikg.extraction.job import Job, Request, Subject, UnusableAnswerError, Work
from cikg.extraction.parts import glossary, histories
from cikg.extraction.parts.histories import dataset_row
from cikg.extraction.parts.phrases import Phrase, line, pooled, stands_in
from cikg.graph import Graph
from cikg.llm.prompts import template
from cikg.schema import Label

LONGEST_TEXT = 1_500
"""Characters of an item's text that the prompt shows."""
MOST_INTENTS = 10
BATCH = 500
"""Items read with one statement."""


class ItemIntent(BaseModel):
    """One intent and the words of the item that say it."""

    model_config = ConfigDict(extra="forbid")

    phrase: Phrase
    words: str = Field(min_length=1, max_length=200)


class ItemIntents(BaseModel):
    """The answer: one to ten intents, the plainest first."""

    model_config = ConfigDict(extra="forbid")

    intents: list[ItemIntent] = Field(min_length=1, max_length=MOST_INTENTS)


@dataclass(frozen=True, slots=True)
class Described:
    """An item as a prompt shows it: one line of JSON, and a line for each of its terms that the glossary has."""

    id: str
    shown: str
    glossary: str = ""


def ids(graph: Graph, dataset: str) -> list[str]:
    """The ids of a dataset's items."""
    return [row["item"] for row in graph.many("dataset_items", dataset=dataset)]


def read(graph: Graph, dataset: str, chosen: Sequence[str]) -> Iterator[Described]:
    """Yield what is known about items, and the meanings of the terms therein.

    Raises:
        NotFoundError: there is no such dataset.
    """
    relations = dataset_row(graph, dataset)["relations"]
    terms = glossary.read(graph, dataset)
    for start in range(0, len(chosen), BATCH):
        for _, card in histories.cards(graph, dataset, chosen[start : start + BATCH], relations):
            shown = line(card, LONGEST_TEXT)
            yield Described(card.id, shown, terms.within(shown))


def plan(found: Iterable[Described], field: str) -> Iterator[Subject]:
    """One subject an item. Its input is the text that the prompt will hold."""
    for item in found:
        yield Subject(item.id, {"field": field, "item": item.shown, "glossary": item.glossary})


def work(subject: Subject) -> Work:
    """Ask once."""
    answer: ItemIntents = yield Request(template("item_intents").render(**subject.input), ItemIntents)
    return answer


def apply(subject: Subject, answer: ItemIntents, dataset: str) -> dict[str, Any]:
    """Turn an answer into intents. The evidence of each is the item itself, whose words were quoted.

    Raises:
        UnusableAnswerError: no intent quotes what stands in the item.
    """
    quoted = [each.phrase for each in answer.intents if stands_in(each.words, [subject.input["item"]])]
    if not quoted:
        raise UnusableAnswerError("no intent quotes words of the item")
    return {"round": 1, "intents": pooled(((phrase, [subject.id]) for phrase in quoted), dataset)}


JOB = Job(
    name="item_intents",
    help="What people may want each item for, from its name, facts and text.",
    about=Label.ITEM,
    prompts=("item_intents",),
    ids=ids,
    read=read,
    plan=plan,
    work=work,
    apply=apply,
    write="replace_item_intents",
    answer_tokens=90,
)

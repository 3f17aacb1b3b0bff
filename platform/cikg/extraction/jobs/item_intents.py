"""Job `item_intents`: what people may want an item for, as its own name, facts and text say it.

Paper: IKGR, the first round ("exact intents"): one question an item; equal phrases become one intent of the pool.
Departures: the answer quotes the words that each intent rests on, and what it cannot quote is left out; the prompt has
no glossary, since no dataset comes with one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cikg.extraction import histories
from cikg.extraction.histories import Card, dataset_row
from cikg.extraction.job import Job, Request, Subject, UnusableAnswerError, Work
from cikg.extraction.phrases import Phrase, intent, line
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


def ids(graph: Graph, dataset: str) -> list[str]:
    """The ids of a dataset's items."""
    return [row["item"] for row in graph.many("dataset_items", dataset=dataset)]


def read(graph: Graph, dataset: str, chosen: Sequence[str]) -> Iterator[Card]:
    """Yield what is known about items.

    Raises:
        NotFoundError: there is no such dataset.
    """
    relations = dataset_row(graph, dataset)["relations"]
    for start in range(0, len(chosen), BATCH):
        for _, card in histories.cards(graph, dataset, chosen[start : start + BATCH], relations):
            yield card


def plan(found: Iterable[Card], field: str) -> Iterator[Subject]:
    """One subject an item. Its input is the text that the prompt will hold."""
    for card in found:
        yield Subject(card.id, {"field": field, "item": line(card, LONGEST_TEXT)})


def work(subject: Subject) -> Work:
    """Ask once."""
    answer: ItemIntents = yield Request(template("item_intents").render(**subject.input), ItemIntents)
    return answer


def apply(subject: Subject, answer: ItemIntents, dataset: str) -> dict[str, Any]:
    """Turn an answer into intents. Phrases that differ only in case and spaces are one.

    The evidence of each is the item itself, whose words were quoted.

    Raises:
        UnusableAnswerError: no intent quotes what stands in the item.
    """
    shown = [_plain(value) for value in _values(json.loads(subject.input["item"]))]
    intents: dict[str, dict[str, Any]] = {}
    for each in answer.intents:
        quoted = _plain(each.words)
        if quoted and any(quoted in value for value in shown):
            found = intent(each.phrase, dataset, [subject.id])
            intents.setdefault(found["id"], found)
    if not intents:
        raise UnusableAnswerError("no intent quotes words of the item")
    return {"round": 1, "intents": [intents[identifier] for identifier in sorted(intents)]}


def _values(shown: Any) -> Iterator[str]:
    """The texts within what a prompt shows: the title, each fact by itself, the text."""
    if isinstance(shown, str):
        yield shown
    else:
        for value in shown.values() if isinstance(shown, dict) else shown:
            yield from _values(value)


def _plain(words: str) -> str:
    """Words as they are compared: without case, and whatever the spaces and the marks around them."""
    return " ".join(words.casefold().split()).strip(" .,;:!?…\"'“”‘’")


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
)

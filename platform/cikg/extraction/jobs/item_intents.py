"""Job `item_intents`: what people may want an item for, as its own name, facts and text say it.

Paper: IKGR, the first round ("exact intents"): one question an item; equal phrases become one intent of the pool.
Departures: the answer quotes the words that each intent rests on, and what it cannot quote is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cikg.extraction.job import Job, Subject, UnusableAnswerError, ask_once
from cikg.extraction.parts import descriptions, histories
from cikg.extraction.parts.descriptions import Described
from cikg.extraction.parts.phrases import Phrase, pooled, stands_in
from cikg.schema import Label

MOST_INTENTS = 10


class ItemIntent(BaseModel):
    """One intent and the words of the item that say it."""

    model_config = ConfigDict(extra="forbid")

    phrase: Phrase
    words: str = Field(min_length=1, max_length=200)


class ItemIntents(BaseModel):
    """The answer: one to ten intents, the plainest first."""

    model_config = ConfigDict(extra="forbid")

    intents: list[ItemIntent] = Field(min_length=1, max_length=MOST_INTENTS)


def plan(found: Iterable[Described], field: str) -> Iterator[Subject]:
    """One subject an item. Its input is the text that the prompt will hold."""
    for item in found:
        yield Subject(item.id, {"field": field, "item": item.shown, "glossary": item.glossary})


work = ask_once("item_intents", ItemIntents)


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
    ids=histories.items,
    read=descriptions.read,
    plan=plan,
    work=work,
    apply=apply,
    write="replace_item_intents",
    answer_tokens=90,
)

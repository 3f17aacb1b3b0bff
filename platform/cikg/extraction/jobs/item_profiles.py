"""Job `item_profiles`: what an item is and whom it suits, in 200 words at most, from its text and kept neighbourhood.

Paper: SeeKRec, "semantic refining" of items.
Departures: without `item_subgraphs` it describes the nearest edges as they are, so that stages can be left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

from cikg.extraction.job import Job, Subject, ask_once
from cikg.extraction.parts import histories, neighbourhoods, profiles
from cikg.extraction.parts.portions import portions
from cikg.extraction.parts.profiles import Kept, at_most
from cikg.graph import Graph
from cikg.schema import Label

NAME = "item_profiles"
WORDS = 200
LONGEST_TEXT = 1_500
"""Characters of an item's text that the prompt shows."""


class ItemProfile(BaseModel):
    """The answer: one paragraph."""

    model_config = ConfigDict(extra="forbid")

    profile: Annotated[str, AfterValidator(at_most(WORDS))]


def read(graph: Graph, dataset: str, chosen: Sequence[str]) -> Iterator[Kept]:
    """Yield what was kept of items' neighbourhoods, with their names and texts."""
    for part in portions(chosen):
        known = dict(histories.cards(graph, dataset, part, []))
        found = profiles.read(
            graph, dataset, part, Label.ITEM, lambda some: neighbourhoods.items(graph, dataset, some, NAME)
        )
        for kept in found:
            card = known[kept.id]
            yield replace(kept, known={"title": card.name, "text": card.text[:LONGEST_TEXT]})


work = ask_once("item_profiles", ItemProfile)


def apply(subject: Subject, answer: ItemProfile, dataset: str) -> dict[str, Any]:
    """Turn an answer into a profile that rests on the item itself."""
    return profiles.row(subject, answer.profile, Label.ITEM, dataset)


JOB = Job(
    name=NAME,
    help="What each item is and whom it suits, in at most 200 words, from its text and subgraph.",
    about=Label.ITEM,
    prompts=("item_profiles",),
    ids=histories.items,
    read=read,
    plan=profiles.plan,
    work=work,
    apply=apply,
    write="replace_profiles",
    answer_tokens=120,
)

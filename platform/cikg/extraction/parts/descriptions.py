"""What jobs about the intents of items read: the item in one line, and what the terms therein mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cikg.extraction.parts import glossary, histories
from cikg.extraction.parts.histories import dataset_row
from cikg.extraction.parts.phrases import line
from cikg.extraction.parts.portions import portions
from cikg.graph import Graph

LONGEST_TEXT = 1_500
"""Characters of an item's text that the prompt shows."""


@dataclass(frozen=True, slots=True)
class Described:
    """An item as a prompt shows it: one line of JSON, and a line for each of its terms that the glossary has."""

    id: str
    shown: str
    glossary: str = ""


def read(graph: Graph, dataset: str, chosen: Sequence[str]) -> Iterator[Described]:
    """Yield what is known about items, and the meanings of the terms therein.

    Raises:
        NotFoundError: there is no such dataset.
    """
    relations = dataset_row(graph, dataset)["relations"]
    terms = glossary.read(graph, dataset)
    for part in portions(chosen):
        for _, card in histories.cards(graph, dataset, part, relations):
            shown = line(card, LONGEST_TEXT)
            yield Described(card.id, shown, terms.within(shown))

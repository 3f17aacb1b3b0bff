"""The glossary: what the terms and abbreviations of a dataset mean, told to a model that may not know them.

An entry is a `Profile` that describes the dataset. Its name is the term, its text the meaning; the edge says which
answer explained it, and from which items. Prompts carry the entries whose terms occur in what they show, so that an
explanation that changes asks anew about those subjects alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from cikg.extraction.parts.phrases import data_line
from cikg.graph import Graph

MOST_ENTRIES = 20
"""Entries that one prompt carries."""


@dataclass(frozen=True)
class Glossary:
    """Terms and what each means."""

    meanings: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _terms(self) -> re.Pattern[str]:
        longest_first = sorted(self.meanings, key=lambda term: (-len(term), term))
        return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")

    def within(self, text: str) -> str:
        """The entries whose terms a text has, letter by letter, as lines of JSON in the order of the terms."""
        if not self.meanings:
            return ""
        found = sorted(set(self._terms.findall(text)))[:MOST_ENTRIES]
        return "\n".join(data_line({"term": term, "meaning": self.meanings[term]}) for term in found)


def read(graph: Graph, dataset: str) -> Glossary:
    """The glossary of a dataset; an empty one where nothing was explained."""
    return Glossary({row["term"]: row["meaning"] for row in graph.many("glossary_entries", dataset=dataset)})

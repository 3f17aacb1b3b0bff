"""What jobs about the intents of users read: the history in numbered lines, and a profile where there is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cikg.extraction.parts import glossary, histories
from cikg.extraction.parts.phrases import data_line, line
from cikg.graph import Graph
from cikg.schema import uid

LONGEST_TEXT = 300
"""Characters of an item's text that a line shows."""
LONGEST_PROFILE = 2_000


@dataclass(frozen=True, slots=True)
class Portrait:
    """A user as a prompt shows them.

    Attributes:
        user: the id.
        profile: one line of JSON; empty where there is no profile.
        history: lines of JSON numbered from 1, the latest training item first.
        items: the id of each line's item.
        glossary: a line for each term therein that the glossary has.
    """

    user: str
    profile: str
    history: str
    items: tuple[str, ...]
    glossary: str = ""

    def input(self, field: str) -> dict[str, object]:
        """What of a subject's input shows the user."""
        shown = {"profile": self.profile, "history": self.history, "glossary": self.glossary}
        return {"field": field, **shown, "items": list(self.items)}


def read(graph: Graph, dataset: str, chosen: Sequence[str]) -> Iterator[Portrait]:
    """Yield portraits of users with a training history, in the order of their ids as text.

    Raises:
        NotFoundError: there is no such dataset.
    """
    terms = glossary.read(graph, dataset)
    rows = graph.many("user_profiles", users=[uid(dataset, user) for user in chosen])
    profiles = {row["user"]: row["text"] for row in rows}
    for history in histories.read(graph, dataset, chosen):
        lines = "\n".join(line(card, LONGEST_TEXT, number) for number, card in enumerate(history.items, start=1))
        profile = profiles.get(history.user, "")[:LONGEST_PROFILE]
        shown = data_line({"profile": profile}) if profile else ""
        items = tuple(card.id for card in history.items)
        yield Portrait(history.user, shown, lines, items, terms.within(f"{shown}\n{lines}"))

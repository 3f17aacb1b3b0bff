"""Job `user_comprehension`: what a user likes, from their training history and what the graph holds about each item.

Paper: CoLaKG (Cui et al., 2024), "user preference comprehension": the item-centred subgraph of a user's history,
explained by the model; the text is embedded for training.
Departures: the latest 30 items, not all; the answer is one paragraph of at most 150 words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

from cikg.extraction.job import Job, Subject, ask_once
from cikg.extraction.parts import histories, profiles
from cikg.extraction.parts.histories import History
from cikg.extraction.parts.phrases import line
from cikg.extraction.parts.profiles import at_most
from cikg.schema import Label

WORDS = 150
LONGEST_TEXT = 150
"""Characters of an item's text that the prompt shows: the facts are what matters."""


class UserComprehension(BaseModel):
    """The answer: one paragraph."""

    model_config = ConfigDict(extra="forbid")

    comprehension: Annotated[str, AfterValidator(at_most(WORDS))]


def plan(found: Iterable[History], field: str) -> Iterator[Subject]:
    """One subject a user. Its input is the text that the prompt will hold, and the items that it rests on."""
    for history in found:
        lines = [line(card, LONGEST_TEXT, number) for number, card in enumerate(history.items, start=1)]
        items = sorted(card.id for card in history.items)
        yield Subject(history.user, {"field": field, "history": "\n".join(lines), "items": items})


work = ask_once("user_comprehension", UserComprehension)


def apply(subject: Subject, answer: UserComprehension, dataset: str) -> dict[str, Any]:
    """Turn an answer into a profile that rests on the items of the history that were shown."""
    return profiles.row(subject, answer.comprehension, Label.USER, dataset, made="comprehended")


JOB = Job(
    name="user_comprehension",
    help="What each user likes, from their training history and the facts about it.",
    about=Label.USER,
    prompts=("user_comprehension",),
    ids=histories.users,
    read=histories.read,
    plan=plan,
    work=work,
    apply=apply,
    write="replace_profiles",
)

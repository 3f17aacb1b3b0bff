"""Job `user_interests`: what each user likes, from the training history, with the items that show it.

Paper: CIKGRec, "user interest inference": one question a user; the phrases are clustered later (`cikg cluster`).
Departures: the answer cites its evidence, and item facts and texts stand beside the titles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cikg.extraction import histories
from cikg.extraction.histories import History
from cikg.extraction.job import Job, Request, Subject, UnusableAnswerError, Work
from cikg.extraction.phrases import Phrase, cited, line
from cikg.llm.prompts import template
from cikg.schema import Label

LONGEST_TEXT = 300
"""Characters of an item's text that the prompt shows."""


class Interest(BaseModel):
    """One interest and the lines of the history that show it."""

    model_config = ConfigDict(extra="forbid")

    phrase: Phrase
    evidence: list[int] = Field(min_length=1)


class UserInterests(BaseModel):
    """The answer: one to five interests, the strongest first."""

    model_config = ConfigDict(extra="forbid")

    interests: list[Interest] = Field(min_length=1, max_length=5)


def plan(found: Iterable[History], field: str) -> Iterator[Subject]:
    """One subject a user. Its input is the text that the prompt will hold, and the item each line stands for."""
    for history in found:
        lines = [line(card, LONGEST_TEXT, number) for number, card in enumerate(history.items, start=1)]
        yield Subject(
            history.user,
            {"field": field, "history": "\n".join(lines), "items": [card.id for card in history.items]},
        )


def work(subject: Subject) -> Work:
    """Ask once."""
    prompt = template("user_interests").render(field=subject.input["field"], history=subject.input["history"])
    answer: UserInterests = yield Request(prompt, UserInterests)
    return answer


def apply(subject: Subject, answer: UserInterests, dataset: str) -> dict[str, Any]:
    """Turn an answer into intents. Phrases that differ only in case and spaces are one; their evidence is joined.

    Raises:
        UnusableAnswerError: no interest cites a line that exists.
    """
    found = cited([(each.phrase, each.evidence) for each in answer.interests], subject.input["items"], dataset)
    if not found:
        raise UnusableAnswerError("no interest cites a line of the history")
    return {"intents": found}


JOB = Job(
    name="user_interests",
    help="What each user likes, from the training history.",
    about=Label.USER,
    prompts=("user_interests",),
    ids=histories.users,
    read=histories.read,
    plan=plan,
    work=work,
    apply=apply,
    write="replace_user_intents",
)

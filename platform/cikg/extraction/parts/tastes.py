"""What jobs that ask once about a training history share: the input, the question, and what becomes of the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from cikg.extraction.job import Job, Subject, UnusableAnswerError, ask_once
from cikg.extraction.parts import histories
from cikg.extraction.parts.histories import History
from cikg.extraction.parts.phrases import Phrase, cited, line
from cikg.schema import Label

LONGEST_TEXT = 300
"""Characters of an item's text that the prompt shows."""

Answer = TypeVar("Answer", bound=BaseModel)


class Taste(BaseModel):
    """A phrase, and the lines of the history that show it."""

    model_config = ConfigDict(extra="forbid")

    phrase: Phrase
    evidence: list[int] = Field(min_length=1)


def plan(found: Iterable[History], field: str) -> Iterator[Subject]:
    """One subject a user. Its input is the text that the prompt will hold, and the item each line stands for."""
    for history in found:
        lines = [line(card, LONGEST_TEXT, number) for number, card in enumerate(history.items, start=1)]
        yield Subject(
            history.user,
            {"field": field, "history": "\n".join(lines), "items": [card.id for card in history.items]},
        )


def tastes_job(name: str, about: str, schema: type[Answer], tastes: Callable[[Answer], list[Taste]]) -> Job:
    """A job that asks once about each user, in the prompt of its name.

    Phrases that differ only in case and spaces are one intent; their evidence is joined. An answer of which no phrase
    cites a line that exists is of no use.

    Args:
        name: the job's.
        about: one sentence about what it finds.
        schema: the shape of its answer.
        tastes: those of an answer.
    """

    def apply(subject: Subject, answer: Answer, dataset: str) -> dict[str, Any]:
        found = cited([(each.phrase, each.evidence) for each in tastes(answer)], subject.input["items"], dataset)
        if not found:
            raise UnusableAnswerError("no phrase cites a line of the history")
        return {"intents": found}

    return Job(
        name=name,
        help=about,
        about=Label.USER,
        prompts=(name,),
        ids=histories.users,
        read=histories.read,
        plan=plan,
        work=ask_once(name, schema),
        apply=apply,
        write="replace_user_intents",
    )

"""Job `user_preferences`: the few kinds of things that each user prefers, from the training history.

Paper: SeeKRec, the first stage ("user preference extraction"): one question a user, five preferences at most. Its
phrases are broad, since the second stage (`preference_alignment`) makes those of different people meet.
Departures: the answer cites its evidence, and item facts and texts stand beside the titles.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cikg.extraction import histories
from cikg.extraction.job import Job, Request, Subject, UnusableAnswerError, Work
from cikg.extraction.jobs.user_interests import Interest, plan
from cikg.extraction.phrases import cited
from cikg.llm.prompts import template
from cikg.schema import Label


class UserPreferences(BaseModel):
    """The answer: one to five preferences, the strongest first."""

    model_config = ConfigDict(extra="forbid")

    preferences: list[Interest] = Field(min_length=1, max_length=5)


def work(subject: Subject) -> Work:
    """Ask once."""
    prompt = template("user_preferences").render(field=subject.input["field"], history=subject.input["history"])
    answer: UserPreferences = yield Request(prompt, UserPreferences)
    return answer


def apply(subject: Subject, answer: UserPreferences, dataset: str) -> dict[str, Any]:
    """Turn an answer into intents, each with the items that show it.

    Raises:
        UnusableAnswerError: no preference cites a line that exists.
    """
    found = cited([(each.phrase, each.evidence) for each in answer.preferences], subject.input["items"], dataset)
    if not found:
        raise UnusableAnswerError("no preference cites a line of the history")
    return {"intents": found}


JOB = Job(
    name="user_preferences",
    help="The few kinds of things that each user prefers, from the training history.",
    about=Label.USER,
    prompts=("user_preferences",),
    ids=histories.users,
    read=histories.read,
    plan=plan,
    work=work,
    apply=apply,
    write="replace_user_intents",
)

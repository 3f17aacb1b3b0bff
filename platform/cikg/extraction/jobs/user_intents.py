"""Job `user_intents`: what each user is after, as the training history and a profile, where there is one, say it.

Paper: IKGR, the first round ("exact intents") for users: one question a user; equal phrases become one intent of the
pool, in which items' intents are, too.
Departures: the history stands beside the profile, or for it; the answer quotes the words that each intent rests on and
cites the lines of the history that show it, and what it cannot show in the history is left out: a profile may have been
written by somebody who knew more than train.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cikg.extraction.job import Job, Subject, UnusableAnswerError, ask_once
from cikg.extraction.parts import histories, portraits
from cikg.extraction.parts.phrases import Phrase, cited, stands_in
from cikg.extraction.parts.portraits import Portrait
from cikg.schema import Label

MOST_INTENTS = 10


class UserIntent(BaseModel):
    """One intent, the words that say it, and the lines of the history that show it."""

    model_config = ConfigDict(extra="forbid")

    phrase: Phrase
    words: str = Field(min_length=1, max_length=200)
    evidence: list[int] = Field(min_length=1)


class UserIntents(BaseModel):
    """The answer: one to ten intents, the strongest first."""

    model_config = ConfigDict(extra="forbid")

    intents: list[UserIntent] = Field(min_length=1, max_length=MOST_INTENTS)


def plan(found: Iterable[Portrait], field: str) -> Iterator[Subject]:
    """One subject a user. Its input is the text that the prompt will hold, and the item that each line stands for."""
    for portrait in found:
        yield Subject(portrait.user, portrait.input(field))


work = ask_once("user_intents", UserIntents)


def apply(subject: Subject, answer: UserIntents, dataset: str) -> dict[str, Any]:
    """Turn an answer into intents, each with the items that show it.

    Raises:
        UnusableAnswerError: no intent cites a line that exists and quotes it or the profile.
    """
    lines: list[str] = subject.input["history"].split("\n")  # a title may hold another kind of line break
    profile = [subject.input["profile"]] if subject.input["profile"] else []

    def quotes(intent: UserIntent) -> bool:
        shown = [lines[number - 1] for number in intent.evidence if 1 <= number <= len(lines)]
        return stands_in(intent.words, [*shown, *profile])

    found = [(each.phrase, each.evidence) for each in answer.intents if quotes(each)]
    intents = cited(found, subject.input["items"], dataset)
    if not intents:
        raise UnusableAnswerError("no intent quotes words of the profile or of a line of the history that it cites")
    return {"round": 1, "intents": intents}


JOB = Job(
    name="user_intents",
    help="What each user is looking for, from the training history and the profile.",
    about=Label.USER,
    prompts=("user_intents",),
    ids=histories.users,
    read=portraits.read,
    plan=plan,
    work=work,
    apply=apply,
    write="replace_user_intents",
    answer_tokens=200,
)

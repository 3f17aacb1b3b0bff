"""Job `related_user_intents`: which other intents of the pool a user has as well.

Paper: IKGR, the second round ("related intents") for users: the 100 intents of the pool nearest to the user that are
not the user's yet, and one question which of them the user has. No new intents come of it.
Departures: users have no vectors of their own: near is what is near to one of their exact intents. The answer cites the
lines of the history that show each choice, and may name none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cikg.extraction.job import Job, Subject, ask_once
from cikg.extraction.parts import histories, portraits, related
from cikg.extraction.parts.portraits import Portrait
from cikg.extraction.parts.related import MOST_RELATED, Candidates
from cikg.graph import Graph
from cikg.schema import Label


class UserChoice(BaseModel):
    """The number of a candidate, and the lines of the history that show that it fits."""

    model_config = ConfigDict(extra="forbid")

    n: int
    evidence: list[int] = Field(min_length=1)


class RelatedToUser(BaseModel):
    """The answer: up to ten candidates, the most fitting first."""

    model_config = ConfigDict(extra="forbid")

    related: list[UserChoice] = Field(max_length=MOST_RELATED)


@dataclass(frozen=True, slots=True)
class Choice:
    """A user and the intents that the user may have besides the exact ones."""

    portrait: Portrait
    candidates: Candidates


def ids(graph: Graph, dataset: str) -> list[str]:
    """The ids of the users that have a training history, once all intents have vectors.

    Raises:
        NotFoundError: there is no such dataset.
        InputError: it has no intents.
    """
    related.embed(graph, dataset, (Label.INTENT,))
    return histories.users(graph, dataset)


def read(graph: Graph, dataset: str, chosen: Sequence[str]) -> Iterator[Choice]:
    """Yield users with the intents near to them; those with nothing near are left out.

    Raises:
        NotFoundError: there is no such dataset.
    """
    candidates = dict(related.near(graph, dataset, "intents_near_users", chosen))
    for portrait in portraits.read(graph, dataset, [one for one in chosen if one in candidates]):
        yield Choice(portrait, candidates[portrait.user])


def plan(found: Iterable[Choice], field: str) -> Iterator[Subject]:
    """One subject a user. Its input is the text that the prompt will hold, and what each line stands for."""
    for choice in found:
        yield Subject(choice.portrait.user, {**choice.portrait.input(field), **related.offered(choice.candidates)})


work = ask_once("related_user_intents", RelatedToUser)


def apply(subject: Subject, answer: RelatedToUser, dataset: str) -> dict[str, Any]:
    """Turn an answer into intents of the second round, each with the items that show it.

    Raises:
        UnusableAnswerError: it names candidates, and none that exists cites a line that exists.
    """
    items: list[str] = subject.input["items"]
    numbers = (
        (each.n, sorted({items[line - 1] for line in each.evidence if 1 <= line <= len(items)}))
        for each in answer.related
    )
    return related.chosen(numbers, subject.input["intents"], dataset)


JOB = Job(
    name="related_user_intents",
    help="Which other intents of the pool each user has; runs after the jobs that find exact ones.",
    about=Label.USER,
    prompts=("related_user_intents",),
    ids=ids,
    read=read,
    plan=plan,
    work=work,
    apply=apply,
    write="replace_user_intents",
    answer_tokens=90,
)

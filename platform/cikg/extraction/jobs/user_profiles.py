"""Job `user_profiles`: who a user is, in at most 150 words, from what was kept of their neighbourhood.

Paper: SeeKRec, "semantic refining" of users.
Departures: without `user_subgraphs` it describes the nearest edges as they are, so that stages can be left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

from cikg.extraction.job import Job, Subject, ask_once
from cikg.extraction.parts import histories, neighbourhoods, profiles
from cikg.extraction.parts.profiles import Kept, at_most
from cikg.graph import Graph
from cikg.schema import Label

NAME = "user_profiles"
WORDS = 150


class UserProfile(BaseModel):
    """The answer: one paragraph."""

    model_config = ConfigDict(extra="forbid")

    profile: Annotated[str, AfterValidator(at_most(WORDS))]


def read(graph: Graph, dataset: str, chosen: Sequence[str]) -> Iterator[Kept]:
    """Yield what was kept of users' neighbourhoods."""
    return profiles.read(
        graph, dataset, chosen, Label.USER, lambda some: neighbourhoods.users(graph, dataset, some, NAME)
    )


work = ask_once("user_profiles", UserProfile)


def apply(subject: Subject, answer: UserProfile, dataset: str) -> dict[str, Any]:
    """Turn an answer into a profile that rests on the training items among the edges."""
    return profiles.row(subject, answer.profile, Label.USER, dataset)


JOB = Job(
    name=NAME,
    help="Who each user is, in at most 150 words, from their subgraph.",
    about=Label.USER,
    prompts=("user_profiles",),
    ids=histories.users,
    read=read,
    plan=profiles.plan,
    work=work,
    apply=apply,
    write="replace_profiles",
    answer_tokens=85,
)

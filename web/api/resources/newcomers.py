"""Recommendations for somebody of whom nothing is known but a sentence, or some intents."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from cikg.access.accounts import Scope
from cikg.recommend.newcomers.newcomer import LONGEST_SENTENCE, Suggestions, by_intents, suggest
from web.api.operation import operation
from web.parts import newcomers
from web.store import settings

TAG = "Recommendations"
MOST, MOST_INTENTS = 1000, 100


class Sentence(BaseModel):
    """A new user's taste, in a sentence."""

    model_config = ConfigDict(extra="forbid")

    sentence: str = Field(
        min_length=3,
        max_length=LONGEST_SENTENCE,
        description="What the user likes, in any words. It is treated as data, never as an instruction",
        examples=["Gothic stories with ghosts and revenge"],
    )
    limit: int = Field(10, ge=1, le=MOST, description="Maximum number of items")


class Intents(BaseModel):
    """A new user's intents."""

    model_config = ConfigDict(extra="forbid")

    intents: list[str] = Field(
        min_length=1, max_length=MOST_INTENTS, description="Ids of intents", examples=[["ghosts", "revenge"]]
    )
    limit: int = Field(10, ge=1, le=MOST, description="Maximum number of items")


@operation(
    "POST",
    "/datasets/<dataset>/newcomers/from-sentence",
    tag=TAG,
    answer=Suggestions,
    body=Sentence,
    scope=Scope.WRITE,
)
def from_sentence(dataset: str, body: Sentence) -> Suggestions:
    """Recommend items to a new user from a sentence, with the `ikgr` that was trained last.

    This asks the LLM twice, at the cost given in `taste`; therefore it needs the scope `write` and is logged. Nothing
    is trained, and the sentence is not stored. The intents it finds can be edited and sent to `from-intents`.
    """
    return suggest(settings(), newcomers.load(dataset), body.sentence, body.limit)


@operation(
    "POST",
    "/datasets/<dataset>/newcomers/from-intents",
    tag=TAG,
    answer=Suggestions,
    body=Intents,
    logged=False,
    reads=True,
)
def from_intents(dataset: str, body: Intents) -> Suggestions:
    """Recommend items to a new user from intents, with the `ikgr` that was trained last.

    No LLM is asked, and nothing is trained or stored.
    """
    return by_intents(newcomers.load(dataset), body.intents, body.limit)

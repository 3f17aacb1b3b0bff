"""Recommendations for somebody of whom nothing is known but a sentence, or some intents."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from cikg.access.accounts import Scope
from cikg.recommend.newcomers.newcomer import LONGEST_SENTENCE, Suggestions, by_intents, suggest
from web import newcomers
from web.api.operation import operation
from web.store import settings

TAG = "Recommendations"
MOST, MOST_INTENTS = 1000, 100


class Sentence(BaseModel):
    """What somebody says of their taste."""

    model_config = ConfigDict(extra="forbid")

    sentence: str = Field(
        min_length=3,
        max_length=LONGEST_SENTENCE,
        description="In any words; data, never an order",
        examples=["Gothic stories with ghosts and revenge"],
    )
    limit: int = Field(10, ge=1, le=MOST, description="Items")


class Intents(BaseModel):
    """What somebody is after."""

    model_config = ConfigDict(extra="forbid")

    intents: list[str] = Field(
        min_length=1, max_length=MOST_INTENTS, description="Ids", examples=[["ghosts", "revenge"]]
    )
    limit: int = Field(10, ge=1, le=MOST, description="Items")


@operation(
    "POST",
    "/datasets/<dataset>/newcomers/from-sentence",
    tag=TAG,
    answer=Suggestions,
    body=Sentence,
    scope=Scope.WRITE,
)
def from_sentence(dataset: str, body: Sentence) -> Suggestions:
    """What the `ikgr` that was trained last recommends to somebody who says what they like.

    The LLM is asked twice, which costs what `taste` says: hence the scope, and an entry in the log. Nothing is trained,
    and the sentence is not kept. What was found can be sent to `from-intents`, some left out or others added.
    """
    return suggest(settings(), newcomers.load(dataset), body.sentence, body.limit)


@operation(
    "POST",
    "/datasets/<dataset>/newcomers/from-intents",
    tag=TAG,
    answer=Suggestions,
    body=Intents,
    logged=False,
)
def from_intents(dataset: str, body: Intents) -> Suggestions:
    """What the `ikgr` that was trained last recommends to somebody who has some intents and no history.

    No LLM is asked, and nothing is trained or kept.
    """
    return by_intents(newcomers.load(dataset), body.intents, body.limit)

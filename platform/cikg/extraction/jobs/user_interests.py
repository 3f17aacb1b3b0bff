"""Job `user_interests`: what each user likes, from the training history, with the items that show it.

Paper: CIKGRec, "user interest inference": one question a user; the phrases are clustered later (`cikg cluster`).
Departures: the answer cites its evidence, and item facts and texts stand beside the titles.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from cikg.extraction.parts.tastes import Taste, tastes_job


class UserInterests(BaseModel):
    """The answer: one to five interests, the strongest first."""

    model_config = ConfigDict(extra="forbid")

    interests: list[Taste] = Field(min_length=1, max_length=5)


JOB = tastes_job(
    "user_interests",
    "What each user likes, from the training history.",
    UserInterests,
    lambda answer: answer.interests,
)

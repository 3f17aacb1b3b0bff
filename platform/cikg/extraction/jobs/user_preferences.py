"""Job `user_preferences`: the few kinds of things that each user prefers, from the training history.

Paper: SeeKRec, the first stage ("user preference extraction"): one question a user, five preferences at most. Its
phrases are broad, since the second stage (`preference_alignment`) makes those of different people meet.
Departures: the answer cites its evidence, and item facts and texts stand beside the titles.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from cikg.extraction.parts.tastes import Taste, tastes_job


class UserPreferences(BaseModel):
    """The answer: one to five preferences, the strongest first."""

    model_config = ConfigDict(extra="forbid")

    preferences: list[Taste] = Field(min_length=1, max_length=5)


JOB = tastes_job(
    "user_preferences",
    "The few kinds of things each user prefers, from the training history.",
    UserPreferences,
    lambda answer: answer.preferences,
)

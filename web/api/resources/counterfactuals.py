"""What a user would be recommended, were something about them otherwise."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cikg.schema import Label
from cikg.serving import corrections
from cikg.serving.counterfactual import Counterfactual, Evidence, counterfactual
from web.api.operation import operation
from web.parts import served
from web.store import graph

TAG = "Recommendations"
MOST_CHANGES = 50
Ids = list[str]


class Parts(BaseModel):
    """Parts of what is known about a user, by their ids."""

    model_config = ConfigDict(extra="forbid")

    interests: Ids = Field([], max_length=MOST_CHANGES, description="Ids of interests")
    intents: Ids = Field([], max_length=MOST_CHANGES, description="Ids of intents")
    items: Ids = Field([], max_length=MOST_CHANGES, description="Ids of items in the history")


class WhatIf(BaseModel):
    """What to change."""

    model_config = ConfigDict(extra="forbid")

    without: Parts = Field(
        default_factory=Parts,
        description="What to take away; the user must have it",
        examples=[{"interests": ["4c1a0c520f73"]}],
    )
    added: Parts = Field(
        default_factory=Parts, description="What to add; the user must not have it", examples=[{"items": ["dracula"]}]
    )
    limit: int = Field(10, ge=1, le=1000, description="Length of the list")


@operation(
    "POST",
    "/datasets/<dataset>/users/<key:user>/counterfactuals",
    tag=TAG,
    answer=Counterfactual,
    body=WhatIf,
    logged=False,
    reads=True,
)
def ask(dataset: str, user: str, body: WhatIf) -> Any:
    """Return what the served model would recommend if something about the user were different.

    Nothing is trained or stored. If `estimated` is false, the model itself computed every score; otherwise the effects
    are estimated from its scores for other users who have the same. Both lists respect the user's corrections.
    """
    model = served.load(graph(), dataset)
    without, added = (Evidence(**vars(parts)) for parts in (body.without, body.added))
    wrong = corrections.about(graph(), dataset, Label.USER, user).evidence
    return counterfactual(model, user, without, added, body.limit, corrected=wrong)

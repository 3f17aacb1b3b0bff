"""What a user would be recommended, were something about them otherwise."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cikg.schema import Label
from cikg.serving import corrections
from cikg.serving.counterfactual import Counterfactual, Evidence, counterfactual
from web import served
from web.api.operation import operation
from web.store import graph

TAG = "Recommendations"
MOST_CHANGES = 50
Ids = list[str]


class Parts(BaseModel):
    """Evidence by ids."""

    model_config = ConfigDict(extra="forbid")

    interests: Ids = Field([], max_length=MOST_CHANGES)
    intents: Ids = Field([], max_length=MOST_CHANGES)
    items: Ids = Field([], max_length=MOST_CHANGES, description="Of the history")


class WhatIf(BaseModel):
    """What is to be otherwise."""

    model_config = ConfigDict(extra="forbid")

    without: Parts = Field(
        default_factory=Parts, description="What to take away; the user has it", examples=[{"interests": ["gothic"]}]
    )
    added: Parts = Field(
        default_factory=Parts, description="What to add; the user has it not", examples=[{"items": ["dracula"]}]
    )
    limit: int = Field(10, ge=1, le=1000, description="The length of the list")


@operation(
    "POST",
    "/datasets/<dataset>/users/<key:user>/counterfactuals",
    tag=TAG,
    answer=Counterfactual,
    body=WhatIf,
    logged=False,
)
def ask(dataset: str, user: str, body: WhatIf) -> Any:
    """What the served model would recommend without some of what is known of a user, or with more.

    Nothing is trained or written. `estimated` says whether the effects were estimated from what the model does with
    others who have the same, or the model itself gave every score. Both lists heed what was corrected about the user.
    """
    model = served.load(graph(), dataset)
    without, added = (Evidence(**vars(parts)) for parts in (body.without, body.added))
    wrong = corrections.about(graph(), dataset, Label.USER, user).evidence
    return counterfactual(model, user, without, added, body.limit, corrected=wrong)

"""What is recommended to whom, and why."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from cikg.errors import NotFoundError
from cikg.recommend.newcomers.search import CANDIDATES, UserHits, search
from cikg.serving.recommend import Recommendation, Recommendations, recommend
from web.api.operation import operation
from web.parts import newcomers
from web.store import graph

TAG = "Recommendations"
MOST, MOST_USERS = 1000, 100


class TopQuery(BaseModel):
    """How many items to return."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(
        10, ge=1, le=MOST, description="Maximum number of items per user; never more than were published"
    )


class RankedQuery(BaseModel):
    """What to search for, and how much the model counts."""

    model_config = ConfigDict(extra="forbid")

    q: str = Field(
        min_length=1, max_length=200, description="Words; an item matches if its name or text has one of them"
    )
    limit: int = Field(10, ge=1, le=CANDIDATES, description="Maximum number of items")
    weight: float = Field(
        1.0, ge=0, le=1000, allow_inf_nan=False, description="Weight of the model; 0 for full text only"
    )


class Batch(TopQuery):
    """Which users, and how many items for each."""

    users: list[str] = Field(
        min_length=1, max_length=MOST_USERS, description="Ids of users", examples=[["reader-0001", "reader-0002"]]
    )


class Lists(BaseModel):
    """The lists of several users."""

    items: list[Recommendations] = Field(description="In the order of the request, each user once")
    unknown: list[str] = Field(description="Requested ids that are not of users")


@operation(
    "GET",
    "/datasets/<dataset>/users/<key:user>/recommendations",
    tag=TAG,
    answer=Recommendations,
    query=TopQuery,
    versioned=True,
)
def of_user(dataset: str, user: str, query: TopQuery) -> Recommendations:
    """List what the served model recommends to a user, with the reason for each item."""
    return recommend(graph(), dataset, user, query.limit)


@operation(
    "GET",
    "/datasets/<dataset>/users/<key:user>/recommendations/<key:item>",
    tag=TAG,
    answer=Recommendation,
    versioned=True,
)
def explanation(dataset: str, user: str, item: str) -> Recommendation:
    """Return why an item is recommended to a user."""
    found = [each for each in recommend(graph(), dataset, user, MOST).items if each.item == item]
    if not found:
        raise NotFoundError(f"{item!r} is not recommended to {user!r}", cure="`GET …/recommendations` lists what is")
    return found[0]


@operation("POST", "/datasets/<dataset>/recommendations", tag=TAG, answer=Lists, body=Batch, logged=False, reads=True)
def of_users(dataset: str, body: Batch) -> Lists:
    """List what the served model recommends to several users.

    This only reads; it is a POST because the list of users can be long.
    """
    wanted = list(dict.fromkeys(body.users))
    known = {row["id"] for row in graph().many("users_of", dataset=dataset, ids=wanted)}
    lists = [recommend(graph(), dataset, user, body.limit) for user in wanted if user in known]
    return Lists(items=lists, unknown=[user for user in wanted if user not in known])


@operation(
    "GET",
    "/datasets/<dataset>/users/<key:user>/search",
    tag=TAG,
    answer=UserHits,
    query=RankedQuery,
    conflicts=True,
)
def search_for(dataset: str, user: str, query: RankedQuery) -> UserHits:
    """Search items by full text and rank them for a user.

    The best matches of the full text (BM25) are ranked again by the `ikgr` that was trained last. Each item is
    returned with the intents that moved it.
    """
    return search(graph(), newcomers.load(dataset), query.q, user, k=query.limit, weight=query.weight)

"""What a dataset holds: users, items, entities, intents and interests."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from cikg.errors import NotFoundError
from cikg.graph.database import Row
from cikg.schema import uid
from web.api.operation import operation
from web.api.paging import Page, Paged, by_key, by_place
from web.store import graph

TAG = "What a dataset holds"
MOST_NEIGHBOURS = 100
"""Of a list within an answer; `neighbours` has all of them."""


class Named(BaseModel):
    """A node by its id and name."""

    id: str
    name: str


class UserSummary(BaseModel):
    """A user in a list."""

    id: str
    name: str | None
    interactions: int = Field(description="How many things the user did")


class HeldIntent(Named):
    """A phrase that an LLM inferred for a user."""

    round: int | None = Field(description="1 where the history shows it, 2 where it was related to such")
    completion: str | None = Field(description="The answer that it came from")
    evidence: list[Named] = Field(description="The interactions that show it")


class HeldInterest(Named):
    """An interest of a user."""

    source: str | None
    holders: int
    phrases: list[str] = Field(description="The user's intents that led to it")
    evidence: list[Named]


class User(UserSummary):
    """A user with what an LLM inferred."""

    interests: list[HeldInterest]
    intents: list[HeldIntent]


class Interaction(Named):
    """Something that a user did with an item."""

    split: str | None = Field(description="train, valid or test")
    rating: float | None
    at: float | None = Field(description="Seconds since 1970")


class ItemSummary(Named):
    """An item in a list."""

    text: str | None
    users: int = Field(description="How many users chose it")


class Thing(Named):
    """An item or entity."""

    label: str


class Fact(BaseModel):
    """What an item or entity has to do with others, by one relation."""

    relation: str
    forward: bool = Field(description="Whether the facts lead from this node")
    total: int
    shown: list[Thing]


class Association(Named):
    """An interest and an item whose holders and users meet more often than by chance."""

    support: int = Field(description="Holders who chose the item")
    cohort: int = Field(description="Holders")
    share: float = Field(description="Of all users, those who chose the item")
    lift: float = Field(description="How many times more often holders chose it")


class Item(Named):
    """An item with its facts and the interests that lead to it."""

    text: str | None
    users: int
    recommended: int = Field(description="To how many users the served model recommends it")
    facts: list[Fact]
    interests: list[Association]


class EntitySummary(Named):
    """An entity in a list."""

    facts: int


class Entity(Named):
    """An entity with its facts."""

    facts: list[Fact]


class IntentSummary(Named):
    """An intent in a list."""

    users: int = Field(description="Who have it")
    items: int = Field(description="That satisfy it")


class Intent(IntentSummary):
    """An intent."""

    merged_into: str | None = Field(description="The intent that it was merged into")
    interests: list[Named]


class InterestSummary(Named):
    """An interest in a list."""

    holders: int
    intents: int


class Counted(Named):
    """An intent of an interest."""

    users: int


class Interest(Named):
    """An interest."""

    source: str | None
    holders: int
    intents: list[Counted]
    items: list[Association] = Field(description="What holders chose more often than everyone")


@operation("GET", "/datasets/<dataset>/users", tag=TAG, answer=Page[UserSummary], query=Paged, versioned=True)
def users(dataset: str, query: Paged) -> Page[Any]:
    """The users, by id."""
    return _listed("list_users", dataset, query)


@operation("GET", "/datasets/<dataset>/users/<key:user>", tag=TAG, answer=User, versioned=True)
def user(dataset: str, user: str) -> Row:
    """One user, with interests and intents."""
    key = uid(dataset, user)
    found = _one("find_user", "user", dataset, user)
    facts = {"interests": graph().many("user_interests", user=key), "intents": graph().many("user_intents", user=key)}
    return found | facts | {"interactions": graph().one("user_history", user=key, limit=0)["total"]}


@operation(
    "GET",
    "/datasets/<dataset>/users/<key:user>/history",
    tag=TAG,
    answer=Page[Interaction],
    query=Paged,
    versioned=True,
)
def history(dataset: str, user: str, query: Paged) -> Page[Any]:
    """What a user did, the newest first."""
    key = uid(dataset, user)
    _one("find_user", "user", dataset, user)
    return by_place(query, lambda skip, limit: graph().many("user_history_page", user=key, skip=skip, limit=limit))


@operation("GET", "/datasets/<dataset>/items", tag=TAG, answer=Page[ItemSummary], query=Paged, versioned=True)
def items(dataset: str, query: Paged) -> Page[Any]:
    """The items, by id."""
    return _listed("list_items", dataset, query)


@operation("GET", "/datasets/<dataset>/items/<key:item>", tag=TAG, answer=Item, versioned=True)
def item(dataset: str, item: str) -> Row:
    """One item, with its facts and the interests that lead to it."""
    key = uid(dataset, item)
    found = _one("item_detail", "item", dataset, item)
    interests = graph().many("item_interests", item=key, limit=MOST_NEIGHBOURS)
    return found | {"users": found["readers"], "facts": _facts("Item", key), "interests": interests}


@operation("GET", "/datasets/<dataset>/entities", tag=TAG, answer=Page[EntitySummary], query=Paged, versioned=True)
def entities(dataset: str, query: Paged) -> Page[Any]:
    """The entities, by id."""
    return _listed("list_entities", dataset, query)


@operation("GET", "/datasets/<dataset>/entities/<key:entity>", tag=TAG, answer=Entity, versioned=True)
def entity(dataset: str, entity: str) -> Row:
    """One entity, with its facts."""
    return _one("entity_detail", "entity", dataset, entity) | {"facts": _facts("Entity", uid(dataset, entity))}


@operation("GET", "/datasets/<dataset>/intents", tag=TAG, answer=Page[IntentSummary], query=Paged, versioned=True)
def intents(dataset: str, query: Paged) -> Page[Any]:
    """The intents, by id, without those that were merged into another."""
    return _listed("list_intents", dataset, query)


@operation("GET", "/datasets/<dataset>/intents/<key:intent>", tag=TAG, answer=Intent, versioned=True)
def intent(dataset: str, intent: str) -> Row:
    """One intent. One that was merged says into which."""
    return _one("intent_detail", "intent", dataset, intent)


@operation("GET", "/datasets/<dataset>/interests", tag=TAG, answer=Page[InterestSummary], query=Paged, versioned=True)
def interests(dataset: str, query: Paged) -> Page[Any]:
    """The interests, by id."""
    return _listed("list_interests", dataset, query)


@operation("GET", "/datasets/<dataset>/interests/<key:interest>", tag=TAG, answer=Interest, versioned=True)
def interest(dataset: str, interest: str) -> Row:
    """One interest, with the phrases that make it up and what its holders choose."""
    key = uid(dataset, interest)
    found = _one("interest_detail", "interest", dataset, interest)
    parts = {"intents": "interest_intents", "items": "interest_items"}
    return found | {
        name: graph().many(statement, interest=key, limit=MOST_NEIGHBOURS) for name, statement in parts.items()
    }


def _listed(statement: str, dataset: str, query: Paged) -> Page[Any]:
    first = uid(dataset, "")
    return by_key(
        query,
        first,
        lambda after, limit: graph().many(statement, dataset=dataset, after=after, limit=limit),
        lambda row: str(row["uid"]),
    )


def _one(statement: str, kind: str, dataset: str, identifier: str) -> Row:
    """The row of one node.

    Raises:
        NotFoundError: there is no such node.
    """
    found = graph().many(statement, **{kind: uid(dataset, identifier)})
    if not found:
        raise NotFoundError(f"{dataset!r} has no {kind} {identifier!r}", cure="Search for its name")
    return found[0]


def _facts(label: str, key: str) -> list[Row]:
    return graph().many("thing_facts", label=label, thing=key, limit=MOST_NEIGHBOURS)

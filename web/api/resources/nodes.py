"""What a dataset holds: users, items, entities, intents and interests."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from cikg.errors import NotFoundError
from cikg.graph.database import Row
from cikg.schema import uid
from web.api.operation import operation
from web.api.paging import Filtered, Page, Paged, by_key, by_place
from web.store import graph

TAG = "What a dataset holds"
MOST_NEIGHBOURS = 100
"""Of a list within an answer; `neighbours` has all of them."""


class Named(BaseModel):
    """A node by its id and name."""

    id: str
    name: str = Field(description="Its name; its id if it has none")


class UserSummary(BaseModel):
    """A user in a list."""

    id: str
    name: str | None
    interactions: int = Field(description="Number of items the user interacted with, in all splits")


class HeldIntent(Named):
    """An intent that an LLM inferred for a user."""

    round: int | None = Field(description="1 if the history shows it, 2 if it is related to one that the history shows")
    completion: str | None = Field(
        description="The LLM's answer it comes from; `GET …/completions/COMPLETION` returns it"
    )
    evidence: list[Named] = Field(description="Items of the user's history that support it")


class HeldInterest(Named):
    """An interest of a user."""

    source: str | None = Field(description="`extracted` by an LLM or `imported`")
    holders: int = Field(description="Number of users who have it")
    phrases: list[str] = Field(description="Names of the user's intents that led to it")
    evidence: list[Named] = Field(description="Items of the user's history that support it")


class User(UserSummary):
    """A user and what an LLM inferred about them."""

    profile: str | None = Field(description="What an LLM wrote about the user")
    interests: list[HeldInterest]
    intents: list[HeldIntent]


class Interaction(Named):
    """An item that a user interacted with."""

    split: str | None = Field(description="`train`, `valid` or `test`")
    rating: float | None
    at: float | None = Field(description="When, in seconds since 1970")


class ItemSummary(Named):
    """An item in a list."""

    text: str | None = Field(description="A description of the item")
    users: int = Field(description="Number of users who chose it, in all splits")


class Thing(Named):
    """An item or entity."""

    kind: str = Field(validation_alias="label", description="`Item` or `Entity`")


class Fact(BaseModel):
    """The facts that connect an item or entity with others by one relation."""

    relation: str = Field(description="The relation, in the dataset's own words")
    forward: bool = Field(description="Whether the facts start at this node")
    total: int = Field(description="Number of nodes at the other end")
    shown: list[Thing] = Field(description="At most 100 of them, the rarest first; `neighbours` lists them all")


class Association(Named):
    """An interest and an item that users with the interest choose more often than others."""

    support: int = Field(description="Number of users with the interest who chose the item")
    cohort: int = Field(description="Number of users with the interest")
    share: float = Field(description="Share of all users who chose the item, from 0 to 1")
    lift: float = Field(description="How many times more often users with the interest choose it")


class SatisfiedIntent(Named):
    """An intent that an item satisfies."""

    id: str = Field(validation_alias="intent")
    round: int | None = Field(description="1 if the item satisfies it exactly, 2 if as a related intent")
    interests: list[str] = Field(description="Names of the interests it belongs to")


class Item(ItemSummary):
    """An item with its facts, its intents and its interests."""

    recommended: int = Field(description="Number of users the served model recommends it to")
    facts: list[Fact]
    intents: list[SatisfiedIntent] = Field(description="Intents that it satisfies, according to an LLM")
    interests: list[Association] = Field(
        description="Interests whose users choose it more often than others; at most 100"
    )


class EntitySummary(Named):
    """An entity in a list."""

    facts: int = Field(description="Number of its facts")


class Entity(Named):
    """An entity with its facts."""

    facts: list[Fact]


class IntentSummary(Named):
    """An intent in a list."""

    users: int = Field(description="Number of users who have it")
    items: int = Field(description="Number of items that satisfy it")


class Intent(IntentSummary):
    """An intent."""

    merged_into: str | None = Field(description="The id of the intent it was merged into")
    interests: list[Named] = Field(description="The interests it belongs to")


class InterestSummary(Named):
    """An interest in a list."""

    holders: int = Field(description="Number of users who have it")
    intents: int = Field(description="Number of its intents")


class Counted(Named):
    """An intent of an interest."""

    users: int = Field(description="Number of users who have it")


class Interest(Named):
    """An interest."""

    source: str | None = Field(description="`extracted` by an LLM or `imported`")
    holders: int = Field(description="Number of users who have it")
    intents: list[Counted] = Field(description="Its intents, those with the most users first; at most 100")
    items: list[Association] = Field(description="Items that its users choose more often than others; at most 100")


@operation("GET", "/datasets/<dataset>/users", tag=TAG, answer=Page[UserSummary], query=Filtered, versioned=True)
def users(dataset: str, query: Filtered) -> Page[Any]:
    """List the users, sorted by id."""
    return _listed("list_users", dataset, query)


@operation("GET", "/datasets/<dataset>/users/<key:user>", tag=TAG, answer=User, versioned=True)
def user(dataset: str, user: str) -> Row:
    """Return a user with their profile, interests and intents."""
    key = uid(dataset, user)
    found = _one("find_user", "user", dataset, user)
    inferred = {
        "profile": next((row["text"] for row in graph().many("user_profiles", users=[key])), None),
        "interests": graph().many("user_interests", user=key),
        "intents": graph().many("user_intents", user=key),
    }
    return found | inferred | {"interactions": graph().one("user_history", user=key, limit=0)["total"]}


@operation(
    "GET",
    "/datasets/<dataset>/users/<key:user>/history",
    tag=TAG,
    answer=Page[Interaction],
    query=Paged,
    versioned=True,
)
def history(dataset: str, user: str, query: Paged) -> Page[Any]:
    """List a user's interactions, newest first."""
    key = uid(dataset, user)
    _one("find_user", "user", dataset, user)
    return by_place(query, lambda skip, limit: graph().many("user_history_page", user=key, skip=skip, limit=limit))


@operation("GET", "/datasets/<dataset>/items", tag=TAG, answer=Page[ItemSummary], query=Filtered, versioned=True)
def items(dataset: str, query: Filtered) -> Page[Any]:
    """List the items, sorted by id."""
    return _listed("list_items", dataset, query)


@operation("GET", "/datasets/<dataset>/items/<key:item>", tag=TAG, answer=Item, versioned=True)
def item(dataset: str, item: str) -> Row:
    """Return an item with its facts, intents and interests."""
    key = uid(dataset, item)
    found = _one("item_detail", "item", dataset, item)
    inferred = {
        "intents": graph().many("intents_of_item", dataset=dataset, item=item),
        "interests": graph().many("item_interests", item=key, limit=MOST_NEIGHBOURS),
    }
    return found | inferred | {"users": found["readers"], "facts": _facts("Item", key)}


@operation("GET", "/datasets/<dataset>/entities", tag=TAG, answer=Page[EntitySummary], query=Filtered, versioned=True)
def entities(dataset: str, query: Filtered) -> Page[Any]:
    """List the entities, sorted by id."""
    return _listed("list_entities", dataset, query)


@operation("GET", "/datasets/<dataset>/entities/<key:entity>", tag=TAG, answer=Entity, versioned=True)
def entity(dataset: str, entity: str) -> Row:
    """Return an entity with its facts."""
    return _one("entity_detail", "entity", dataset, entity) | {"facts": _facts("Entity", uid(dataset, entity))}


@operation("GET", "/datasets/<dataset>/intents", tag=TAG, answer=Page[IntentSummary], query=Filtered, versioned=True)
def intents(dataset: str, query: Filtered) -> Page[Any]:
    """List the intents, sorted by id. Intents that were merged into others are left out."""
    return _listed("list_intents", dataset, query)


@operation("GET", "/datasets/<dataset>/intents/<key:intent>", tag=TAG, answer=Intent, versioned=True)
def intent(dataset: str, intent: str) -> Row:
    """Return an intent. If it was merged, `merged_into` names the other intent."""
    return _one("intent_detail", "intent", dataset, intent)


@operation(
    "GET", "/datasets/<dataset>/interests", tag=TAG, answer=Page[InterestSummary], query=Filtered, versioned=True
)
def interests(dataset: str, query: Filtered) -> Page[Any]:
    """List the interests, sorted by id."""
    return _listed("list_interests", dataset, query)


@operation("GET", "/datasets/<dataset>/interests/<key:interest>", tag=TAG, answer=Interest, versioned=True)
def interest(dataset: str, interest: str) -> Row:
    """Return an interest with its intents and the items that its users choose."""
    key = uid(dataset, interest)
    found = _one("interest_detail", "interest", dataset, interest)
    parts = {"intents": "interest_intents", "items": "interest_items"}
    return found | {
        name: graph().many(statement, interest=key, limit=MOST_NEIGHBOURS) for name, statement in parts.items()
    }


def _listed(statement: str, dataset: str, query: Filtered) -> Page[Any]:
    first = uid(dataset, "")
    return by_key(
        query,
        first,
        lambda after, limit: graph().many(statement, dataset=dataset, text=query.text, after=after, limit=limit),
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

"""What people say is wrong about users and items."""

from __future__ import annotations

from flask import g
from pydantic import BaseModel, ConfigDict, Field

from cikg.access.accounts import Scope
from cikg.errors import NotFoundError
from cikg.schema import Label, uid
from cikg.serving import corrections
from cikg.serving.corrections import LONGEST_REASON, Correction, Kind, Owner
from web.api.operation import operation
from web.parts import correcting
from web.store import graph

TAG = "Corrections"
OF_USER = "/datasets/<dataset>/users/<key:user>/corrections"
OF_ITEM = "/datasets/<dataset>/items/<key:item>/corrections"


class Wrong(BaseModel):
    """What is wrong about a user or an item, and why."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind = Field(description="What is wrong; for an item, only `intent`", examples=["intent"])
    id: str = Field(max_length=500, description="The id of the interest or intent", examples=["4c1a0c520f73"])
    reason: str = Field(
        "", max_length=LONGEST_REASON, description="Why, in your words; may be empty", examples=["These were presents"]
    )


class Corrections(BaseModel):
    """The corrections of a user or an item."""

    items: list[Correction]


@operation("GET", OF_USER, tag=TAG, answer=Corrections, versioned=True)
def of_user(dataset: str, user: str) -> Corrections:
    """List a user's corrections."""
    return _standing(dataset, Label.USER, user)


@operation("POST", OF_USER, tag=TAG, answer=Corrections, body=Wrong, scope=Scope.WRITE)
def correct_user(dataset: str, user: str, body: Wrong) -> Corrections:
    """Record that a user does not have an interest or an intent.

    Correcting an interest also corrects the intents that led to it. If the served model's files are on the server,
    the user's recommendations change at once. Every later clustering and training respects it, and no job undoes it.
    """
    return _correct(dataset, Label.USER, user, body)


@operation("DELETE", f"{OF_USER}/<what>/<key:target>", tag=TAG, answer=Corrections, scope=Scope.WRITE)
def take_back_of_user(dataset: str, user: str, what: str, target: str) -> Corrections:
    """Undo a user's correction."""
    return _take_back(dataset, Label.USER, user, what, target)


@operation("GET", OF_ITEM, tag=TAG, answer=Corrections, versioned=True)
def of_item(dataset: str, item: str) -> Corrections:
    """List an item's corrections."""
    return _standing(dataset, Label.ITEM, item)


@operation("POST", OF_ITEM, tag=TAG, answer=Corrections, body=Wrong, scope=Scope.WRITE)
def correct_item(dataset: str, item: str, body: Wrong) -> Corrections:
    """Record that an item does not satisfy an intent.

    Every later training respects it, and no job undoes it.
    """
    return _correct(dataset, Label.ITEM, item, body)


@operation("DELETE", f"{OF_ITEM}/<what>/<key:target>", tag=TAG, answer=Corrections, scope=Scope.WRITE)
def take_back_of_item(dataset: str, item: str, what: str, target: str) -> Corrections:
    """Undo an item's correction."""
    return _take_back(dataset, Label.ITEM, item, what, target)


def _standing(dataset: str, owner: Owner, identifier: str) -> Corrections:
    if not graph().many("find_labelled", label=owner, uid=uid(dataset, identifier)):
        raise NotFoundError(f"{dataset!r} has no {owner.lower()} {identifier!r}", cure="Search for its name")
    return Corrections(items=list(corrections.about(graph(), dataset, owner, identifier).corrections))


def _correct(dataset: str, owner: Owner, identifier: str, body: Wrong) -> Corrections:
    g.audited = body.model_dump()
    correcting.correct(graph(), [correcting.claim(dataset, owner, identifier, body.kind, body.id)], body.reason)
    return _standing(dataset, owner, identifier)


def _take_back(dataset: str, owner: Owner, identifier: str, kind: str, target: str) -> Corrections:
    correcting.take_back(graph(), [correcting.claim(dataset, owner, identifier, kind, target)])
    return _standing(dataset, owner, identifier)

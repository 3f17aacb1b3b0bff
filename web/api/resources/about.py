"""The API about itself."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from cikg.access.accounts import Scope
from web import login
from web.api import document
from web.api.operation import operation

TAG = "About"


class Me(BaseModel):
    """The caller."""

    name: str = Field(description="The caller's name, as in the audit log")
    account: str | None = Field(description="Their account; null for the operator")
    scopes: list[Scope] = Field(description="What they may do")


@operation("GET", "/openapi.json", tag=TAG, answer=dict[str, Any], public=True)
def openapi() -> dict[str, Any]:
    """Return this document."""
    return document.document()


@operation("GET", "/me", tag=TAG, answer=Me)
def me() -> Me:
    """Return who the caller is and what they may do."""
    who = login.caller()
    return Me(name=who.name, account=who.account, scopes=sorted(who.scopes))

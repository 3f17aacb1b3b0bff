"""Who may use the platform: accounts, tokens, and the log of changes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import Forbidden

from cikg.access import accounts as people
from cikg.access import audit, tokens
from cikg.access.accounts import LONGEST_PASSWORD, SHORTEST_PASSWORD, Account, Passwords, Role, Scope
from cikg.access.audit import Entry
from cikg.access.tokens import Token
from web import login
from web.api.operation import operation
from web.api.paging import Page, Paged, by_key
from web.store import graph, settings

TAG = "Accounts"
NAME = r"^[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?$"
Password = Annotated[str, Field(min_length=SHORTEST_PASSWORD, max_length=LONGEST_PASSWORD)]


class NewAccount(BaseModel):
    """An account to create."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        pattern=NAME,
        description="Lower-case letters, digits, dots, underscores, hyphens and @, 64 at most",
        examples=["ann"],
    )
    role: Role = Field(Role.VIEWER, description="What the account may do")
    password: Password | None = Field(None, description="To log in with; without one, the account has only tokens")


class Patch(BaseModel):
    """What to change about an account; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = Field(None, description="The new role", examples=["editor"])
    password: Password | None = Field(None, description="The new password; it ends the account's sessions")


class NewToken(BaseModel):
    """A token to create."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="What the token is for",
        examples=["shop"],
    )
    account: str | None = Field(
        None, description="The account it belongs to; by default the caller's. Another account's needs `admin`"
    )
    scopes: list[Scope] = Field(
        [Scope.READ], min_length=1, description="What it may do; none that the account's role lacks"
    )
    days: float | None = Field(None, gt=0, le=tokens.LONGEST_DAYS, description="Days until it expires; null for never")


class Made(BaseModel):
    """A new token. No other response shows it."""

    id: str = Field(description="The part of the token that is not secret")
    token: str = Field(description="The token itself; keep it")


class AuditQuery(Paged):
    """Which part of the audit log."""

    actor: str = Field("", max_length=200, description="Only entries of this actor")
    action: str = Field("", max_length=200, description="Only entries of this action, such as `jobs.pause`")


@operation("GET", "/accounts", tag=TAG, answer=Page[Account], query=Paged, scope=Scope.ADMIN)
def accounts(query: Paged) -> Page[Any]:
    """List all accounts, sorted by name."""
    return by_key(query, "", lambda after, limit: people.listed(graph(), limit, after), lambda each: each.name)


@operation("POST", "/accounts", tag=TAG, answer=Account, status=201, body=NewAccount, scope=Scope.ADMIN, logged=False)
def add(body: NewAccount) -> Account:
    """Create an account."""
    password = Passwords(settings()).hash(body.password) if body.password else None
    people.add(graph(), body.name, body.role, password, login.caller().name)
    return people.shown(graph(), body.name)


@operation("PATCH", "/accounts/<account>", tag=TAG, answer=Account, body=Patch, scope=Scope.ADMIN, logged=False)
def change(account: str, body: Patch) -> Account:
    """Change an account's role or password."""
    people.find(graph(), account)
    if body.role is not None:
        people.set_role(graph(), account, body.role, login.caller().name)
    if body.password is not None:
        people.set_password(graph(), account, Passwords(settings()).hash(body.password), login.caller().name)
    return people.shown(graph(), account)


@operation("DELETE", "/accounts/<account>", tag=TAG, answer=None, status=204, scope=Scope.ADMIN, logged=False)
def remove(account: str) -> None:
    """Delete an account with its sessions and tokens."""
    people.remove(graph(), account, login.caller().name)


@operation("GET", "/tokens", tag=TAG, answer=Page[Token], query=Paged)
def list_tokens(query: Paged) -> Page[Any]:
    """List the caller's tokens without their secrets; for an admin, all tokens."""
    who = login.caller()
    only = None if Scope.ADMIN in who.scopes else who.account or tokens.OPERATORS
    return by_key(query, "", lambda after, limit: tokens.listed(graph(), limit, after, only), lambda each: each.id)


def _owner(wanted: NewToken) -> str | None:
    """Whose token it is to be.

    Raises:
        Forbidden: it is somebody else's, or can do more than the caller.
    """
    who = login.caller()
    account = wanted.account if "account" in wanted.model_fields_set else who.account
    login.require_own(account)
    if not who.scopes.issuperset(wanted.scopes):
        raise Forbidden
    return account


@operation("POST", "/tokens", tag=TAG, answer=Made, status=201, body=NewToken, logged=False, secret=True)
def create_token(body: NewToken) -> Made:
    """Create a token.

    Only this response contains the token itself. It can do no more than the caller. With a token instead of a session,
    this needs the scope `admin`.
    """
    made = tokens.create(graph(), _owner(body), body.name, body.scopes, actor=login.caller().name, days=body.days)
    return Made(id=made[0], token=made[1])


@operation("DELETE", "/tokens/<token>", tag=TAG, answer=None, status=204, logged=False)
def revoke_token(token: str) -> None:
    """Revoke a token.

    Another account's token needs the scope `admin`, and so does any with a token instead of a session.
    """
    login.require_own(tokens.owner(graph(), token))
    tokens.revoke(graph(), token, login.caller().name)


@operation("GET", "/audit", tag=TAG, answer=Page[Entry], query=AuditQuery, scope=Scope.ADMIN)
def log(query: AuditQuery) -> Page[Any]:
    """List the audit log, newest first."""
    only = {"actor": query.actor, "action": query.action}
    return by_key(
        query, audit.END, lambda before, limit: audit.read(graph(), limit, before=before, **only), lambda each: each.id
    )

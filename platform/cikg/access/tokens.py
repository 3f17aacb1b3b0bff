"""Tokens: what a program shows instead of a password. Shown once, kept as a digest, scoped, revocable."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass

from cikg.access import accounts, audit
from cikg.access.accounts import OPERATOR, Principal, Role, Scope
from cikg.errors import InputError, NotFoundError
from cikg.graph import Graph

LONGEST_DAYS = 3650
OPERATORS = ""
"""The account of the operator's tokens, where a list is asked for: the operator has none."""
_TEXT = re.compile(r"cikg_(?P<id>[0-9a-f]{12})_(?P<secret>[A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,64}")
_DAY = 24 * 60 * 60
_TOUCH_SECONDS = 60 * 60
"""How exactly it is known when a token was last used: a write for each request would cost more than it tells."""


@dataclass(frozen=True)
class Token:
    """A token, without its secret.

    Attributes:
        id: the part of the token that is not secret.
        name: what it is for.
        account: the account it belongs to; None for the operator's.
        scopes: what it may do, as far as its account's role allows it.
        created_at: ISO time.
        expires_at: seconds since 1970; None for never.
        used_at: when it was last used, to the hour, in seconds since 1970.
        revoked_at: ISO time; None if it is not revoked.
    """

    id: str
    name: str
    account: str | None
    scopes: tuple[Scope, ...]
    created_at: str
    expires_at: float | None
    used_at: float | None
    revoked_at: str | None


def create(
    graph: Graph, account: str | None, name: str, scopes: Iterable[Scope], *, actor: str, days: float | None = None
) -> tuple[str, str]:
    """Make a token of an account, or (None) of the operator.

    Args:
        graph: the graph.
        account: whose it is.
        name: what it is for.
        scopes: what it is allowed; at least one, and none that the account's role lacks.
        actor: who makes it, for the log.
        days: after how many it expires; None for never.

    Returns:
        Its id, and its text, which is not kept anywhere.

    Raises:
        NotFoundError: there is no such account.
        InputError: a scope is not the account's, or the name or days cannot be used.
    """
    role = Role.ADMIN if account is None else Role(accounts.find(graph, account)["role"])
    wanted = sorted(set(scopes))
    if not _NAME.fullmatch(name):
        raise InputError("a token's name has 1 to 64 printable characters", cure="Say what it is for")
    if not wanted or not role.scopes.issuperset(wanted):
        raise InputError(
            f"a token of {account or 'the operator'} ({role}) has at least one of the scopes "
            + ", ".join(sorted(role.scopes)),
            cure="Ask for one of these",
        )
    if days is not None and not 0 < days <= LONGEST_DAYS:
        raise InputError(f"a token expires after at most {LONGEST_DAYS} days", cure="Give fewer, or none for never")
    identifier, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    properties = {
        "token": identifier,
        "digest": _digest(secret),
        "name": name,
        "account": account,
        "scopes": [str(scope) for scope in wanted],
        "expires_at": None if days is None else time.time() + days * _DAY,
    }
    entry = audit.step(actor, "token.create", identifier, {"account": account, "name": name, "scopes": wanted})
    graph.write_together([("make_token", properties), entry])
    return identifier, f"cikg_{identifier}_{secret}"


def listed(graph: Graph, limit: int, after: str = "", account: str | None = None) -> list[Token]:
    """Tokens in the order of their ids, those after one; of one account, of `OPERATORS`, or (None) of all."""
    rows = graph.many("tokens", account=account, after=after, limit=limit)
    return [Token(**{**row, "scopes": tuple(Scope(scope) for scope in row["scopes"])}) for row in rows]


def owner(graph: Graph, identifier: str) -> str | None:
    """The account whose token this is; None for the operator.

    Raises:
        NotFoundError: there is none with this id.
    """
    found = graph.many("find_token", token=identifier)
    if not found:
        raise NotFoundError(f"there is no token {identifier!r}", cure="`cikg token list` shows their ids")
    account: str | None = found[0]["account"]
    return account


def revoke(graph: Graph, identifier: str, actor: str) -> None:
    """Let a token open nothing from now on.

    Raises:
        NotFoundError: there is none with this id.
    """
    owner(graph, identifier)
    graph.write_together([("revoke_token", {"token": identifier}), audit.step(actor, "token.revoke", identifier)])


def verify(graph: Graph, text: str) -> Principal | None:
    """Whoever shows this token; None if it is wrong, revoked or expired, or its account is gone."""
    parts = _TEXT.fullmatch(text)
    found = graph.many("find_token", token=parts["id"]) if parts else []
    if parts is None or not found or not hmac.compare_digest(found[0]["digest"], _digest(parts["secret"])):
        return None
    row, now = found[0], time.time()
    if row["revoked"] or (row["expires_at"] or now + 1) <= now or (row["account"] and not row["role"]):
        return None
    if (row["used_at"] or 0) < now - _TOUCH_SECONDS:
        graph.write("touch_token", token=parts["id"], moment=now)
    allowed = Role(row["role"]).scopes if row["account"] else OPERATOR.scopes
    name = f"token:{row['account'] or OPERATOR.name}/{row['name']}"
    return Principal(name, row["account"], allowed & {Scope(scope) for scope in row["scopes"]})


def _digest(secret: str) -> str:
    """32 random bytes need no slow hash: they cannot be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()

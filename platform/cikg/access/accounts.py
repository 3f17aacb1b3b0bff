"""Accounts: people and programs that use the platform, each with a role that says what it may do."""

from __future__ import annotations

import hmac
import re
import secrets
import time
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from werkzeug.security import check_password_hash, generate_password_hash

from cikg.access import audit
from cikg.errors import ConflictError, InputError, NotFoundError, SettingsError
from cikg.graph import Graph
from cikg.settings import Settings

SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 256
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?")


class Scope(StrEnum):
    """A right."""

    READ = "read"  # see everything that the dashboard shows
    WRITE = "write"  # start and stop jobs, publish, keep statements
    QUERY = "query"  # ask Cypher of one's own
    ADMIN = "admin"  # accounts, tokens of others, the log


class Role(StrEnum):
    """What an account may do."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    @property
    def scopes(self) -> frozenset[Scope]:
        """What this role allows."""
        allowed = {
            Role.VIEWER: {Scope.READ},
            Role.EDITOR: {Scope.READ, Scope.WRITE, Scope.QUERY},
            Role.ADMIN: set(Scope),
        }
        return frozenset(allowed[self])


@dataclass(frozen=True)
class Principal:
    """Whoever makes a request.

    Attributes:
        name: as the log of changes names them.
        account: the account; None for the operator.
        scopes: what they may do.
    """

    name: str
    account: str | None
    scopes: frozenset[Scope]


OPERATOR = Principal("operator", None, Role.ADMIN.scopes)
"""Whoever can read this home's files: they may do everything anyway."""


@dataclass(frozen=True)
class Account:
    """An account, without its password.

    Attributes:
        name: its name.
        role: its role.
        has_password: whether it can log in with a password; if not, it has only tokens.
        tokens: number of its tokens that are not revoked.
        created_at: ISO time.
    """

    name: str
    role: Role
    has_password: bool
    tokens: int
    created_at: str


class Passwords:
    """Makes and checks the hashes of passwords.

    Before scrypt, a password goes through an HMAC under the key that also signs sessions: whoever can read the graph,
    as the Cypher console lets people do, cannot try passwords without that key.

    Args:
        settings: hold the key.

    Raises:
        SettingsError: there is none.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.secret_key is None:
            raise SettingsError(
                "passwords need CIKG_SECRET_KEY, which is not set",
                cure="Set it to what the dashboard has; `cikg up` makes one for the embedded services",
            )
        self._key = settings.secret_key.get_secret_value().encode()

    def hash(self, password: str) -> str:
        """The hash of a new password.

        Raises:
            InputError: it is too short to be safe, or too long.
        """
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise InputError(
                f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters",
                cure="Choose another; length is strength",
            )
        return generate_password_hash(self._peppered(password))

    def fits(self, graph: Graph, name: str, password: str) -> bool:
        """Whether this is the account's password. Takes as long where there is no such account."""
        found = graph.many("find_account", account=name) if _NAME.fullmatch(name) else []
        kept: str | None = found[0]["password"] if found else None
        fits = check_password_hash(kept or _nobody(), self._peppered(password[: LONGEST_PASSWORD + 1]))
        return fits and kept is not None

    def _peppered(self, password: str) -> str:
        return hmac.new(self._key, b"password:" + password.encode("utf-8", "replace"), "sha256").hexdigest()


def add(graph: Graph, name: str, role: Role, password: str | None, actor: str) -> None:
    """Make an account.

    Args:
        graph: the graph.
        name: 1 to 64 lower-case letters, digits, `.`, `_`, `@`, `-`.
        role: what it may do.
        password: the hash of its password; without one it can only be used by tokens.
        actor: who makes it, for the log.

    Raises:
        InputError: the name cannot be used, or is the operator's.
        ConflictError: there is an account of this name.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name an account",
            cure="Use 1 to 64 lower-case letters, digits, '.', '_', '@' or '-', with a letter or digit at both ends",
        )
    if name == OPERATOR.name:
        raise InputError(f"{name!r} stands for whoever runs the platform", cure="Choose another name")
    if graph.many("find_account", account=name) or not graph.write(
        "make_account", account=name, role=role, password=password, moment=time.time()
    ):
        raise ConflictError(f"there is an account {name!r} already", cure="Choose another name")
    audit.record(graph, actor, "account.add", name, {"role": role})


def find(graph: Graph, name: str) -> dict[str, Any]:
    """An account's properties.

    Raises:
        NotFoundError: there is none of this name.
    """
    found = graph.many("find_account", account=name)
    if not found:
        raise NotFoundError(f"there is no account {name!r}", cure="`cikg user list` shows all of them")
    return found[0]


def shown(graph: Graph, name: str) -> Account:
    """An account as it may be shown.

    Raises:
        NotFoundError: there is none of this name.
    """
    find(graph, name)
    return _account(graph.one("shown_account", account=name))


def listed(graph: Graph, limit: int, after: str = "") -> list[Account]:
    """Accounts in the order of their names, those after one."""
    return [_account(row) for row in graph.many("accounts", after=after, limit=limit)]


def _account(row: dict[str, Any]) -> Account:
    return Account(**{**row, "role": Role(row["role"])})


def set_role(graph: Graph, name: str, role: Role, actor: str) -> None:
    """Give an account another role; it holds from its next request.

    Raises:
        NotFoundError: there is none of this name.
    """
    before = find(graph, name)["role"]
    entry = audit.step(actor, "account.role", name, {"from": before, "to": role})
    graph.write_together([("set_role", {"account": name, "role": role}), entry])


def set_password(graph: Graph, name: str, password: str, actor: str) -> None:
    """Give an account another password, by its hash, and end its sessions.

    Raises:
        NotFoundError: there is none of this name.
    """
    find(graph, name)
    change = {"account": name, "password": password, "moment": time.time()}
    graph.write_together([("set_password", change), audit.step(actor, "account.password", name)])


def remove(graph: Graph, name: str, actor: str) -> None:
    """Remove an account, its sessions and its tokens.

    Raises:
        NotFoundError: there is none of this name.
    """
    find(graph, name)
    graph.write_together([("remove_account", {"account": name}), audit.step(actor, "account.remove", name)])


def of_session(graph: Graph, name: str, since: float) -> Principal | None:
    """Whoever has an account's session; None once the account is gone or its password was changed."""
    found = graph.many("find_account", account=name)
    if not found or found[0]["changed_at"] > since:
        return None
    return Principal(name, name, Role(found[0]["role"]).scopes)


@cache
def _nobody() -> str:
    """What is compared where there is no account or password, so that the answer takes as long."""
    return generate_password_hash(secrets.token_urlsafe(32))

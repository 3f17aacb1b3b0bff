"""Settings: one's own tokens and password; for admins the people, everyone's tokens, and the log of changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from cikg.access import accounts, audit, tokens
from cikg.access.accounts import Account, Passwords, Principal, Role, Scope
from cikg.access.audit import Entry
from cikg.access.tokens import Token
from cikg.errors import CikgError, InputError, ServiceError
from cikg.graph import Graph
from web import login
from web.chrome import render
from web.forms import whole
from web.store import graph, settings
from web.urls import page

blueprint = Blueprint("settings", __name__)
READ_AT_ONCE, SHOWN_ACCOUNTS, SHOWN_ENTRIES = 500, 500, 100
Made = TypeVar("Made", Token, Account)


@dataclass(frozen=True)
class SettingsPage:
    """What a person may see and change of who may use the platform.

    Attributes:
        who: the person, as the log names them.
        account: their account; None for the operator.
        scopes: what they may do, which their tokens may be allowed too.
        tokens: theirs, or for an admin everyone's; the newest first.
        made: the text of a token that was made a moment ago: nothing shows it again.
        accounts: all of them, the newest first; None for those who are no admin.
        roles: what can be chosen for one.
        log: the newest changes; None for those who are no admin.
        error: what is wrong with what was sent, and what to do.
        sent: then what was sent, but for passwords, so that nobody has to type it twice; `form` says by which form.
    """

    template: ClassVar[str] = "settings.html"
    who: str
    account: str | None
    scopes: tuple[str, ...]
    tokens: tuple[Token, ...]
    made: str | None
    accounts: tuple[Account, ...] | None
    roles: tuple[str, ...]
    log: tuple[Entry, ...] | None
    error: tuple[str, str | None] | None
    sent: dict[str, Any] = field(default_factory=dict)


def load_settings_page(graph: Graph, who: Principal) -> SettingsPage:
    """Read what a person may see."""
    is_admin = Scope.ADMIN in who.scopes
    found = _tokens(graph, None if is_admin else who.account or tokens.OPERATORS)
    return SettingsPage(
        who=who.name,
        account=who.account,
        scopes=tuple(scope for scope in Scope if scope in who.scopes),
        tokens=tuple(_newest_first(found)),
        made=None,
        accounts=tuple(_newest_first(accounts.listed(graph, SHOWN_ACCOUNTS))) if is_admin else None,
        roles=tuple(Role),
        log=tuple(audit.read(graph, SHOWN_ENTRIES)) if is_admin else None,
        error=None,
    )


def _tokens(graph: Graph, account: str | None) -> list[Token]:
    """All tokens of an account, as `tokens.listed` takes it: their ids say nothing about which ones still work."""
    found: list[Token] = []
    while more := tokens.listed(graph, READ_AT_ONCE, found[-1].id if found else "", account):
        found += more
    return found


def _newest_first(found: Iterable[Made]) -> list[Made]:
    return sorted(found, key=lambda each: each.created_at, reverse=True)


def make_token(graph: Graph, who: Principal) -> str:
    """Make the token that a form asks for, for whoever asks; its text.

    Raises:
        Forbidden: who asks shows a token that must not make others.
        InputError: its name, scopes or days cannot be used.
    """
    login.require_own(who.account)
    given = request.form.get("days", "")
    days = whole(given, "number of days", 1, tokens.LONGEST_DAYS) if given else None
    scopes = [Scope(scope) for scope in request.form.getlist("scope") if scope in who.scopes]
    return tokens.create(graph, who.account, request.form.get("name", ""), scopes, actor=who.name, days=days)[1]


def new_password() -> str:
    """The password that a form chooses, which was typed twice.

    Raises:
        InputError: it was typed in two ways.
    """
    wanted = request.form.get("password", "")
    if wanted != request.form.get("repeated", ""):
        raise InputError("the new password was typed in two ways", cure="Type it the same way twice")
    return wanted


def change_own_password(graph: Graph, who: Principal, present: str, wanted: str) -> None:
    """Give whoever asks another password, if they know the present one.

    Raises:
        InputError: it is not theirs, or the other cannot be used.
    """
    passwords = Passwords(settings())
    if who.account is None or not passwords.fits(graph, who.account, present):
        raise InputError("this is not the current password", cure="An admin can set a new one")
    accounts.set_password(graph, who.account, passwords.hash(wanted), who.name)


def change_account(graph: Graph, name: str, action: str, actor: str) -> None:
    """Do what a button of an account's row says.

    Raises:
        InputError: there is no such action or role, or the password cannot be used.
        NotFoundError: there is no such account.
    """
    if action == "remove":
        accounts.remove(graph, name, actor)
    elif action == "password":
        accounts.set_password(graph, name, Passwords(settings()).hash(request.form.get("password", "")), actor)
    elif action == "role" and request.form.get("role") in set(Role):
        accounts.set_role(graph, name, Role(request.form["role"]), actor)
    else:
        raise InputError(f"there is no action {action!r} for an account", cure="Use the buttons in its row")


def _page(error: CikgError | None = None, made: str | None = None) -> Response:
    """The page as it stands, with what was wrong or made."""
    shown = replace(load_settings_page(graph(), login.caller()), made=made)
    if error is None:
        return render(shown)
    sent: dict[str, Any] = {name: request.form.get(name, "") for name in ("name", "role", "days")}
    sent |= {"scopes": request.form.getlist("scope"), "form": (request.endpoint or "").rpartition(".")[2]}
    return render(replace(shown, error=(error.message, error.cure), sent=sent), 400)


@page(blueprint, "/settings")
def index() -> Response:
    """Tokens, people and the log."""
    return render(load_settings_page(graph(), login.caller()))


@blueprint.post("/settings/tokens")
def create_token() -> ResponseReturnValue:
    """Make a token for oneself, and show it this once."""
    try:
        return _page(made=make_token(graph(), login.caller()))
    except InputError as error:
        return _page(error)


@blueprint.post("/settings/tokens/<id:token>/revoke")
def revoke_token(token: str) -> ResponseReturnValue:
    """Let a token open nothing from now on."""
    login.require_own(tokens.owner(graph(), token))
    tokens.revoke(graph(), token, login.caller().name)
    return redirect(url_for("settings.index"))


@blueprint.post("/settings/password")
def password() -> ResponseReturnValue:
    """Change one's own password, and begin anew."""
    try:
        change_own_password(graph(), login.caller(), request.form.get("present", ""), new_password())
    except InputError as error:
        return _page(error)
    return redirect(url_for("session.form"))


@blueprint.post("/settings/accounts")
@login.needs(Scope.ADMIN)
def add_account() -> ResponseReturnValue:
    """Make an account."""
    try:
        _add(request.form.get("name", ""), request.form.get("role", ""), new_password())
    except ServiceError:
        raise
    except CikgError as error:
        return _page(error)
    return redirect(url_for("settings.index"))


@blueprint.post("/settings/accounts/<id:name>/<action>")
@login.needs(Scope.ADMIN)
def change(name: str, action: str) -> ResponseReturnValue:
    """Change an account's role or password, or remove it."""
    try:
        change_account(graph(), name, action, login.caller().name)
    except InputError as error:
        return _page(error)
    return redirect(url_for("settings.index"))


def _add(name: str, role: str, wanted: str) -> None:
    if role not in set(Role):
        raise InputError(f"there is no role {role!r}", cure=f"It is one of {', '.join(Role)}")
    hashed = Passwords(settings()).hash(wanted) if wanted else None
    accounts.add(graph(), name, Role(role), hashed, login.caller().name)

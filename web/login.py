"""Who makes a request: a session of the dashboard, begun by a one-time link or a password, or a token of the API.

Every view needs the scope `read` unless it is marked otherwise: a forgotten mark locks a page, it does not open one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from flask import Flask, current_app, g, request, session
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.exceptions import Forbidden, Unauthorized

from cikg.access import accounts, audit, sessions, tokens
from cikg.access.accounts import OPERATOR, Passwords, Principal, Scope
from cikg.errors import ServiceError
from web import store

View = TypeVar("View", bound=Callable[..., object])
BEARER = "bearer"
UNKNOWN = "(unknown)"
"""Whoever tried to log in with a name that no account has: what was typed there may be a password."""


class Person(UserMixin):  # type: ignore[misc]
    """Whoever has a session. Its id is the session's secret."""

    def __init__(self, secret: str, principal: Principal) -> None:
        self.id = secret
        self.principal = principal


def init_app(app: Flask) -> None:
    """Guard every view."""
    manager = LoginManager(app)
    manager.session_protection = None  # sessions are kept by the server; an address may change under way
    manager.user_loader(_load)
    app.before_request(_guard)


def public(view: View) -> View:
    """Mark a view that is answered to anyone."""
    view.is_public = True  # type: ignore[attr-defined]
    return view


def needs(scope: Scope) -> Callable[[View], View]:
    """Mark a view that needs another scope than `read`."""

    def mark(view: View) -> View:
        view.scope = scope  # type: ignore[attr-defined]
        return view

    return mark


def principal() -> Principal | None:
    """Whoever makes this request; None for a stranger. A token that is shown counts, valid or not, before a session."""
    if "principal" not in g:
        shown = request.authorization
        if shown is not None and shown.type == BEARER:
            g.principal = tokens.verify(store.graph(), shown.token or "")
        else:
            g.principal = current_user.principal if current_user.is_authenticated else None
    return g.principal  # type: ignore[no-any-return]


def caller() -> Principal:
    """Whoever makes this request.

    Raises:
        Unauthorized: nobody that is known.
    """
    who = principal()
    if who is None:
        raise Unauthorized
    return who


def require_own(account: str | None) -> None:
    """Make sure that something of an account is the caller's business: they are an admin, or logged in with it.

    A token is not: one that may do little, or not for long, must not make others or revoke them.

    Raises:
        Forbidden: it is not.
    """
    who = caller()
    if Scope.ADMIN not in who.scopes and (by_token() or account is None or account != who.account):
        raise Forbidden


def by_token() -> bool:
    """Whether this request shows a token, so that no other site can have made a browser send it."""
    return request.authorization is not None and request.authorization.type == BEARER


def begin(token: str) -> bool:
    """Use a link's token up; on success the browser gets a new session, the operator's."""
    secret = sessions.redeem(store.settings(), token)
    if secret is None:
        return False
    _enter(secret, OPERATOR)
    with suppress(ServiceError):  # whoever runs the platform sees its health while Neo4j is away
        audit.record(store.graph(), OPERATOR.name, "login", request.remote_addr or "")
    return True


def begin_with_password(name: str, password: str) -> bool:
    """Check an account's password; on success the browser gets a new session."""
    fits = Passwords(store.settings()).fits(store.graph(), name, password)
    who = name if store.graph().many("find_account", account=name) else UNKNOWN
    audit.record(store.graph(), who, "login" if fits else "login.refused", request.remote_addr or "")
    if not fits:
        return False
    secret = sessions.begin_session(store.settings(), name)
    person = _load(secret)
    if person is not None:
        _enter(secret, person.principal)
    return person is not None


def end() -> None:
    """End the session, here and for every copy of its cookie."""
    if current_user.is_authenticated:
        sessions.end_session(store.settings(), current_user.id)
    logout_user()
    session.clear()


def _enter(secret: str, principal: Principal) -> None:
    session.clear()
    session.permanent = True
    login_user(Person(secret, principal))


def _load(secret: str) -> Person | None:
    found = sessions.open_session(store.settings(), secret)
    if found is None:
        return None
    if found.account is None:
        return Person(secret, OPERATOR)
    known = accounts.of_session(store.graph(), found.account, found.since)
    return Person(secret, known) if known else None


def _guard() -> ResponseReturnValue | None:
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None or request.endpoint == "static" or getattr(view, "is_public", False):
        return None
    who = principal()
    if who is None:
        return current_app.login_manager.unauthorized()  # type: ignore[attr-defined, no-any-return]
    if getattr(view, "scope", Scope.READ) not in who.scopes:
        raise Forbidden
    return None

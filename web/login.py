"""Sessions: begun by a one-time link, known to the server, asked for by every page but three.

A page is public only if its view is marked so: a forgotten mark locks a page, it does not open one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flask import Flask, current_app, request, session
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user

from cikg.access import end_session, one_time_link, redeem, session_is_open
from web import store

__all__ = ["begin", "end", "init_app", "one_time_link", "public"]

View = TypeVar("View", bound=Callable[..., object])


class Operator(UserMixin):  # type: ignore[misc]
    """Whoever used a link. Its id is the session's secret."""

    def __init__(self, secret: str) -> None:
        self.id = secret


def init_app(app: Flask) -> None:
    """Guard every view."""
    manager = LoginManager(app)
    manager.session_protection = None  # sessions are kept by the server; an address may change under way
    manager.user_loader(_load)
    app.before_request(_guard)


def public(view: View) -> View:
    """Mark a view that is answered without a session."""
    view.is_public = True  # type: ignore[attr-defined]
    return view


def begin(token: str) -> bool:
    """Use a link's token up; on success the browser gets a new session."""
    secret = redeem(store.settings(), token)
    if secret is None:
        return False
    session.clear()
    session.permanent = True
    login_user(Operator(secret))
    return True


def end() -> None:
    """End the session, here and for every copy of its cookie."""
    if current_user.is_authenticated:
        end_session(store.settings(), current_user.id)
    logout_user()
    session.clear()


def _load(secret: str) -> Operator | None:
    return Operator(secret) if session_is_open(store.settings(), secret) else None


def _guard() -> ResponseReturnValue | None:
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None or request.endpoint == "static" or getattr(view, "is_public", False):
        return None
    return None if current_user.is_authenticated else current_app.login_manager.unauthorized()  # type: ignore[attr-defined]

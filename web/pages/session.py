"""Logging in, by a one-time link or a password, and out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Unauthorized

from web import login
from web.chrome import render

blueprint = Blueprint("session", __name__)


@dataclass(frozen=True)
class LoginPage:
    """The form that asks for a name and a password.

    Attributes:
        name: the name that was given last.
        failed: whether that name and its password do not belong together.
    """

    template: ClassVar[str] = "login.html"
    name: str
    failed: bool


@blueprint.get("/login")
@login.public
def form() -> ResponseReturnValue:
    """Ask for a name and a password."""
    return render(LoginPage("", failed=False))


@blueprint.post("/login")
@login.public
def enter() -> ResponseReturnValue:
    """Log an account in."""
    name, password = request.form.get("name", ""), request.form.get("password", "")
    if not login.begin_with_password(name, password):
        return render(LoginPage(name[:64], failed=True), 401)
    return redirect(url_for("overview.index"))


@blueprint.get("/login/<token>")
@login.public
def begin(token: str) -> ResponseReturnValue:
    """Use a one-time link up."""
    if not login.begin(token):
        raise Unauthorized
    return redirect(url_for("overview.index"))


@blueprint.post("/logout")
def end() -> ResponseReturnValue:
    """End the session everywhere."""
    login.end()
    return redirect(url_for("overview.index"))

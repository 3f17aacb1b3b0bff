"""Logging in, by a one-time link or a password, and out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from web import login
from web.chrome import render

blueprint = Blueprint("session", __name__)


@dataclass(frozen=True)
class LoginPage:
    """The form that asks for a name and a password.

    Attributes:
        name: the name that was given last.
        to: the address that was asked for, to which logging in leads; empty for the overview.
        problem: why the last try failed; empty before one.
    """

    template: ClassVar[str] = "login.html"
    name: str
    to: str
    problem: str


def ask_to_log_in() -> Response:
    """What a stranger sees in the place of any page: the form, which leads on to that page."""
    query = request.query_string.decode("ascii", "replace")
    wanted = quote(request.path, safe="/~") + (f"?{query}" if query else "")
    return render(LoginPage("", wanted if request.method == "GET" else "", ""), 401)


def within(address: str) -> str:
    """An address of ours, or else the overview's: nobody who logs in is led elsewhere."""
    return address if re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", address) else url_for("overview.index")


@blueprint.get("/login")
@login.public
def form() -> ResponseReturnValue:
    """Ask for a name and a password."""
    return render(LoginPage("", "", ""))


@blueprint.post("/login")
@login.public
def enter() -> ResponseReturnValue:
    """Log an account in."""
    name, password, to = (request.form.get(field, "") for field in ("name", "password", "to"))
    if not login.begin_with_password(name, password):
        return render(LoginPage(name[:64], to, "Wrong name or password."), 401)
    return redirect(within(to))


@blueprint.get("/login/<token>")
@login.public
def begin(token: str) -> ResponseReturnValue:
    """Use a one-time link up; one who only looks at it, as programs do that preview links, leaves it as it is."""
    if request.method == "HEAD":
        return ""
    if not login.begin(token):
        return render(
            LoginPage("", "", "This login link is no longer valid: a link works once, soon after it was printed."), 401
        )
    return redirect(url_for("overview.index"))


@blueprint.post("/logout")
def end() -> ResponseReturnValue:
    """End the session everywhere."""
    login.end()
    return redirect(url_for("overview.index"))

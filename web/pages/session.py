"""Logging in and out, and the address that says the process is alive."""

from __future__ import annotations

from flask import Blueprint, jsonify, redirect, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Unauthorized

from web import login

blueprint = Blueprint("session", __name__)


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


@blueprint.get("/healthz")
@login.public
def alive() -> ResponseReturnValue:
    """Say that the process answers; the overview says how its surroundings are."""
    return jsonify(status="ok")

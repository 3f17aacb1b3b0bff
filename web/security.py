"""What every answer carries, and which requests are refused before a page sees them."""

from __future__ import annotations

import secrets

from flask import Flask, Response, g, request
from flask_wtf import CSRFProtect
from werkzeug.exceptions import RequestURITooLarge

from cikg.settings import Settings
from web.api import problems

LONGEST_QUERY = 8_000
"""Bytes of a page's query. Pages repeat it in each of their links."""


def init_app(app: Flask) -> None:
    """Add the headers, a nonce a request, and the checks of POST requests and of long addresses."""
    CSRFProtect(app)
    app.before_request(_make_nonce)
    app.before_request(_refuse_long)
    app.after_request(_add_headers)


def trusted_hosts(settings: Settings) -> list[str]:
    """Names that a request may give as its host; any other is answered with 400."""
    further = [name.strip() for name in settings.web_hosts.split(",") if name.strip()]
    return ["127.0.0.1", "localhost", "[::1]", settings.web_host, *further]


def nonce() -> str:
    """The value that marks this answer's own scripts."""
    if "nonce" not in g:  # a request that failed before it was routed still gets an error page
        _make_nonce()
    return str(g.nonce)


def _make_nonce() -> None:
    g.nonce = secrets.token_urlsafe(16)


def _refuse_long() -> None:
    if len(request.query_string) > LONGEST_QUERY and not problems.asked():
        raise RequestURITooLarge


def _add_headers(response: Response) -> Response:
    policy = {
        "default-src": "'none'",
        "script-src": f"'nonce-{nonce()}'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    response.headers["Content-Security-Policy"] = "; ".join(f"{name} {value}" for name, value in policy.items())
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response

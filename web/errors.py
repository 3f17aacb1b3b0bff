"""Errors as pages: what is wrong and what to do, in the same frame as everything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flask import Flask, Response, current_app
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, SecurityError

from cikg.errors import CikgError, InputError, NotFoundError, ServiceError
from web.chrome import render

_STATUS: dict[type[CikgError], int] = {NotFoundError: 404, InputError: 400, ServiceError: 503}
_SAID = {
    400: ("This request cannot be read", "Go back and try again; an old form is renewed by loading its page"),
    401: (
        "You are not logged in",
        "Run `cikg login` on the machine that runs the platform and open the link it prints",
    ),
    404: ("There is no such page", "Check the address, or search for a name above"),
    405: ("This address does not answer such a request", "Open it from the dashboard"),
    413: ("This request is too large", "Send at most 1 MB"),
    500: ("Something went wrong on our side", "The log has the cause: `cikg status` names its file"),
}


@dataclass(frozen=True)
class ErrorPage:
    """What is shown instead of a page.

    Attributes:
        status: the HTTP status.
        message: what is wrong, one sentence.
        cure: what to do.
    """

    template: ClassVar[str] = "error.html"
    status: int
    message: str
    cure: str | None


def init_app(app: Flask) -> None:
    """Show every error as a page."""
    app.register_error_handler(CikgError, _ours)
    app.register_error_handler(CSRFError, lambda _error: _page(400))
    app.register_error_handler(SecurityError, _foreign_host)
    app.register_error_handler(HTTPException, lambda error: _page(error.code or 500, error))
    app.register_error_handler(Exception, _unexpected)
    app.login_manager.unauthorized_handler(lambda: _page(401))  # type: ignore[attr-defined]


def _ours(error: CikgError) -> Response:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    return render(ErrorPage(status, error.message, error.cure), status)


def _page(status: int, error: HTTPException | None = None) -> Response:
    message, cure = _SAID.get(status, (error.name if error else "The request was refused", None))
    response = render(ErrorPage(status, message, cure), status)
    if error is not None and error.response is None and "Allow" in dict(error.get_headers()):
        response.headers["Allow"] = dict(error.get_headers())["Allow"]
    return response


def _foreign_host(_error: SecurityError) -> Response:
    """Without a frame: its links would lead to the host that is refused."""
    return Response("This host name is not served. Add it to CIKG_WEB_HOSTS.\n", 400, mimetype="text/plain")


def _unexpected(error: Exception) -> Response:
    current_app.logger.error("a page failed", exc_info=error)
    return _page(500)

"""Errors as pages: what is wrong and what to do, in the same frame as everything else."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar

from flask import Flask, Response, current_app, redirect, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, NotFound, SecurityError

from cikg.datasets.prepared.unpacking import OversizeError
from cikg.errors import (
    CikgError,
    ConflictError,
    InputError,
    NotFoundError,
    NotReadOnlyError,
    ServiceError,
    SettingsError,
    SnapshotError,
    TooLargeError,
    TooSlowError,
)
from web.api import problems
from web.chrome import render, wants_json
from web.pages.session import ask_to_log_in
from web.parts.asking import ClosedError
from web.urls import without_slash

_STATUS: dict[type[CikgError], int] = {
    NotReadOnlyError: 403,
    TooSlowError: 504,
    TooLargeError: 422,
    OversizeError: 413,
    NotFoundError: 404,
    InputError: 400,
    ConflictError: 409,
    SnapshotError: 409,
    ServiceError: 503,
    SettingsError: 503,
}
_CODES: dict[type[CikgError], str] = {
    ClosedError: "console_off",
    NotReadOnlyError: "query_not_read_only",
    TooSlowError: "query_timed_out",
    TooLargeError: "query_too_large",
}
_SAID = {
    400: ("This request cannot be read", "Go back, reload the page and try again"),
    401: (
        "You are not logged in",
        "Log in above, or run `cikg login` on the machine that runs the platform and open the link it prints",
    ),
    403: ("You do not have permission for this", "Ask an admin of the platform for a role or a token that allows it"),
    404: ("There is no such page", "Check the address, or start from the overview"),
    405: ("This address does not accept such a request", "Open it from the dashboard"),
    413: ("This request is too large", None),
    414: ("This address is too long", "Ask for less at once"),
    415: ("This type of content is not accepted here", "Send JSON, as application/json"),
    429: ("Too many requests", "Wait as long as the Retry-After header says"),
    500: ("Something went wrong on our side", "The cause is in the log: `cikg status --json` names the file"),
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
    app.register_error_handler(NotFound, _elsewhere)
    app.register_error_handler(HTTPException, lambda error: _page(error.code or 500, error))
    app.register_error_handler(Exception, _unexpected)
    app.login_manager.unauthorized_handler(_stranger)  # type: ignore[attr-defined]


def status_of(error: CikgError) -> int:
    """The HTTP status of one of our errors."""
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)


def _ours(error: CikgError) -> Response:
    status = status_of(error)
    if status in (HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE):
        current_app.logger.error("%s", error)
    return _shown(status, error.message, error.cure, _CODES.get(type(error)))


def _shown(status: int, message: str, cure: str | None, code: str | None = None) -> Response:
    """An error as the API or as a page says it."""
    if not problems.asked():
        return render(ErrorPage(status, message, cure), status)
    response = problems.answer(status, message, cure, code)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="cikg"'
    return response


def _page(status: int, error: HTTPException | None = None) -> Response:
    message, cure = _SAID.get(status, (error.name if error else "The request was refused", None))
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        cure = f"Send at most {(request.max_content_length or 0) // 10**6:,} MB"
    if status == HTTPStatus.NOT_FOUND and problems.asked():
        message, cure = "there is no such operation", f"Check the path: {problems.PREFIX}v1/docs lists them all"
    response = _shown(status, message, cure)
    if error is not None and error.response is None and "Allow" in dict(error.get_headers()):
        response.headers["Allow"] = dict(error.get_headers())["Allow"]
    return response


def _elsewhere(error: NotFound) -> ResponseReturnValue:
    """Lead whoever typed a slash too many to the page that they mean."""
    meant = None if problems.asked() else without_slash(request)
    return redirect(meant, 308) if meant else _page(404, error)


def _stranger() -> Response:
    return _page(401) if problems.asked() or wants_json() else ask_to_log_in()


def _foreign_host(_error: SecurityError) -> Response:
    """Without a frame: its links would lead to the host that is refused."""
    return Response("This host name is not served. Add it to CIKG_WEB_HOSTS.\n", 400, mimetype="text/plain")


def _unexpected(error: Exception) -> Response:
    current_app.logger.error("a page failed", exc_info=error)
    return _page(500)

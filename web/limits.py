"""How often one caller may ask: the API by caller, logging in by address. Counted in Redis, for all web processes."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from flask import Flask, Response, request
from flask_limiter import Limiter

from web import login
from web.api.operation import blueprint as api
from web.pages.session import blueprint as session

LOGINS = "10 per minute"


def init_app(app: Flask) -> None:
    """Count requests before anything else looks at them; without Redis, each process counts its own.

    Callers are told by headers: `X-RateLimit-Limit`, `-Remaining`, `-Reset`, and `Retry-After` once they are refused.
    """
    settings = app.extensions["cikg"]
    redis = settings.redis_url.get_secret_value() if settings.redis_url else "memory://"
    limiter = Limiter(
        caller,
        app=app,
        storage_uri=redis,
        storage_options={"socket_connect_timeout": 1, "socket_timeout": 1} if settings.redis_url else {},
        in_memory_fallback_enabled=True,
        headers_enabled=True,
        key_prefix="cikg",
    )
    limiter.shared_limit(settings.api_rate_limit, scope="api")(api)
    limiter.shared_limit(LOGINS, scope="login", key_func=_address, exempt_when=_is_no("session.enter"))(session)
    limiter.shared_limit(
        LOGINS, scope="link", key_func=_address, exempt_when=_is_no("session.begin"), deduct_when=_was_refused
    )(session)


def caller() -> str:
    """Strangers and wrong tokens count by their address, everyone else by who they are."""
    who = login.principal()
    return f"who {who.name}" if who else _address()


def _address() -> str:
    return f"from {request.remote_addr}"


def _is_no(endpoint: str) -> Callable[[], bool]:
    return lambda: request.endpoint != endpoint


def _was_refused(answer: Response) -> bool:
    return answer.status_code == HTTPStatus.UNAUTHORIZED

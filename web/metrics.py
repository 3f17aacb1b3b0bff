"""What this process measures of itself, for Prometheus, beside what the platform measures of its work."""

from __future__ import annotations

import time

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from werkzeug.exceptions import Forbidden

from cikg import metrics
from cikg.access.accounts import Scope
from cikg.errors import ServiceError
from web import login, store

_REGISTRY = CollectorRegistry()
for _collector in (ProcessCollector, PlatformCollector, GCCollector):
    _collector(registry=_REGISTRY)
_REQUESTS = Histogram(
    "cikg_http_request_seconds",
    "Time to answer a request",
    ("endpoint", "method", "status"),
    registry=_REGISTRY,
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")


def init_app(app: Flask) -> None:
    """Measure every request. Endpoints are names of ours, so that no address makes a series of its own."""
    app.before_request(_begin)
    app.after_request(_end)


def guard() -> None:
    """Let this machine itself in, and whoever may read. What a proxy passes on is not this machine's.

    Raises:
        Unauthorized: it is neither.
        Forbidden: whoever asks may not read.
    """
    local = request.remote_addr in ("127.0.0.1", "::1") and not any(name in request.headers for name in _FORWARDED)
    if not local and Scope.READ not in login.caller().scopes:
        raise Forbidden


def exposition() -> bytes:
    """Everything in Prometheus' text format: of this process, and of all workers. What is away is left out."""
    url = store.settings().redis_url
    try:
        graph = store.graph()
    except ServiceError:
        graph = None
    return generate_latest(_REGISTRY) + metrics.exposition(graph, url.get_secret_value() if url else None)


def _begin() -> None:
    g.began = time.perf_counter()


def _end(response: Response) -> Response:
    if "began" in g:
        labels = (request.endpoint or "none", request.method if request.url_rule else "any", str(response.status_code))
        _REQUESTS.labels(*labels).observe(time.perf_counter() - g.began)
    return response

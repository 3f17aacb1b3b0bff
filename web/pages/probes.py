"""What machines ask: whether the process lives, whether it can serve, and what it measured."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue

from web import health, login, metrics
from web.store import settings

blueprint = Blueprint("probes", __name__)


@blueprint.get("/healthz")
@login.public
def alive() -> ResponseReturnValue:
    """Say that the process answers; the overview says how its surroundings are."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@login.public
def ready() -> ResponseReturnValue:
    """Say whether Neo4j, its schema and Redis are as serving needs them; names alone, since anyone may ask."""
    parts = {part.name: part.ok for part in health.readiness(settings())}
    return jsonify(status="ok" if all(parts.values()) else "not ready", parts=parts), 200 if all(
        parts.values()
    ) else 503


@blueprint.get("/metrics")
@login.public
def measured() -> ResponseReturnValue:
    """What Prometheus collects: to this machine, or to whoever may read."""
    metrics.guard()
    return Response(metrics.exposition(), mimetype="text/plain; version=0.0.4")

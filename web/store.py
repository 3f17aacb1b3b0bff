"""The connection to the graph: one a process, made at the first request, since a driver must not cross a fork."""

from __future__ import annotations

import threading
from typing import cast

from flask import Flask, current_app

from cikg.graph import Graph, connect
from cikg.settings import Settings

_KEY = "cikg.graph"
PATIENCE = 3.0  # a person waits less long than a job does
_opening = threading.Lock()


def init_app(app: Flask) -> None:
    """Begin without a connection, so that the server starts while Neo4j is away."""
    app.extensions[_KEY] = None


def settings() -> Settings:
    """The settings of this app."""
    return cast("Settings", current_app.extensions["cikg"])


def close(app: Flask) -> None:
    """Close the connection, if there is one; the next request opens another."""
    with _opening:
        if app.extensions[_KEY] is not None:
            app.extensions[_KEY].close()
            app.extensions[_KEY] = None


def graph() -> Graph:
    """The graph.

    Raises:
        ServiceError: Neo4j does not answer; shown as a page that says how to mend it.
    """
    with _opening:
        if current_app.extensions[_KEY] is None:
            current_app.extensions[_KEY] = connect(settings(), retry_seconds=PATIENCE)
        return cast("Graph", current_app.extensions[_KEY])

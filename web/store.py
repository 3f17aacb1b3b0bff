"""The connection to the graph: one a process, made at the first request, since a driver must not cross a fork."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import cast

from flask import Flask, current_app

from cikg.errors import UnreachableError
from cikg.graph import Graph, connect
from cikg.settings import Settings

_KEY = "cikg.graph"
PATIENCE = 3.0  # a person waits less long than a job does
_opening = threading.Lock()


class _Attempt:
    """A connection that is being made, beside the requests that wait for it: a Neo4j that says nothing takes long."""

    def __init__(self, settings: Settings) -> None:
        self._began = time.monotonic()
        self.graph: Future[Graph] = Future()
        threading.Thread(target=self._open, args=(settings,), daemon=True).start()

    @property
    def has_failed(self) -> bool:
        """Whether there is no use in waiting for it."""
        return self.graph.done() and self.graph.exception() is not None

    def wait(self) -> Graph:
        """The graph. Nobody waits for longer than a person would since the attempt began.

        Raises:
            ServiceError: Neo4j does not answer.
        """
        try:
            return self.graph.result(max(self._began + PATIENCE - time.monotonic(), 0))
        except TimeoutError:
            raise UnreachableError(
                "Neo4j does not answer", cure="Try again in a moment, or see `cikg status`"
            ) from None

    def _open(self, settings: Settings) -> None:
        try:
            self.graph.set_result(connect(settings, retry_seconds=PATIENCE))
        except BaseException as error:  # noqa: BLE001 - raised again where somebody waits
            self.graph.set_exception(error)


def init_app(app: Flask) -> None:
    """Begin without a connection, so that the server starts while Neo4j is away."""
    app.extensions[_KEY] = None


def settings() -> Settings:
    """The settings of this app."""
    return cast("Settings", current_app.extensions["cikg"])


def close(app: Flask) -> None:
    """Close the connection, if there is one; the next request opens another."""
    with _opening:
        attempt: _Attempt | None = app.extensions[_KEY]
        app.extensions[_KEY] = None
    if attempt is not None:
        attempt.graph.add_done_callback(lambda made: None if made.exception() else made.result().close())


def graph() -> Graph:
    """The graph.

    Raises:
        ServiceError: Neo4j does not answer; shown as a page that says how to mend it.
    """
    with _opening:
        attempt: _Attempt | None = current_app.extensions[_KEY]
        if attempt is None or attempt.has_failed:
            attempt = current_app.extensions[_KEY] = _Attempt(settings())
    return attempt.wait()

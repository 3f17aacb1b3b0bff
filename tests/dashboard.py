"""The dashboard as whoever comes to it meets it: on a port of this machine, or within the process, logged in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from cikg.access import accounts
from cikg.access.accounts import Role
from cikg.access.sessions import begin_session, one_time_token
from cikg.graph import Graph
from cikg.settings import Settings
from web import store


@contextmanager
def answering(app: Flask) -> Iterator[str]:
    """Have an app answer until the block ends, on a free port of loopback; yields its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        store.close(app)


def operator(app: Flask, settings: Settings) -> FlaskClient:
    """Whoever runs the platform, by a link that logs in once."""
    client = app.test_client()
    client.get(f"/login/{one_time_token(settings)}")
    return client


def viewer(app: Flask, settings: Settings, graph: Graph, name: str) -> FlaskClient:
    """Somebody with a new account of this name, who may look and change nothing."""
    accounts.add(graph, name, Role.VIEWER, None, "tests")
    client = app.test_client()
    with client.session_transaction() as session:
        session["_user_id"] = begin_session(settings, name)
    return client


def form_token(page: str) -> str:
    """What a page's forms have to carry, so that no other site sends them."""
    return page.split('name="csrf_token" value="')[1].split('"', maxsplit=1)[0]

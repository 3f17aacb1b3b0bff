"""The API of a real app over the planted graph, and callers with every scope or few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from cikg.access import tokens
from cikg.access.accounts import Scope
from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.serving.publish import publish
from cikg.settings import Settings
from tests import planted

Call = Callable[..., TestResponse]


@pytest.fixture(scope="module")
def planted_dataset(graph: Graph, settings: Settings, request: pytest.FixtureRequest) -> str:
    """The planted graph with runs and a served model, under a name of the module's own."""
    dataset = "test-" + request.module.__name__.rpartition(".")[2].replace("_", "-")
    planted.write(graph, dataset)
    planted.write_runs(graph, dataset, "running")
    planted.write_training(graph, dataset, "neighbours-1", "neighbours", 0.4)
    snapshot = take(graph, dataset, settings)
    publish(graph, snapshot, planted.Neighbours(snapshot), k=5)
    return dataset


@pytest.fixture(scope="module")
def own(settings: Settings) -> Settings:
    """Settings by which nobody's requests are counted, since tests ask faster than callers."""
    own = {"secret_key": SecretStr("api-test-key-0123456789"), "api_rate_limit": "1000000 per minute", "console": True}
    return settings.model_copy(update=own)


@pytest.fixture(scope="module")
def token(graph: Graph) -> str:
    """A token that may do everything."""
    return tokens.create(graph, None, "tests", list(Scope), actor="tests")[1]


@pytest.fixture
def call(app: Flask, token: str) -> Call:
    """Ask the API: `call("GET", "/datasets")`, as whoever may do everything unless a token is given."""
    client: FlaskClient = app.test_client()

    def ask(method: str, path: str, *, bearer: str | None = token, **options: Any) -> TestResponse:
        headers = dict(options.pop("headers", {}))
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        return client.open(f"/api/v1{path}", method=method, headers=headers, **options)

    return ask

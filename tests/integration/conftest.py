"""The dashboard and the API over the tests' servers, in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from pydantic import SecretStr

import web
from cikg.graph import Graph
from cikg.settings import Settings
from web import store


@pytest.fixture(scope="module")
def own(settings: Settings) -> Settings:
    """The settings that a module's `app` is made with; a module that wants others has a fixture of this name."""
    return settings.model_copy(update={"secret_key": SecretStr("integration-test-key-0123456789")})


@pytest.fixture(scope="module")
def app(graph: Graph, own: Settings) -> Iterator[Flask]:
    """The real app, over a database with the schema."""
    made = web.create_app(own)
    yield made
    store.close(made)

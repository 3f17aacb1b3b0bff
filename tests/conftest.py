"""Real servers for the tests: an embedded Neo4j and Redis of their own, or those that the environment names."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from cikg.graph import Graph, connect
from cikg.graph.migrations import migrate
from cikg.settings import Settings, load_settings


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings whose Neo4j, Redis and stand-in answer, with a home of their own."""
    base = load_settings()
    yield base.model_copy(update={"home": tmp_path_factory.mktemp("home")})


@pytest.fixture(scope="session")
def graph(settings: Settings) -> Iterator[Graph]:
    """A connection to the tests' Neo4j, with the schema applied."""
    with connect(settings) as opened:
        migrate(opened)
        yield opened


@pytest.fixture
def dataset() -> str:
    """A name that no other test uses, so that tests share one database without seeing each other."""
    return f"test-{uuid.uuid4().hex[:12]}"

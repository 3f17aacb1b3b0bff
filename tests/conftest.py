"""Real servers for the tests: an embedded Neo4j and Redis of their own, or those that the environment names."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cikg.embedded import supervisor
from cikg.graph import Graph, connect
from cikg.graph.migrations import migrate
from cikg.settings import Settings, load_settings


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings whose Neo4j, Redis and stand-in answer, with a home of their own."""
    base = load_settings(with_embedded=False)
    # Never a language model that costs something, whatever the environment names.
    no_model = dict.fromkeys(("openai_base_url", "openai_api_key", "openai_model"))
    own = base.model_copy(update={"home": tmp_path_factory.mktemp("home"), **no_model})
    with supervisor.serving(own, ("neo4j", "redis", "stand-in")) as complete:
        yield complete


_datasets: list[str] = []
"""The names that this process gave to tests."""


@pytest.fixture(scope="session")
def graph(settings: Settings) -> Iterator[Graph]:
    """A connection to the tests' Neo4j, with the schema applied."""
    with connect(settings) as opened:
        migrate(opened)
        yield opened
        if load_settings(with_embedded=False).neo4j_uri is not None:  # one that stays when the tests are over
            sweep(opened)


def sweep(graph: Graph) -> None:
    """Remove what tests left in datasets of the names that they were given, and of longer ones."""
    begun = sorted(_datasets)
    while graph.execute(
        "MATCH (n) WHERE n.dataset STARTS WITH 'test-' AND substring(n.dataset, 0, $length) IN $begun "
        "WITH n LIMIT 500 DETACH DELETE n RETURN count(*) AS removed",
        begun=begun,
        length=len("test-") + 12,
    )[0]["removed"]:
        pass


@pytest.fixture
def dataset() -> str:
    """A name that no other test uses, so that tests share one database without seeing each other."""
    _datasets.append(f"test-{uuid.uuid4().hex[:12]}")
    return _datasets[-1]


def newcomer(home: Path) -> Settings:
    """Settings of a person who has configured nothing, whatever the environment names."""
    own = ("neo4j_uri", "neo4j_password", "redis_url", "openai_base_url", "openai_api_key", "openai_model", "web_port")
    return load_settings(with_embedded=False).model_copy(update={**dict.fromkeys(own), "home": home})


CIKG = [sys.executable, "-W", "error", "-c", "from cikg.cli import main; main()"]
"""The command-line tool as a process of its own, warnings being errors as in the tests themselves."""


@pytest.fixture(scope="session")
def environment(settings: Settings) -> dict[str, str]:
    """The environment in which a process finds the tests' servers and home."""
    return supervisor.environment(settings)


@pytest.fixture(scope="session")
def cikg(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `cikg` with arguments, and variables of its own, as a process; returns its exit code, output and errors."""

    def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        command, own = [*CIKG, *map(str, arguments)], environment | variables
        return subprocess.run(command, env=own, capture_output=True, text=True, timeout=120, check=False)

    return run

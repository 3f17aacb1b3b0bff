"""The main journey, as a newcomer takes it: the demo from nothing, ended by Ctrl-C; then again, with nothing to do."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from cikg.datasets.formats import demo
from cikg.embedded import guard, supervisor
from cikg.embedded.services import ALL
from cikg.graph import Graph, connect
from cikg.settings import Settings
from tests.conftest import CIKG, newcomer

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home in which the demo was run once, and ended by Ctrl-C when its link was there."""
    own = newcomer(tmp_path_factory.mktemp("demo") / "home")
    yield own
    supervisor.down(own)


def environment(settings: Settings) -> dict[str, str]:
    """The environment of a newcomer: no server is configured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CIKG_", "OPENAI_"))}
    return kept | {"CIKG_HOME": str(settings.home), "CIKG_CACHE": str(settings.cache)}


@pytest.fixture(scope="module")
def first(home: Settings) -> dict[str, Any]:
    """What the first demo said on standard output, and what a browser saw at its link."""
    command, pipe = [*CIKG, "demo", "--json"], subprocess.PIPE
    with subprocess.Popen(command, env=environment(home), stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            summary: dict[str, Any] = json.loads(process.stdout.readline() or process.stderr.read())
            summary["page"] = _open(summary["link"])
            summary["ports"] = [int(port) for port in re.findall(r":(\d+)", (home.home / "services.json").read_text())]
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=90)
        finally:
            process.kill()
    return summary | {"exit_code": process.returncode}


def _open(link: str) -> str:
    """The page that a browser lands on."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(link, timeout=20) as page:
        text: str = page.read().decode()
        return text


def everything(graph: Graph) -> str:
    """SHA-256 of all nodes and edges with all their properties, times included."""
    nodes = "MATCH (n) RETURN labels(n) AS labels, properties(n) AS properties"
    edges = "MATCH (a)-[r]->(b) RETURN a.uid AS a, type(r) AS type, properties(r) AS properties, b.uid AS b"
    rows = (json.dumps(row, sort_keys=True, default=str) for text in (nodes, edges) for row in graph.execute(text))
    return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()


def test_the_first_demo_shows_a_dashboard_and_ends_cleanly(home: Settings, first: dict[str, Any]) -> None:
    assert first["exit_code"] == 0
    assert "demo" in first["page"] and "Log out" in first["page"]
    assert first["llm_calls"] == len(demo.planted())
    assert guard.leftovers(home.home, [*ALL, "supervisor"]) == []
    listening = {connection.laddr.port for connection in psutil.net_connections() if connection.status == "LISTEN"}
    assert not listening & set(first["ports"])
    assert not (home.home / "lock").exists() and not (home.home / "services.json").exists()


def test_recommendations_are_far_above_popularity_and_no_worse_than_a_classic(first: dict[str, Any]) -> None:
    test = {method: figures["ndcg@10"] for method, figures in first["test"].items()}
    assert test["mixture"] >= 3 * test["popularity"]
    assert test["mixture"] >= 0.98 * test["ease"], "it was above; machines add in different orders"


def test_what_is_published_is_the_mixture_and_can_be_read(first: dict[str, Any]) -> None:
    """Most recommendations name an interest, and each says what its experts add up to."""
    assert first["runs"]["mixture"].startswith("mixture-")
    assert first["published"]["explained"] > 0.5


def test_a_second_demo_asks_nothing_and_leaves_the_same_graph(home: Settings, first: dict[str, Any]) -> None:
    assert first["exit_code"] == 0
    complete = supervisor.up(home)
    with connect(complete) as graph:
        before = everything(graph)
        done = subprocess.run(
            [*CIKG, "demo", "--exit", "--json"], env=environment(home), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        second = json.loads(done.stdout)
        assert everything(graph) == before
        _check_planted_tastes(graph)
    assert second["llm_calls"] == 0
    assert second["runs"] == first["runs"] and second["test"] == first["test"]
    assert supervisor.is_running(home), "services that ran before the demo stay"


def _check_planted_tastes(graph: Graph) -> None:
    """At least four in five readers have their planted main taste among their interests."""
    rows = graph.execute(
        "MATCH (u:User {dataset: 'demo'})-[:HAS_INTEREST]->(i:Interest) RETURN u.id AS user, collect(i.name) AS names"
    )
    names = {row["user"]: " | ".join(row["names"]).casefold() for row in rows}
    found = [taste.main.casefold() in names.get(reader, "") for reader, taste in demo.planted().items()]
    assert np.mean(found) >= 0.8


def test_its_data_are_private(home: Settings, first: dict[str, Any]) -> None:
    assert first["exit_code"] == 0
    assert home.home.stat().st_mode & 0o777 == 0o700
    assert (Path(home.home) / "secrets.json").stat().st_mode & 0o777 == 0o600

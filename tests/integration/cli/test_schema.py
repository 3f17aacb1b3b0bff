"""`cikg schema` as a process: what it shows, and that a drifted database ends it with 2 and a sentence."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest

from cikg.graph import Graph
from cikg.graph.migrations import migrate
from cikg.graph.schema_files import available

Cikg = Callable[..., subprocess.CompletedProcess[str]]
MISSING = "the index profile_dataset on Profile(dataset) is missing"


@pytest.fixture
def drifted(graph: Graph) -> Iterator[None]:
    graph.execute("DROP INDEX profile_dataset")
    yield
    migrate(graph, repair=True)


@pytest.mark.usefixtures("graph")
def test_a_sound_database(cikg: Cikg) -> None:
    shown = cikg("schema", "status")
    assert (shown.returncode, shown.stderr) == (0, "")
    for word in ("0001 keys_and_indexes", "applied", "intent_lexical_64", "vector", "profile_uid", "unique", "online"):
        assert word in shown.stdout
    found = json.loads(cikg("schema", "status", "--json").stdout)
    assert [file["checksum"] for file in found["files"]] == [migration.checksum for migration in available()]
    assert found["drift"] == []
    vector = next(one for one in found["objects"] if one["name"] == "intent_lexical_64")
    assert vector["options"]["vector.dimensions"] == "64"
    assert (vector["state"], vector["percent"], vector["from"]) == ("online", 100.0, "schema")
    assert json.loads(cikg("schema", "migrate", "--json").stdout) == {"applied": [], "repaired": []}
    assert cikg("schema", "migrate").stdout == "The schema is up to date.\n"


@pytest.mark.usefixtures("drifted")
def test_a_drifted_database_is_refused_and_mended(cikg: Cikg) -> None:
    for command in (["schema", "status"], ["schema", "migrate"], ["import", "demo", "--dataset", "never"]):
        done = cikg(*command)
        assert done.returncode == 2
        said = " ".join(done.stderr.split())
        assert f"{MISSING}. `cikg schema migrate --repair` recreates it" in said
    done = cikg("schema", "status", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["error"], found["message"]) == (2, "DriftError", MISSING)
    assert [one["message"] for one in found["drift"]] == [MISSING]
    mended = cikg("schema", "migrate", "--repair", "--json")
    assert json.loads(mended.stdout) == {"applied": [], "repaired": ["profile_dataset"]}
    assert cikg("schema", "status").returncode == 0

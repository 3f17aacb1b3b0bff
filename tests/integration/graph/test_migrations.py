"""The schema of a real database: applied once, refused when it drifts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cikg.errors import ConflictError
from cikg.graph import Graph
from cikg.graph.migrations import Changes, migrate
from cikg.graph.schema_files import Migration, available


def applied(graph: Graph) -> list[tuple[str, str]]:
    return [(row["version"], row["checksum"]) for row in graph.many("migrations")]


def test_every_file_is_applied_and_a_second_run_does_nothing(graph: Graph) -> None:
    before = graph.many("migrations")
    assert applied(graph) == [(migration.version, migration.checksum) for migration in available()]
    assert migrate(graph) == Changes([], [])
    assert graph.many("migrations") == before


def test_constraints_and_indexes_answer(graph: Graph) -> None:
    states = graph.execute("SHOW INDEXES YIELD name, state RETURN name, state")
    assert {row["state"] for row in states} == {"ONLINE"}
    assert {"user_uid", "item_dataset", "subject_run_state", "names"} <= {row["name"] for row in states}


def test_an_edited_file_is_refused(graph: Graph) -> None:
    first, *rest = available()
    before = applied(graph)
    with pytest.raises(ConflictError, match=r"0001_keys_and_indexes\.cypher was edited"):
        migrate(graph, [replace(first, checksum="0" * 64), *rest])
    assert applied(graph) == before


def test_a_database_from_a_newer_version_is_refused(graph: Graph) -> None:
    with pytest.raises(ConflictError, match=r"schema version \d{4}, which this version of cikg does not know"):
        migrate(graph, [])


def test_a_file_is_recorded_only_after_all_of_it_was_applied(graph: Graph) -> None:
    broken = Migration("9999", "broken", "0" * 64, ("RETURN 1", "THIS IS NO CYPHER"))
    before = applied(graph)
    with pytest.raises(Exception, match="Neo4j"):
        migrate(graph, [*available(), broken])
    assert applied(graph) == before

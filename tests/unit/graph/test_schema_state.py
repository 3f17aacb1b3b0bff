"""What the files of the schema make, read from their statements."""

from __future__ import annotations

from cikg.graph.schema_files import Migration
from cikg.graph.schema_state import definitions


def test_definitions_follow_the_statements_of_all_files() -> None:
    """What a later file drops is not expected any more."""
    files = [
        Migration("0001", "a", "", ("CREATE INDEX a IF NOT EXISTS FOR (n:User) ON (n.a, n.b)", "RETURN 1")),
        Migration(
            "0002",
            "b",
            "",
            (
                "CREATE RANGE INDEX b IF NOT EXISTS FOR ()-[r:POSSESSES|SATISFIES]-() ON (r.run)",
                "CREATE CONSTRAINT c IF NOT EXISTS FOR (n:Item) REQUIRE (n.x, n.y) IS NODE UNIQUE",
                "DROP INDEX a IF EXISTS",
            ),
        ),
    ]
    assert {name: (one.what, str(one)) for name, one in definitions(files[:1]).items()} == {
        "a": ("index", "User(a, b)")
    }
    found = {name: (one.kind, one.what, str(one)) for name, one in definitions(files).items()}
    assert found == {
        "b": ("range", "index", "POSSESSES|SATISFIES(run)"),
        "c": ("unique", "constraint", "Item(x, y)"),
    }

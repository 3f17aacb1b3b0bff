"""Schema files are split and ordered correctly."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cikg.errors import ServiceError, StatementError
from cikg.graph.migrations import Migration, available, refuse_old, split
from cikg.graph.schema_state import definitions
from cikg.schema import Label

PIECES = st.sampled_from(["CREATE x", "'a;b'", '"c;\\"d"', "`e;``f`", "// g;\n", "/* h; */", "1/2", "'it\\'s;'", "\n"])


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", []),
        (";;\n;", []),
        ("// only a remark; nothing else", []),
        ("A; B", ["A", "B"]),
        ("A; // the next; one\nB", ["A", "B"]),
        ("RETURN 'a;b' AS `x;y`; C /* ; */ D", ["RETURN 'a;b' AS `x;y`", "C   D"]),
        ("RETURN 'it\\'s; fine', \"a//b\"", ["RETURN 'it\\'s; fine', \"a//b\""]),
        ("RETURN 6 / 3", ["RETURN 6 / 3"]),
    ],
)
def test_split_knows_strings_names_and_comments(text: str, statements: list[str]) -> None:
    assert split(text) == statements


@given(st.lists(st.lists(PIECES, min_size=1).map(" ".join)))
def test_statements_stay_apart_and_whole(statements: list[str]) -> None:
    expected = [part for statement in statements for part in split(statement)]
    assert split("\n;\n".join(statements)) == expected
    assert all(len(split(statement)) <= 1 for statement in statements)


def test_an_open_string_is_refused_with_its_line() -> None:
    with pytest.raises(StatementError, match="line 2"):
        split("RETURN 1;\nRETURN 'open")


def test_the_schema_has_a_key_for_every_label() -> None:
    statements = [statement for migration in available() for statement in migration.statements]
    for label in set(Label) - {Label.SCHEMA_LOCK}:  # a constraint on it would wait for the lock
        assert any(f"FOR (n:{label}) REQUIRE n.uid IS UNIQUE" in statement for statement in statements), (
            f"{label} has no unique key"
        )
    assert all("IF NOT EXISTS" in statement for statement in statements)


@pytest.mark.parametrize("names", [["0002_b.cypher"], ["0001_a.cypher", "0003_c.cypher"], ["1_a.cypher"]])
def test_files_out_of_order_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("RETURN 1", encoding="utf-8")
    with pytest.raises(StatementError, match="out of order"):
        available(tmp_path)


def test_the_checksum_follows_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "0001_a.cypher").write_text("RETURN 1", encoding="utf-8")
    (before,) = available(tmp_path)
    (tmp_path / "0001_a.cypher").write_text("RETURN 1 // changed", encoding="utf-8")
    (after,) = available(tmp_path)
    assert before.statements == after.statements
    assert before.checksum != after.checksum


@pytest.mark.parametrize("version", ["5.26.1", "2025.12.1", "4.4.0-aura"])
def test_a_server_too_old_is_refused(version: str) -> None:
    with pytest.raises(ServiceError, match=r"is too old\. Use 2026\.01 or newer"):
        refuse_old(version)


@pytest.mark.parametrize("version", ["2026.01.0", "2026.08.1", "2027.01-SNAPSHOT"])
def test_newer_servers_are_taken(version: str) -> None:
    refuse_old(version)


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

"""Schema files are split and ordered correctly."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cikg.errors import StatementError
from cikg.graph.schema_files import available, split
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

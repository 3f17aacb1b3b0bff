"""The loader of `cypher/` refuses what contradicts itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from cikg.errors import NotFoundError, StatementError
from cikg.graph.statements import library, named, parse

WHERE = Path("some.cypher")
GOOD = """// A remark on the file.

// name: find_users(dataset, names) -> many
// Users by name;
// one range.
MATCH (user:User {dataset: $dataset}) // not $this
WHERE user.name IN $names AND user.id <> '$neither' AND user.`$nor` IS NULL
RETURN user.id AS id;

// name: forget(user) -> none
// Deletes a user.
MATCH (user:User {uid: $user}) DETACH DELETE user
"""


def test_blocks_become_statements() -> None:
    find, forget = parse(GOOD, WHERE)
    assert (find.name, find.parameters, find.kind, find.domain) == ("find_users", ("dataset", "names"), "many", "some")
    assert find.help == "Users by name; one range."
    assert find.text.startswith("CYPHER 25\nMATCH (user:User") and find.text.endswith("AS id")
    assert not find.writes
    assert forget.writes and forget.kind == "none"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("MATCH (n) RETURN n", 1, "before the first"),
        ("// name: x() -> several\n// Help.\nRETURN 1", 1, "expected"),
        ("// name: Bad Name() -> many\n// Help.\nRETURN 1", 1, "expected"),
        ("\n// name: x() -> many\nRETURN 1", 2, "comment"),
        ("// name: x() -> many\n// Help alone.\n", 1, "body"),
        ("// name: x(a) -> many\n// Help.\nRETURN 1", 1, "declares (a) but uses ()"),
        ("// name: x() -> many\n// Help.\nRETURN $a", 1, "declares () but uses (a)"),
    ],
)
def test_a_malformed_block_is_refused_with_its_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(StatementError) as caught:
        parse(text, WHERE)
    assert f"some.cypher:{line}" in str(caught.value)
    assert reason in str(caught.value)


def test_dynamic_types_are_no_parameters() -> None:
    (statement,) = parse("// name: x(types) -> many\n// Help.\nMATCH ()-[r:$any($types)]->() RETURN r", WHERE)
    assert statement.parameters == ("types",)


def test_the_library_loads_and_names_are_found() -> None:
    assert len(library()) > 20
    assert named("import_users").domain == "import"
    with pytest.raises(NotFoundError, match="no statement named 'nothing'"):
        named("nothing")


def test_statements_that_write_say_so() -> None:
    """`-> none` promises nothing but an effect, so a reading statement of that kind would be a mistake."""
    assert {
        statement.name for statement in library().values() if statement.kind == "none" and not statement.writes
    } <= {"await_indexes"}

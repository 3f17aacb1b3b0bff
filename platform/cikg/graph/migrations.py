"""Brings a database's constraints and indexes up to date: the files of `cypher/schema`, in order, each once.

A file is `NNNN_what_it_does.cypher`. An applied file is remembered as a `Migration` node with its checksum; a file that
changed after it was applied is refused, since a database made before the change would differ from one made after it.
Every statement has to be repeatable (`IF NOT EXISTS`): the schema and the record cannot be committed together, so a
file that was interrupted is applied once more.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cikg.errors import ConflictError, StatementError
from cikg.graph.database import Graph
from cikg.graph.statements import cypher_directory

INDEX_SECONDS = 600
"""How long to wait for new indexes to be filled."""

_FILE = re.compile(r"(?P<version>\d{4})_(?P<name>[a-z0-9_]+)\.cypher")
_PIECE = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<quoted>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:``|[^`])*`)
      | (?P<end>;)
      | (?P<code>[^'"`;/]+|/)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Migration:
    """One file of `cypher/schema`.

    Attributes:
        version: its four digits.
        name: the rest of its file name.
        checksum: SHA-256 of its bytes.
        statements: its statements, without comments.
    """

    version: str
    name: str
    checksum: str
    statements: tuple[str, ...]


def split(text: str) -> list[str]:
    """Split Cypher into statements at semicolons outside strings, quoted names and comments.

    Raises:
        StatementError: a string or a quoted name is not closed.
    """
    statements, current, position = [], "", 0
    while position < len(text):
        piece = _PIECE.match(text, position)
        if piece is None:
            line = text.count("\n", 0, position) + 1
            raise StatementError(f"the quotation that begins in line {line} is not closed")
        position = piece.end()
        if piece["end"]:
            statements.append(current.strip())
            current = ""
        else:
            current += " " if piece["comment"] else piece[0]
    statements.append(current.strip())
    return [statement for statement in statements if statement]


def available(directory: Path | None = None) -> list[Migration]:
    """The schema files in order (default: those of `cypher/schema`).

    Raises:
        StatementError: a file's name or text cannot be used, or a version is missing or doubled.
    """
    found: list[Migration] = []
    for path in sorted((directory or cypher_directory() / "schema").glob("*.cypher")):
        name = _FILE.fullmatch(path.name)
        if name is None or int(name["version"]) != len(found) + 1:
            raise StatementError(
                f"{path} is out of order", cure=f"Name it {len(found) + 1:04d}_what_it_does.cypher, or number it anew"
            )
        content = path.read_bytes()
        found.append(
            Migration(
                name["version"], name["name"], hashlib.sha256(content).hexdigest(), tuple(split(content.decode()))
            )
        )
    return found


def migrate(graph: Graph, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Apply what is missing and wait until every index answers.

    Args:
        graph: the database.
        migrations: what it should have (default: `available()`).

    Returns:
        The versions applied now; empty where the database was up to date.

    Raises:
        ConflictError: the database was made by other files than these: newer ones, or ones that changed since.
    """
    wanted = available() if migrations is None else migrations
    applied = {row["version"]: row["checksum"] for row in graph.many("migrations")}
    _refuse_drift(wanted, applied)
    missing = [migration for migration in wanted if migration.version not in applied]
    for migration in missing:
        for statement in migration.statements:
            graph.execute(f"CYPHER 25\n{statement}")
        graph.write("await_indexes", seconds=INDEX_SECONDS)
        graph.write("record_migration", version=migration.version, name=migration.name, checksum=migration.checksum)
    return [migration.version for migration in missing]


def _refuse_drift(wanted: Sequence[Migration], applied: dict[str, str]) -> None:
    newer = sorted(set(applied) - {migration.version for migration in wanted})
    if newer:
        raise ConflictError(
            f"the database has schema version {newer[-1]}, which this version of cikg does not know",
            cure="Install the version of cikg that wrote it, or a newer one",
        )
    for migration in wanted:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise ConflictError(
                f"cypher/schema/{migration.version}_{migration.name}.cypher was edited after this database applied it",
                cure="Restore the file and put the change into a new one, or start with an empty database",
            )

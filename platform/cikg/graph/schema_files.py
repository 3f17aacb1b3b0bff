"""The files of `cypher/schema`: which there are, and the statements in them.

A file is `NNNN_what_it_does.cypher`. Every statement has to be repeatable (`IF NOT EXISTS`): the schema and the record
of it cannot be committed together, so a file that was interrupted is applied once more.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from cikg.errors import StatementError
from cikg.graph.statements import cypher_directory

_FILE = re.compile(r"(?P<version>\d{4})_(?P<name>[a-z0-9_]+)\.cypher")
_PIECE = re.compile(
    r"""(?P<comment>//[^\n]*|/\*(?:[^*]|\*(?!/))*+(?:\*/)?)
      | (?P<quoted>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:``|[^`])*`)
      | (?P<end>;)
      | (?P<code>[^'"`;/]+|/)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"//.*|/\*.*\*/", re.DOTALL)


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
        StatementError: a string, a quoted name or a comment is not closed.
    """
    statements, current, position = [], "", 0
    while position < len(text):
        piece = _PIECE.match(text, position)
        if piece is None or (piece["comment"] and not _COMMENT.fullmatch(piece[0])):
            line, what = text.count("\n", 0, position) + 1, "comment" if piece else "quotation mark"
            raise StatementError(f"the {what} in line {line} is not closed")
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
                f"{path} is out of order", cure=f"Name it {len(found) + 1:04d}_what_it_does.cypher, or renumber it"
            )
        content = path.read_bytes()
        found.append(
            Migration(
                name["version"], name["name"], hashlib.sha256(content).hexdigest(), tuple(split(content.decode()))
            )
        )
    return found

"""Loads the named Cypher blocks of `cypher/` and checks each against its own declaration.

A block::

    // name: upsert_intents(rows) -> none
    // Purpose, keys and cost, in a sentence or two.
    UNWIND $rows AS row
    MERGE …

`-> many` returns rows, `-> one` exactly one row, `-> none` nothing. Declared and used parameters must be
equal. A line `// == Intents` puts the blocks after it, up to the next such line, into a section: those are the
questions that a person asks.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, cast

from cikg.errors import NotFoundError, StatementError

Kind = Literal["many", "one", "none"]

_HEADER = re.compile(r"^// name:\s*(?P<name>[a-z][a-z0-9_]*)\((?P<parameters>[^)]*)\)\s*->\s*(?P<kind>\w+)\s*$")
_NOT_CODE = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | '(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*" | `(?:``|[^`])*`""", re.VERBOSE | re.DOTALL
)
_WRITE = re.compile(r"\b(?:CREATE|MERGE|SET|DELETE|REMOVE|FOREACH|DROP)\b", re.IGNORECASE)
_PARAMETER = re.compile(r"\$(?!(?:any|all)\()([A-Za-z_][A-Za-z0-9_]*)")  # `$any(…)` is a dynamic label


@dataclass(frozen=True)
class Statement:
    """One named block.

    Attributes:
        name: its name, unique over all files.
        parameters: the names it declares, in order.
        kind: what it returns.
        help: the comment below its header.
        text: the Cypher, prefixed with its language version.
        domain: the file's name without its ending.
        writes: whether it has a writing clause.
        section: the heading it stands under; empty for what only the platform itself asks.
    """

    name: str
    parameters: tuple[str, ...]
    kind: Kind
    help: str
    text: str
    domain: str
    writes: bool
    section: str = ""

    @property
    def purpose(self) -> str:
        """What it is for: its help up to the cost."""
        return self.help.partition("Cost:")[0].strip()

    @property
    def cost(self) -> str:
        """What it costs, where its help says so after `Cost:`."""
        return self.help.partition("Cost:")[2].strip()


def cypher_directory() -> Path:
    """The directory of statements: inside the package when installed, beside it in a checkout."""
    packaged = Path(str(files("cikg"))) / "cypher"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "cypher"


def parse(text: str, path: Path) -> list[Statement]:
    """Read the blocks of one file.

    Raises:
        StatementError: a header cannot be read, the comment is missing, or parameters differ; with file and line.
    """
    blocks: list[tuple[int, str, list[str]]] = []
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("// =="):
            section = line.removeprefix("// ==").strip()
        elif line.startswith("// name:"):
            blocks.append((number, section, [line]))
        elif blocks:
            blocks[-1][2].append(line)
        elif line.strip() and not line.startswith("//"):
            raise StatementError(f"{path}:{number}: Cypher before the first `// name:` header")
    return [_statement(lines, path, number, section) for number, section, lines in blocks]


def _statement(lines: list[str], path: Path, number: int, section: str) -> Statement:
    where = f"{path}:{number}"
    header = _HEADER.match(lines[0])
    if header is None or header["kind"] not in ("many", "one", "none"):
        raise StatementError(f"{where}: expected `// name: some_name(parameter, …) -> many|one|none`")
    comment = []
    for line in lines[1:]:
        if not line.startswith("//"):
            break
        comment.append(line.removeprefix("//").strip())
    body = "\n".join(lines[1 + len(comment) :]).strip().rstrip(";")
    if not comment or not body:
        raise StatementError(f"{where}: {header['name']} needs a comment that says its purpose, and a body")
    declared = tuple(part.strip() for part in header["parameters"].split(",") if part.strip())
    code = _NOT_CODE.sub(" ", body)
    used = set(_PARAMETER.findall(code))
    if used != set(declared):
        raise StatementError(
            f"{where}: {header['name']} declares ({', '.join(sorted(declared))}) but uses ({', '.join(sorted(used))})"
        )
    return Statement(
        name=header["name"],
        parameters=declared,
        kind=cast("Kind", header["kind"]),
        help=" ".join(comment),
        text=f"CYPHER 25\n{body}",
        domain=path.stem,
        writes=_WRITE.search(code) is not None,
        section=section,
    )


@cache
def library() -> dict[str, Statement]:
    """All statements by name.

    Raises:
        StatementError: a block is malformed, or two share a name.
    """
    found: dict[str, Statement] = {}
    for path in sorted(cypher_directory().glob("*.cypher")):
        for statement in parse(path.read_text(encoding="utf-8"), path):
            if statement.name in found:
                raise StatementError(
                    f"{path}: {statement.name} is also defined in {found[statement.name].domain}.cypher"
                )
            found[statement.name] = statement
    return found


def named(name: str) -> Statement:
    """The statement called `name`.

    Raises:
        NotFoundError: there is none; names the nearest.
    """
    statements = library()
    if name not in statements:
        near = difflib.get_close_matches(name, statements, n=3)
        meant = f"Did you mean {' or '.join(near)}? " if near else ""
        raise NotFoundError(f"there is no statement named {name!r}", cure=meant + "`cikg query --list` shows them all")
    return statements[name]

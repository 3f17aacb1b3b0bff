"""Files of a language model's answers about users or items, texts or interests: JSON, JSON Lines, CSV or Parquet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cikg.datasets.reading.packed import opened
from cikg.datasets.reading.source import Source
from cikg.datasets.reading.tabular import Dialect, is_parquet, open_table, sniff
from cikg.datasets.reading.values import bare_name, identifier
from cikg.errors import InputError

LONGEST_ANSWER = 100_000
"""Characters of an answer; a longer one is a fault of whoever made it."""

LONGEST_INTEREST = 200
"""Characters of an interest's name."""

ENDINGS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".pq")
"""What tells how a file is to be read; all but Parquet may be packed (`.gz`, `.zst`)."""

ID, TEXT, INTEREST, INTERESTS = "id", "text", "interest", "interests"
"""The keys or columns of an answer; a table has a row for each interest, an object of JSON a list of them."""

PAIRS = ".txt"
"""The ending of a file of pairs, as CIKGRec publishes its clustered interests: a user and an interest a line."""

_BLANK = re.compile(r"[ \t\n\r]*")
_HALF_PAIR = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it stands in its file.

    Attributes:
        line: where; of Parquet the row.
        id: of the user or item, or its number where the file uses numbers.
        text: what the model said, without blanks around it.
    """

    line: int
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Held:
    """An interest of a user as it stands in a file.

    Attributes:
        line: where; of Parquet the row.
        id: of the user, or their number where the file uses numbers.
        interest: its name or number.
    """

    line: int
    id: str
    interest: str


def read(source: Source) -> Iterator[Answer]:
    """Yield the answers of a file, and reject what is none.

    Args:
        source: the file: an object of texts by id (`.json`), an object with `id` and `text` a line (`.jsonl`,
            `.ndjson`), or a table with columns of these names.

    Raises:
        InputError: it cannot be read, or is none of these.
    """
    for key, value in _entries(source, _ending(source.path, ENDINGS), TEXT, TEXT):
        answer = _answer(source, key, value)
        if answer is not None:
            yield answer


def read_interests(source: Source) -> Iterator[Held]:
    """Yield the interests that a file says users have, and reject what is none.

    Args:
        source: the file: an object of lists of interests by user (`.json`), an object with `id` and `interests` a line
            (`.jsonl`, `.ndjson`), a table with columns `id` and `interest`, or a user and an interest a line (`.txt`).

    Raises:
        InputError: it cannot be read, or is none of these.
    """
    ending = _ending(source.path, (*ENDINGS, PAIRS))
    found: Iterable[Sequence[Any]]
    if ending == PAIRS:
        found = ((*line.split(maxsplit=1), "")[:2] for line in source.lines(source.path))
    else:
        found = _entries(source, ending, INTERESTS, INTEREST)
    for key, value in found:
        try:
            about = identifier(key)
        except ValueError:
            source.reject(f"expected text or a number for {ID!r}, found {_kind(key)}")
            continue
        for each in value if isinstance(value, list) else [value]:
            name = " ".join(str(each).split()) if isinstance(each, (str, int)) and not isinstance(each, bool) else ""
            if name and len(name) <= LONGEST_INTEREST:
                yield Held(source.line, about, _HALF_PAIR.sub("\ufffd", name))
            else:
                source.reject(f"expected an interest of up to {LONGEST_INTEREST} characters, found {str(each)[:40]!r}")


def _ending(file: Path, known: Sequence[str]) -> str:
    """What tells how a file is to be read.

    Raises:
        InputError: it is no file, or its name tells nothing.
    """
    ending = Path(bare_name(file)).suffix.lower()
    if not file.is_file():
        what = "is not a file" if file.exists() else "does not exist"
        raise InputError(f"{file} {what}", cure="Give the path of the file that holds the answers")
    if ending not in known:
        raise InputError(
            "its name does not tell how to read it",
            file,
            cure=f"Let it end with {', '.join(known)}; .gz or .zst may follow",
        )
    return ending


def _entries(source: Source, ending: str, key: str, column: str) -> Iterable[Sequence[Any]]:
    """The ids of a file with what is said of each: of objects under a key, of tables in a column."""
    if ending == ".json":
        return _members(source, source.path)
    if ending in (".jsonl", ".ndjson"):
        return ((row.get(ID), row.get(key)) for row in source.json_lines(source.path))
    return _rows(source, source.path, column)


def _answer(source: Source, key: Any, value: Any) -> Answer | None:
    """The answer in a row; None where there is none, which rejects the row."""
    try:
        about = identifier(key)
    except ValueError:
        source.reject(f"expected text or a number for {ID!r}, found {_kind(key)}")
        return None
    if not isinstance(value, str):
        source.reject(f"expected text for {TEXT!r}, found {_kind(value)}")
        return None
    text = _HALF_PAIR.sub("\ufffd", value).strip()
    if not text:
        source.reject("the answer is blank")
        return None
    if len(text) > LONGEST_ANSWER:
        source.reject(f"the answer has {len(text):,} characters, more than {LONGEST_ANSWER:,}")
        return None
    return Answer(source.line, about, text)


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a value of type {type(value).__name__}"


def _rows(source: Source, file: Path, column: str) -> Iterator[list[Any]]:
    """The rows of a table."""
    table = open_table(file, Dialect() if is_parquet(file) else Dialect(*sniff(file)))
    missing = [name for name in (ID, column) if name not in table.columns]
    if missing:
        raise InputError(
            f"it has no column {missing[0]!r}", file, cure=f"Its columns are {', '.join(table.columns)[:200]}"
        )
    return table.rows(source, [table.columns.index(name) for name in (ID, column)])


def _members(source: Source, file: Path) -> Iterator[tuple[str, Any]]:
    """The members of a JSON object, one after another, each with its line.

    A reader of whole objects would lose the lines, and all but the last of members of the same name.
    """
    try:
        with opened(file) as stream:
            text = stream.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("it is not UTF-8 text", file, cure="Save it as UTF-8") from None
    line, counted = 1, 0
    try:
        for start, end, key, value in _scan(text):
            line, counted = line + text.count("\n", counted, start), start
            source.row(file, line, text[start:end])
            yield key, value
    except json.JSONDecodeError as error:
        raise InputError(f"expected a JSON object whose keys are ids: {error.msg}", file, error.lineno) from None
    except RecursionError:
        raise InputError(
            "expected a JSON object whose keys are ids, found one that is nested too deeply", file
        ) from None


def _scan(text: str) -> Iterator[tuple[int, int, str, Any]]:
    """The members of the object that a text holds: where each begins and ends, key and value.

    Raises:
        json.JSONDecodeError: it holds something else, at a place that the error knows.
    """
    decoder = json.JSONDecoder()
    position = _expect(text, 0, "{")
    is_first = True
    while not text.startswith("}", position):
        if not is_first:
            position = _expect(text, position, ",")
        is_first, start = False, position
        key, position = decoder.raw_decode(text, start)
        if not isinstance(key, str):
            raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, start)
        value, end = decoder.raw_decode(text, _expect(text, _blank(text, position), ":"))
        yield start, end, key, value
        position = _blank(text, end)
    position = _blank(text, position + 1)
    if position < len(text):
        raise json.JSONDecodeError("Extra data", text, position)


def _expect(text: str, position: int, mark: str) -> int:
    """The place after a mark and the blanks around it."""
    position = _blank(text, position)
    if not text.startswith(mark, position):
        raise json.JSONDecodeError(f"Expecting {mark!r} delimiter", text, position)
    return _blank(text, position + 1)


def _blank(text: str, position: int) -> int:
    """The place after blanks."""
    found = _BLANK.match(text, position)
    return found.end() if found else position

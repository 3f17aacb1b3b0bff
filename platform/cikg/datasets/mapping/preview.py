"""What an import would make of some data, seen on the beginning of it: nothing is written."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from typing_extensions import override

from cikg.datasets.formats import table
from cikg.datasets.mapping.model import Mapping, Part
from cikg.datasets.reading.source import Source
from cikg.datasets.reading.tabular import Dialect, is_parquet, open_table
from cikg.datasets.records import Entity, Fact, Format, Interaction, Item, Record, User
from cikg.datasets.registry import formats
from cikg.datasets.tables import collect
from cikg.errors import CikgError, InputError

PREVIEWED = 100_000
"""Rows of each file that a preview reads."""
_SHOWN = 10
"""Interactions that are shown."""
_FIRST_ROWS = 5
"""Rows that are shown as they stand in a file."""

_GLANCED_SECONDS = 3.0
_GLANCED_ROWS = 10_000
_WHOLE_BYTES = 64 * 2**20
"""The most bytes of formats whose reader takes all of a file at once."""

_SHOWN_WRONG = 10
_UNGUESSED = ("table", "demo")


@dataclass(frozen=True)
class Wrong:
    """A row that cannot be used: its file, its line (0 where there is none), what was expected, and its beginning."""

    file: str
    line: int
    reason: str
    row: str


@dataclass(frozen=True)
class Preview:
    """What an import would make of the first rows.

    Attributes:
        rows: the first interactions: user, item, its name, rating, time, split and facts, as a person reads them; the
            first items where no interaction was reached.
        read: rows read.
        rejected: how many of them cannot be used.
        wrong: the first of those.
        found: what was found in them, by kind; without duplicates where all was read.
        complete: whether all there is was read.
    """

    rows: list[dict[str, str]]
    read: int
    rejected: int
    wrong: list[Wrong]
    found: dict[str, int]
    complete: bool


class _EnoughError(Exception):
    """As much was read as a glance may read."""


class _Glance(Source):
    """The beginning of a source: reading ends after some rows, or some seconds."""

    def __init__(self, path: Path, most: int, deadline: float) -> None:
        super().__init__(path)
        self._most, self._deadline = most, deadline

    @override
    def again(self) -> Source:
        return _Glance(self.path, self._most, self._deadline)

    @override
    def row(self, file: Path, line: int, text: str = "") -> None:
        super().row(file, line, text)
        if self.rows > self._most or (self.rows % 1000 == 0 and time.monotonic() > self._deadline):
            raise _EnoughError


@dataclass
class _Seen:
    """What goes by of a stream of records, until a deadline."""

    most: int
    deadline: float = math.inf
    names: dict[str, str] = field(default_factory=dict)
    facts: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    items: list[str] = field(default_factory=list)
    chosen: list[Interaction] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def look(self, records: Iterator[Record]) -> Iterator[Record]:
        """Yield the records, and remember the first of them."""
        for number, record in enumerate(records):
            if number % 1000 == 0 and time.monotonic() > self.deadline:
                raise _EnoughError
            match record:
                case Item():
                    self.counts["items"] += 1
                    self.names[record.id] = record.name
                    if len(self.items) < self.most:
                        self.items.append(record.id)
                case Entity():
                    self.counts["entities"] += 1
                    self.names[record.id] = record.name
                case Fact():
                    self.counts["facts"] += 1
                    name = self.names.get(record.tail, record.tail)
                    self.facts.setdefault(record.head, {}).setdefault(record.relation, []).append(name)
                case Interaction():
                    self.counts["interactions"] += 1
                    if len(self.chosen) < self.most:
                        self.chosen.append(record)
                case User():
                    self.counts["users"] += 1
            yield record

    def rows(self) -> list[dict[str, str]]:
        """The first interactions as a person reads them; items where there are none."""
        rows = [self._row(one) for one in self.chosen]
        return rows or [{"item": item, "name": self._name(item), "facts": self._facts(item)} for item in self.items]

    def _row(self, one: Interaction) -> dict[str, str]:
        return {
            "user": one.user,
            "item": one.item,
            "name": self._name(one.item),
            "rating": "" if one.rating is None else f"{one.rating:g}",
            "time": "" if one.at is None else _moment(one.at),
            "split": str(one.split),
            "facts": self._facts(one.item),
        }

    def _name(self, item: str) -> str:
        name = self.names.get(item, item)
        return name if name != item else ""

    def _facts(self, item: str) -> str:
        facts = self.facts.get(item, {})
        return "; ".join(f"{relation}: {', '.join(names)}" for relation, names in facts.items())


def _moment(at: int) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return str(at)


def preview(mapping: Mapping, path: Path, shown: int = _SHOWN, most: int = PREVIEWED) -> Preview:
    """Read the beginning of a mapping's files.

    Args:
        mapping: what they mean.
        path: where it stands, or will.
        shown: how many interactions to show.
        most: how many rows of each file to read.

    Raises:
        InputError: a file or a column is not there.
    """
    source, seen = Source(path), _Seen(shown)
    records = seen.look(table.records(source, path, mapping, most=most))
    small = sum(_bytes(path.parent / part.file) for _, part in mapping.parts()) <= 20 * most
    if not small:  # what is not among the first rows of one file may still be what another one names
        for _ in records:
            pass
        return _preview(source, seen, complete=source.rows < most)
    counts = _counts(records, source)
    return _preview(source, seen, complete=source.rows < most, counts=counts)


def glance(kind: Format, path: Path) -> Preview:
    """Read the beginning of what is in a published format.

    Args:
        kind: the format.
        path: its file or folder.

    Raises:
        InputError: the path does not hold what the format expects.
    """
    if kind.name == "archive" and _bytes(path) > _WHOLE_BYTES:
        return Preview([], 0, 0, [], {}, complete=False)
    deadline = time.monotonic() + _GLANCED_SECONDS
    source, seen = _Glance(path, 100 * _GLANCED_ROWS, deadline), _Seen(_SHOWN, deadline)
    try:
        counts = _counts(seen.look(kind.read(source)), source)
    except _EnoughError:
        return _preview(source, seen, complete=False)
    return _preview(source, seen, complete=True, counts=counts)


def _counts(records: Iterator[Record], source: Source) -> dict[str, int] | None:
    """What a whole dataset consists of, as its import would check it; None where no row of it can be used.

    Raises:
        InputError: it is unusable, and not because of single rows.
    """
    try:
        return collect(records, source).counts()
    except InputError:
        if not source.rejections:
            raise
        return None


def _preview(source: Source, seen: _Seen, *, complete: bool, counts: dict[str, int] | None = None) -> Preview:
    wrong = [Wrong(one.file.name, one.line, one.reason, one.row) for one in source.rejected[:_SHOWN_WRONG]]
    kinds = ("users", "items", "entities", "interactions", "facts")
    found = {kind: (counts or seen.counts).get(kind, 0) for kind in kinds}
    return Preview(seen.rows(), source.rows, source.rejections, wrong, found, complete)


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def fitting(path: Path) -> list[str]:
    """The published formats that can read the beginning of what is at a path, without a row that they cannot use."""
    return [kind.name for kind in formats().values() if kind.name not in _UNGUESSED and fits(kind, path)]


def fits(kind: Format, path: Path) -> bool:
    """Whether a published format can read the beginning of what is at a path, without a row that it cannot use."""
    source, found = _Glance(path, _GLANCED_ROWS, time.monotonic() + _GLANCED_SECONDS), False
    if kind.name == "archive":  # its reader takes whole files; that there is a manifest says enough
        return (path / "manifest.json").is_file()
    try:
        for record in kind.read(source):
            found = True
            if isinstance(record, Interaction):
                break
    except CikgError:
        return False
    except _EnoughError:
        found = True  # lists that come before the first record
    return found and not source.rejections


def first_rows(part: Part, beside: Path) -> tuple[list[str], list[list[str]]]:
    """The names of a part's columns, and its first rows as they stand in the file.

    Args:
        part: says how the file is read.
        beside: the folder of its mapping.

    Raises:
        InputError: the file cannot be read.
    """
    file = beside / part.file
    dialect = Dialect()
    if not is_parquet(file):
        dialect = Dialect(part.delimiter or ",", part.encoding or "utf-8", part.header is not False, part.quote)
    found = open_table(file, dialect)
    rows: list[list[str]] = []
    for row in found.rows(Source(file), range(len(found.columns))):
        rows.append([_cell(value) for value in row])
        if len(rows) >= _FIRST_ROWS:
            break
    if not rows:
        raise InputError("it has no row that can be read", file)
    return found.columns, rows


def _cell(value: Any) -> str:
    text = "" if value is None else "|".join(map(str, value)) if isinstance(value, list) else str(value).strip()
    return text if len(text) <= 60 else text[:59] + "…"

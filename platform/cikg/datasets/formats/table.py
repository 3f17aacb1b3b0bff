"""Plain tables, CSV or Parquet, with a mapping file that says what their columns mean.

The path of the format is the mapping (`cikg.datasets.mapping`), which names its files from its own folder. Parts are
read in the order users, entities, items, interactions, facts, interests. Users, items, and entities of a kind that have
no table of their own are made where they are first named; where there is such a table, an edge to one that is not in it
is rejected. A table that is also one of interactions names its users or items again and again: their first row counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from cikg.datasets.mapping.model import (
    ISO,
    MILLISECONDS,
    SECONDS,
    SPLIT_NAMES,
    Entities,
    FactColumn,
    Facts,
    Interactions,
    Interests,
    Items,
    Mapping,
    Part,
    Users,
    load_mapping,
    nearest,
)
from cikg.datasets.reading.source import Source
from cikg.datasets.reading.tabular import Dialect, Table, is_parquet, open_table, sniff
from cikg.datasets.reading.values import seconds, words
from cikg.datasets.records import Entity, Fact, Format, HasInterest, Interaction, Interest, Item, Record, User
from cikg.errors import InputError
from cikg.schema import Split

P = TypeVar("P", bound=Part)


class _UnusableError(ValueError):
    """A value cannot be used; the message says what was expected."""


def _text(value: Any) -> str | None:
    """A value as text: whole numbers without a point, however Parquet keeps them."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (list, dict, bytes)):
        raise _UnusableError(f"expected text, found {type(value).__name__}")
    whole = isinstance(value, (float, Decimal)) and math.isfinite(value) and value == int(value)
    return str(int(value)) if whole else str(value)


def _id(value: Any, what: str) -> str:
    text = value.strip() if isinstance(value, str) else _text(value)
    if not text:
        raise _UnusableError(f"the {what} is missing")
    return text


def _rating(value: Any) -> float | None:
    if value is None:
        return None
    try:
        rating = float(value)
    except (TypeError, ValueError):
        rating = math.nan
    if not math.isfinite(rating):
        raise _UnusableError(f"expected a number as rating, found {str(value)[:40]!r}")
    return rating


def _split(value: Any) -> Split:
    split = SPLIT_NAMES.get((_text(value) or "").strip().lower())
    if split is None:
        raise _UnusableError(f"expected train, valid or test, found {str(value)[:40]!r}")
    return split


def _clock(written: str | None) -> Callable[[Any], int | None]:
    """A function that reads times as they are written: seconds since 1970 out.

    Args:
        written: a name of `TIME_FORMATS`, or a format of `strptime`. None: numbers are seconds, or milliseconds where
            they are too large for that, and text is ISO 8601. A time without a zone is UTC. What Parquet keeps as a
            date or time needs none of it.
    """

    def read(value: Any) -> int | None:
        try:
            moment = value if isinstance(value, date) else (_text(value) or "").strip()
            return _seconds(moment, written) if moment else None
        except (ValueError, TypeError, OverflowError):
            expected = (
                written if written in (SECONDS, MILLISECONDS) else f"a time as {written or 'seconds or ISO 8601'}"
            )
            raise _UnusableError(f"expected {expected}, found {str(value)[:40]!r}") from None

    return read


def _seconds(value: str | date, written: str | None) -> int:
    if isinstance(value, date):  # a datetime is one, too
        moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
    elif written in (SECONDS, MILLISECONDS):
        return math.floor(float(value) / (1000 if written == MILLISECONDS else 1))
    elif written is None and _is_number(value):
        return seconds(value)
    else:
        moment = datetime.strptime(value, written) if written not in (ISO, None) else datetime.fromisoformat(value)
    return math.floor((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _is_number(value: str) -> bool:
    """Whether a time is a number; eight digits are a date, such as 20240131."""
    return value.lstrip("-").replace(".", "", 1).isdecimal() and not (len(value) == 8 and value.isdecimal())


def _things(value: Any, separator: str | None, null: tuple[str, ...]) -> Iterator[str]:
    """The single names in a value, on one line each."""
    found = value if isinstance(value, list) else [value]
    for entry in found:
        text = _text(entry) or ""
        names = map(words, text.split(separator) if separator else [text])
        yield from (name for name in names if name and name not in null)


@dataclass(frozen=True)
class _Opened(Generic[P]):
    """A part whose file and columns are there.

    Attributes:
        part: as the mapping describes it.
        table: its file.
        keys: the keys of its columns; `rows` yields their values in this order.
        places: where each is in the file.
        most: rows to be read; None for all.
    """

    part: P
    table: Table
    keys: list[str]
    places: list[int]
    most: int | None

    def rows(self, source: Source, read: Callable[[dict[str, Any]], Iterator[Record]]) -> Iterator[Record]:
        """Yield the records that `read` makes of each row's values by key; it rejects rows that cannot be used."""
        for values in islice(self.table.rows(source, self.places), self.most):
            try:
                yield from read(dict(zip(self.keys, values, strict=True)))
            except _UnusableError as error:
                source.reject(str(error))


def _open(mapping: Path, key: str, part: P, most: int | None) -> _Opened[P]:
    """Find a part's file and columns.

    Raises:
        InputError: one is not there; names the mapping, the key, and what is nearest.
    """
    file = mapping.parent / part.file
    if not file.is_file():
        beside = sorted(path.name for path in file.parent.iterdir()) if file.parent.is_dir() else []
        near = nearest(file.name, beside)
        raise InputError(
            f"{key}.file: there is no file {file}", mapping, cure=f"Did you mean {near!r}?" if near else None
        )
    columns = part.columns()
    table = open_table(file, _dialect(file, part, columns))
    places = [_place(mapping, f"{key}.{name}", table, column) for name, column in columns.items()]
    return _Opened(part, table, list(columns), places, most)


def _dialect(file: Path, part: Part, columns: dict[str, str | int]) -> Dialect:
    if is_parquet(file):
        return Dialect()
    delimiter, encoding = sniff(file) if part.delimiter is None or part.encoding is None else ("", "")
    header = any(isinstance(column, str) for column in columns.values()) if part.header is None else part.header
    return Dialect(part.delimiter or delimiter, part.encoding or encoding, header, part.quote, part.null)


def _place(mapping: Path, key: str, table: Table, column: str | int) -> int:
    """The position of a column."""
    columns = table.columns
    if isinstance(column, int):
        if column > len(columns):
            raise InputError(f"{key}: {table.file} has only {len(columns)} columns, and no column {column}", mapping)
        return column - 1
    if columns.count(column) == 1:
        return columns.index(column)
    if column in columns:
        raise InputError(
            f"{key}: {table.file} has {columns.count(column)} columns named {column!r}",
            mapping,
            cure="Give its number from 1 instead",
        )
    near, shown = nearest(column, columns), ", ".join(columns[:30])
    raise InputError(
        f"{key}: {table.file} has no column {column!r}; its columns are {shown[:300]}",
        mapping,
        cure=f"Did you mean {near!r}?" if near else "Give a column's name, or its number from 1",
    )


class _Reading:
    """One pass over all parts of a mapping."""

    def __init__(self, source: Source, path: Path, mapping: Mapping, most: int | None) -> None:
        self.source, self.mapping = source, mapping
        self.parts = [_open(path, key, part, most) for key, part in mapping.parts()]
        self.users: set[str] = set()
        self.items: set[str] = set()
        self.entities: set[str] = set()
        self.kinds = {part.kind for part in mapping.entities}
        self.repeating = {opened.table.file.resolve() for opened in self.parts if isinstance(opened.part, Interactions)}

    def records(self) -> Iterator[Record]:
        readers: dict[type[Part], Callable[[Any], Iterator[Record]]] = {
            Users: self._users,
            Entities: self._entities,
            Items: self._items,
            Interactions: self._interactions,
            Facts: self._facts,
            Interests: self._interests,
        }
        for kind, read in readers.items():
            for opened in self.parts:
                if isinstance(opened.part, kind):
                    yield from read(opened)

    def _users(self, opened: _Opened[Users]) -> Iterator[Record]:
        repeats = opened.table.file.resolve() in self.repeating

        def read(row: dict[str, Any]) -> Iterator[Record]:
            user = _id(row["id"], "user's id")
            if not (repeats and user in self.users):
                self.users.add(user)
                yield User(user, _text(row.get("name")))

        return opened.rows(self.source, read)

    def _entities(self, opened: _Opened[Entities]) -> Iterator[Record]:
        def read(row: dict[str, Any]) -> Iterator[Record]:
            plain = _id(row["id"], "entity's id")
            yield Entity(_of_kind(opened.part.kind, plain), _text(row.get("name")) or plain)

        return opened.rows(self.source, read)

    def _items(self, opened: _Opened[Items]) -> Iterator[Record]:
        repeats = opened.table.file.resolve() in self.repeating
        facts = opened.part.facts
        null = opened.part.null

        def read(row: dict[str, Any]) -> Iterator[Record]:
            item = _id(row["id"], "item's id")
            if repeats and item in self.items:
                return
            self.items.add(item)
            yield Item(item, _text(row.get("name")) or item, _text(row.get("text")) or "")
            for relation, column in facts.items():
                yield from self._known(item, relation, column, row[f"facts.{relation}"], null)

        return opened.rows(self.source, read)

    def _known(
        self, item: str, relation: str, column: FactColumn, value: Any, null: tuple[str, ...]
    ) -> Iterator[Record]:
        """What one column says of an item."""
        if value is not None:
            for name in _things(value, column.separator, null):
                thing = _of_kind(column.kind or relation, name)
                yield from self._entity(thing, column.kind or relation, name)
                yield Fact(item, relation, thing)

    def _interactions(self, opened: _Opened[Interactions]) -> Iterator[Record]:
        part = opened.part
        clock, whole = _clock(part.time_format), SPLIT_NAMES[part.split_is or "train"]
        makes_items = not self.mapping.items

        def read(row: dict[str, Any]) -> Iterator[Record]:
            user, item = _id(row["user"], "user"), _id(row["item"], "item")
            split = _split(row["split"]) if part.split is not None else whole
            rating, at = _rating(row.get("rating")), clock(row.get("time"))
            if user not in self.users:
                yield from self._user(user)
            if makes_items and item not in self.items:
                self.items.add(item)
                yield Item(item, item)
            yield Interaction(user, item, split, rating, at)

        return opened.rows(self.source, read)

    def _facts(self, opened: _Opened[Facts]) -> Iterator[Record]:
        part = opened.part

        def read(row: dict[str, Any]) -> Iterator[Record]:
            relation = part.relation_is or _id(row["relation"], "relation")
            head, tail = _id(row["head"], "head"), _id(row["tail"], "tail")
            ends = _of_kind(part.head_kind, head), _of_kind(part.tail_kind, tail)
            yield from self._entity(ends[0], part.head_kind, head)
            yield from self._entity(ends[1], part.tail_kind, tail)
            yield Fact(ends[0], relation, ends[1])

        return opened.rows(self.source, read)

    def _interests(self, opened: _Opened[Interests]) -> Iterator[Record]:
        known: set[str] = set()

        def read(row: dict[str, Any]) -> Iterator[Record]:
            user, interest = _id(row["user"], "user"), _id(row["interest"], "interest")
            yield from self._user(user)
            if interest not in known:
                known.add(interest)
                yield Interest(interest, _text(row.get("name")))
            yield HasInterest(user, interest)

        return opened.rows(self.source, read)

    def _user(self, user: str) -> Iterator[Record]:
        """The user, where it is new and there is no table of users."""
        if not self.mapping.users and user not in self.users:
            self.users.add(user)
            yield User(user)

    def _entity(self, thing: str, kind: str | None, name: str) -> Iterator[Record]:
        """The entity, where it is new, is no item, and there is no table of its kind."""
        if kind not in self.kinds and thing not in self.items and thing not in self.entities:
            self.entities.add(thing)
            yield Entity(thing, name)


def _of_kind(kind: str | None, identifier: str) -> str:
    return f"{kind}:{identifier}" if kind else identifier


def records(source: Source, path: Path, mapping: Mapping, most: int | None = None) -> Iterator[Record]:
    """Yield the records of a mapping.

    Args:
        source: counts and rejects rows.
        path: where the mapping stands, or will.
        mapping: what the files mean.
        most: rows that are read of each file; None for all.

    Raises:
        InputError: a file or a column is not there.
    """
    return _Reading(source, path, mapping, most).records()


def read(source: Source) -> Iterator[Record]:
    """Yield the records of the tables that a mapping file describes.

    Raises:
        InputError: the mapping is wrong, or a file or a column is not there.
    """
    mapping = load_mapping(source.path)
    source.field = mapping.field
    yield from records(source, source.path, mapping)


FORMAT = Format(
    name="table",
    help="A mapping file in TOML that says what the columns of CSV or Parquet files mean; `cikg import wizard` writes "
    "one.",
    read=read,
)

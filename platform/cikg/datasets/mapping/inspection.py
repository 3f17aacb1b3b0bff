"""What a table seems to hold: its dialect, its columns, and what their values look like, from its first rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any

from cikg.datasets.mapping.model import ISO, MILLISECONDS, SECONDS
from cikg.datasets.reading.source import Source
from cikg.datasets.reading.tabular import CsvTable, Dialect, is_parquet, numbered, open_table, sniff
from cikg.errors import InputError

LOOKED = 5_000
"""Rows at the beginning of a file that are looked at."""

MOST, HALF = 0.95, 0.5
"""Shares of values that have to be of a shape: data is rarely clean. Half of them are enough where a name says so."""

TRIED = 300
"""Values that are tried in many ways of writing a time."""

NULLS = ("NULL", "null", "NA", "N/A", "NaN", "nan", "None", "\\N", "?")
"""How programs write that there is no value, where an empty cell would do."""

_SEPARATORS = ("|", ";", ", ", ",")
_FORMATS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
    "%m %d, %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d %b %Y",
    "%d %B %Y",
    "%a %b %d %H:%M:%S %z %Y",
)
_FIRST_SECOND, _FIRST_MILLISECOND, _LAST_MILLISECOND = 10**8, 10**11, 10**13
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Column:
    """A column as it looks.

    Attributes:
        name: from the header; its number from 1 where there is none.
        position: from 0.
        values: of the first rows, as text; empty where there is none.
        is_list: whether it holds lists, as Parquet can.
    """

    name: str
    position: int
    values: Sequence[str]
    is_list: bool = False

    @cached_property
    def filled(self) -> list[str]:
        """The values that are there."""
        return [value for value in self.values if value and value not in NULLS]

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each value occurs."""
        return Counter(self.filled)

    @cached_property
    def is_unique(self) -> bool:
        """Whether hardly any value occurs twice, and hardly any is missing."""
        return len(self.counts) >= MOST * len(self.values)

    @cached_property
    def is_number(self) -> bool:
        """Whether most values are numbers."""
        return self.numbers >= MOST

    @cached_property
    def numbers(self) -> float:
        """The share of values that are numbers."""
        return self._share(_is_number)

    @cached_property
    def is_whole(self) -> bool:
        """Whether most values are whole numbers."""
        return self._share(lambda value: value.lstrip("-").isdecimal()) >= MOST

    @cached_property
    def is_row_number(self) -> bool:
        """Whether it numbers the rows: programs write such a column first, and give it no name."""
        return not self.name and self.position == 0 and self.is_whole and self.is_unique

    @cached_property
    def length(self) -> float:
        """Mean number of characters of a value."""
        return sum(map(len, self.filled)) / max(len(self.filled), 1)

    @cached_property
    def nulls(self) -> list[str]:
        """What stands for a missing value in a column of numbers."""
        return [word for word in NULLS if word in self.values] if self.numbers >= HALF else []

    @cached_property
    def time(self) -> tuple[str, float]:
        """How most of its values would be times, and the share of those that would."""
        if self.numbers >= HALF:
            seconds = self._share(_between(_FIRST_SECOND, _FIRST_MILLISECOND))
            milliseconds = self._share(_between(_FIRST_MILLISECOND, _LAST_MILLISECOND))
            return (SECONDS, seconds) if seconds >= milliseconds else (MILLISECONDS, milliseconds)
        ways = {ISO: datetime.fromisoformat} | {written: partial(_strptime, written) for written in _FORMATS}
        shares = {written: self._share(_parses(parse), TRIED) for written, parse in ways.items()}
        return max(shares.items(), key=lambda pair: pair[1])  # of equals, the first

    @cached_property
    def is_time(self) -> bool:
        """Whether most values are times."""
        return self.time[1] >= MOST

    @cached_property
    def separator(self) -> str | None:
        """What stands between several names in one value, if anything: the parts recur more than the wholes do."""
        for separator in _SEPARATORS:
            parts = [part.strip() for value in self.counts for part in value.split(separator)]
            if len(parts) >= 1.1 * len(self.counts) and len(set(parts)) < max(len(self.counts), 0.8 * len(parts)):
                return separator
        return None

    def _share(self, fits: Callable[[str], bool], tried: int | None = None) -> float:
        """The share of values that fit; 0 where there are none."""
        values = self.filled[:tried]
        return sum(map(fits, values)) / len(values) if values else 0.0


def _is_number(value: str) -> bool:
    return _NUMBER.fullmatch(value) is not None


def _between(first: int, last: int) -> Callable[[str], bool]:
    return lambda value: _is_number(value) and first <= float(value) < last


def _strptime(written: str, value: str) -> datetime:
    return datetime.strptime(value, written)


def _parses(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def fits(value: str) -> bool:
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return fits


@dataclass(frozen=True)
class Look:
    """A file as it looks.

    Attributes:
        file: where it is.
        dialect: how its text is read; None for Parquet.
        columns: in order.
        rows: how many rows were looked at.
    """

    file: Path
    dialect: Dialect | None
    columns: list[Column] = field(repr=False)
    rows: int

    def find(self, name: str) -> Column | None:
        """The column of this name, or of this number from 1."""
        for column in self.columns:
            if name and name == column.name:
                return column
        if name.isdecimal() and 1 <= int(name) <= len(self.columns):
            return self.columns[int(name) - 1]
        return None

    @property
    def meant(self) -> list[Column]:
        """The columns that may mean something: all but one that only numbers the rows."""
        return [column for column in self.columns if not column.is_row_number]

    @property
    def answers(self) -> tuple[str, ...]:
        """How a person may name each of the columns."""
        return tuple(map(self.answer, self.columns))

    def answer(self, column: Column) -> str:
        """How a person may name a column: by its number where its name is missing, another's too, or a list."""
        named = self.find(column.name) is column and "," not in column.name and column.name == column.name.strip()
        return column.name if named else str(column.position + 1)

    def reference(self, column: Column) -> str | int:
        """A column as a mapping names it: by its number where the file does not name it, or not it alone."""
        named = self.dialect is None or self.dialect.header
        unique = sum(other.name == column.name for other in self.columns) == 1
        return column.name if named and unique and column.name else column.position + 1


def look(file: Path, dialect: Dialect | None = None) -> Look:
    """Look at a file.

    Args:
        file: CSV, perhaps packed, or Parquet.
        dialect: how to read it; without, that is found out.

    Raises:
        InputError: it is not there, cannot be read, or has no rows.
    """
    if not file.is_file():
        raise InputError(f"{file} is not a file", cure="Give the paths of the files that hold the data")
    if is_parquet(file):
        return _columns(file, None)
    if dialect is not None:
        return _columns(file, dialect)
    delimiter, encoding = sniff(file)
    plain = Dialect(delimiter, encoding, header=False)
    if _unreadable(file, plain) > _unreadable(file, replace(plain, quote="")):
        plain = replace(plain, quote="")
    found = _columns(file, plain)
    return _columns(file, replace(plain, header=True)) if _has_header(found) else found


def _unreadable(file: Path, dialect: Dialect) -> int:
    """How many of the first rows cannot be read in a dialect."""
    source = Source(file)
    table = CsvTable(file, dialect)
    for _ in islice(table.rows(source, []), LOOKED):
        pass
    return source.rejections


def _columns(file: Path, dialect: Dialect | None) -> Look:
    table = open_table(file, dialect or Dialect())
    rows = list(islice(table.rows(Source(file), range(len(table.columns))), LOOKED))
    if not rows:
        raise InputError("it has no row that can be read", file)
    columns = [
        Column(
            name,
            position,
            [_shown(row[position]) for row in rows],
            is_list=any(isinstance(row[position], list) for row in rows),
        )
        for position, name in enumerate(table.columns)
    ]
    header = dialect.header if isinstance(table, CsvTable) and dialect else True
    names = table.columns if header else numbered(len(columns))
    return Look(
        file, dialect, [replace(column, name=name) for column, name in zip(columns, names, strict=True)], len(rows)
    )


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return "|".join(map(str, value)) if isinstance(value, list) else str(value).strip()


def _has_header(found: Look) -> bool:
    """Whether the first row looks like names: neither numbers nor times, and unlike what stands below.

    Where numbers or times stand below others, some names may be missing or there twice.
    """
    first = [replace(column, name=column.values[0], values=column.values[:1]) for column in found.columns]
    below = [
        replace(column, name=name.name, values=column.values[1:])
        for column, name in zip(found.columns, first, strict=True)
    ]
    named = [column for column in below if column.name]
    if 2 * len(named) < len(below) or any(column.is_number or column.is_time for column in first):
        return False
    if any(column.is_number or column.is_time for column in named):
        return True
    nameless = [column for column in below if not column.name and column.filled and not column.is_row_number]
    if nameless or len({column.name for column in named}) < len(named):
        return False
    return all(column.name not in column.counts and len(column.name) <= 40 for column in named)

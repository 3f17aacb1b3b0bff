"""Files with rows and columns, CSV or Parquet, read through a `Source` one row after another."""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl
import polars.selectors as cs

from cikg.datasets.reading.packed import PACKED, opened
from cikg.datasets.reading.source import Source
from cikg.errors import InputError

SNIFFED = 2**18
"""Bytes at the beginning of a file that its dialect is read from."""

BATCH = 2**17
"""Rows of a Parquet file that are in memory at a time."""

_DELIMITERS = ("\t", ",", ";", "|", "::")
_PARQUET = (".parquet", ".pq")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Dialect:
    """How the text of a CSV file is to be read.

    Attributes:
        delimiter: what stands between two columns; of more than one character (`::`), nothing is quoted.
        encoding: of the text.
        header: whether the first row names the columns.
        quote: the character around a value that contains the delimiter; empty where none is used.
        null: values that mean that there is none.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    header: bool = True
    quote: str = '"'
    null: tuple[str, ...] = ("",)


class Table(Protocol):
    """A file with columns.

    Attributes:
        file: where it is.
        columns: their names; their numbers from 1 where the file does not name them.
    """

    file: Path
    columns: list[str]

    def rows(self, source: Source, places: Sequence[int | None]) -> Iterator[list[Any]]:
        """Yield each row's values of some columns, None where there is no value or no column.

        Args:
            source: rejects rows of another width, and knows where the reader is.
            places: positions of columns, from 0.
        """
        ...


def is_parquet(file: Path) -> bool:
    """Whether a file is Parquet, by its ending.

    Raises:
        InputError: it is Parquet that was packed once more, which no reader can go through in parts.
    """
    if file.suffix in PACKED and Path(file.stem).suffix.lower() in _PARQUET:
        raise InputError(f"a Parquet file cannot be read from {file.suffix}", file, cure="Unpack it first")
    return file.suffix.lower() in _PARQUET


def open_table(file: Path, dialect: Dialect) -> Table:
    """Open a file and read the names of its columns.

    Args:
        file: CSV in any dialect, perhaps with the ending `.gz` or `.zst`; or Parquet.
        dialect: of a CSV file.

    Raises:
        InputError: it does not exist, or cannot be read.
    """
    return ParquetTable(file) if is_parquet(file) else CsvTable(file, dialect)


class CsvTable:
    """A CSV file."""

    def __init__(self, file: Path, dialect: Dialect) -> None:
        self.file, self.dialect = file, dialect
        source = Source(file)
        first = next(self._read(source), None)
        if first is None:
            raise InputError(source.no_row(), file)
        self.columns = [cell.strip() for cell in first] if dialect.header else numbered(len(first))

    def rows(self, source: Source, places: Sequence[int | None]) -> Iterator[list[Any]]:
        """See `Table`."""
        rows = self._read(source)
        if self.dialect.header:
            source.header(rows)
        null, width = frozenset(self.dialect.null), len(self.columns)
        for row in rows:
            if len(row) != width:
                source.reject(f"expected {width} columns, found {len(row)}")
                continue
            yield [None if place is None or row[place].strip() in null else row[place] for place in places]

    def _read(self, source: Source) -> Iterator[list[str]]:
        delimiter, encoding, quote = self.dialect.delimiter, self.dialect.encoding, self.dialect.quote
        if len(delimiter) > 1:
            return (line.split(delimiter) for line in source.lines(self.file, encoding))
        quoting = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
        return source.csv(self.file, encoding, delimiter=delimiter, quotechar=quote or None, quoting=quoting)


class ParquetTable:
    """A Parquet file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self.schema = dict(self._scan().collect_schema())
        except (OSError, pl.exceptions.PolarsError) as error:
            raise _unreadable(file, error) from None
        self.columns = list(self.schema)

    def rows(self, source: Source, places: Sequence[int | None]) -> Iterator[list[Any]]:
        """See `Table`. What counts as a line is a row's number from 1."""
        names = sorted({self.columns[place] for place in places if place is not None})
        position = {self.columns.index(name): number for number, name in enumerate(names)}
        chosen = [None if place is None else position[place] for place in places]
        frame = self._scan().select(names).with_columns(cs.float().fill_nan(None))  # NaN: how pandas says "none"
        for start in range(0, self._height(), BATCH):
            try:
                batch = frame.slice(start, BATCH).collect()
            except (OSError, pl.exceptions.PolarsError) as error:
                raise _unreadable(self.file, error) from None
            for number, row in enumerate(batch.iter_rows(), start=start + 1):
                values = [None if place is None else row[place] for place in chosen]
                source.row(self.file, number, ", ".join(map(str, values)))
                yield values

    def _height(self) -> int:
        return int(self._scan().select(pl.len()).collect().item())

    def _scan(self) -> pl.LazyFrame:
        return pl.scan_parquet(self.file, glob=False)  # brackets in its name are no pattern


def numbered(count: int) -> list[str]:
    """The names of columns that have none."""
    return [str(number) for number in range(1, count + 1)]


def _unreadable(file: Path, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
    return InputError(f"it cannot be read as Parquet: {reason}", file)


def beginning(file: Path) -> bytes:
    """The first bytes of a file, unpacked.

    Raises:
        InputError: it cannot be read, is no text, or is UTF-16.
    """
    with opened(file) as stream:
        found = stream.read(SNIFFED)
    if found.startswith(_UTF_16):
        raise InputError("it is UTF-16 text", file, cure="Save it as UTF-8")
    if b"\0" in found:
        raise InputError("it is not text: it contains zero bytes", file, cure="Save it as CSV in UTF-8, or as Parquet")
    return found


def encoding_of(text: bytes) -> str:
    """The likeliest encoding of a text's beginning: UTF-8 if it can be, else what Windows or Latin-1 writes."""
    for encoding in ("utf-8", "cp1252"):
        try:
            codecs.getincrementaldecoder(encoding)().decode(text)  # not final: the cut may be within a character
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"


def delimiter_of(text: str) -> str:
    """The delimiter that cuts most lines into equally many columns; a comma where none does."""
    lines = [line for line in text.splitlines()[:100] if line.strip()]
    best, best_score = ",", (0.0, 1)
    for delimiter in _DELIMITERS:
        widths = Counter(map(len, _cut(lines, delimiter)))
        width, count = max(widths.items(), key=lambda pair: (pair[0] > 1, pair[1]), default=(1, 0))
        score = (round(count / widths.total(), 1), width) if width > 1 else (0.0, 1)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _cut(lines: list[str], delimiter: str) -> Iterator[list[str]]:
    if len(delimiter) > 1:
        yield from (line.split(delimiter) for line in lines)
    else:
        with suppress(csv.Error):  # a field is longer than any should be, so that the rest tells nothing
            yield from csv.reader((line + "\n" for line in lines), delimiter=delimiter)


def sniff(file: Path) -> tuple[str, str]:
    """A CSV file's delimiter and encoding, from its beginning.

    Raises:
        InputError: it cannot be read, or is UTF-16.
    """
    found = beginning(file)
    encoding = encoding_of(found)
    text = found.removeprefix(codecs.BOM_UTF8).decode(encoding, "replace")
    whole = text if len(found) < SNIFFED else text.rpartition("\n")[0]
    return delimiter_of(whole), encoding

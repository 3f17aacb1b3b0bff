r"""Book-Crossing: the folder with `BX-Book-Ratings.csv` and `BX-Books.csv`, or with `Ratings.csv` and `Books.csv`.

The published files have semicolons between quoted fields, `\"` for a quote within them, `&amp;` for an ampersand, and a
few rows whose quotes are broken; they are in Latin-1. Later copies have commas, `""` or UTF-8, other names, or no
header. All of these are read. A line is always a row, so that broken quotes cost one row and no more.

A rating of 0 says that a book was read, not how it was liked: it becomes an interaction without a rating. Facts are
`author`, `publisher` and `year`; years before printing or after 2005, when the books were gathered, are left out. A
book that was rated and is not in the list of books is named by its ISBN. Users have no names and only attributes, so
`BX-Users.csv` is not read.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cikg.datasets.reading.source import Source
from cikg.datasets.reading.values import Entities, decoded, needed, plain
from cikg.datasets.records import Format, Interaction, Item, Record, User

RATINGS = ("BX-Book-Ratings.csv", "BX-Ratings.csv", "Book-Ratings.csv", "Ratings.csv", "ratings.csv")
BOOKS = ("BX-Books.csv", "BX_Books.csv", "Books.csv", "books.csv")
EXPECTED = "a folder with BX-Book-Ratings.csv and BX-Books.csv, or with Ratings.csv and Books.csv"
FIRST_YEAR, LAST_YEAR = 1450, 2005

_NAMES = {
    "user": ("userid", "user"),
    "isbn": ("isbn", "bookid"),
    "rating": ("bookrating", "rating"),
    "title": ("booktitle", "title"),
    "author": ("bookauthor", "author"),
    "year": ("yearofpublication", "publicationyear", "year"),
    "publisher": ("publisher",),
}
"""What the columns are called in the files' headers, in lower case and letters alone."""

_MERGED = re.compile(r'\\?";')


class _Rows(NamedTuple):
    """The rows of a file, and where the columns stand that were asked for."""

    columns: list[int]
    rows: Iterator[list[str]]


def read(source: Source) -> Iterator[Record]:
    """Yield books and what is known of them, then users and further books where they are first named, and interactions.

    Raises:
        InputError: the path is no folder, a file is missing, or its header lacks a column.
    """
    ratings, books = needed(source, *RATINGS, expected=EXPECTED), needed(source, *BOOKS, expected=EXPECTED)
    known: set[str] = set()
    yield from _books(source, books, known)
    users: set[str] = set()
    (user_column, isbn_column, rating_column), rows = _rows(source, ratings, "user", "isbn", "rating")
    for row in rows:
        user, isbn = row[user_column].strip(), row[isbn_column].strip()
        try:
            rating = float(row[rating_column])
        except ValueError:
            source.reject(f"expected a number for the rating, found {row[rating_column][:40]!r}")
            continue
        if user not in users:
            users.add(user)
            yield User(user)
        if isbn not in known:
            known.add(isbn)
            yield Item(isbn, isbn)
        yield Interaction(user, isbn, rating=rating or None)


def _books(source: Source, file: Path, known: set[str]) -> Iterator[Record]:
    entities = Entities()
    columns, rows = _rows(source, file, "isbn", "title", "author", "year", "publisher")
    for row in rows:
        isbn, title, author, year, publisher = (row[column].strip() for column in columns)
        known.add(isbn)
        yield Item(isbn, plain(title) or isbn)
        yield from entities.facts(isbn, "author", [plain(author)])
        if year.isdecimal() and FIRST_YEAR <= int(year) <= LAST_YEAR:
            yield from entities.facts(isbn, "year", [year])
        yield from entities.facts(isbn, "publisher", [plain(publisher)])


def _rows(source: Source, file: Path, *wanted: str) -> _Rows:
    """Find the columns in the header; a file without one has them in the order of `wanted`.

    Raises:
        InputError: the file is empty, or its header lacks a column.
    """
    first = next(Source(file).lines(file, "latin-1"), None)
    if first is None:
        source.place(file, 0)
        source.wrong("the file is empty")
    delimiter = max(";,\t", key=first.count)
    header = [re.sub("[^a-z]", "", name.lower()) for name in _fields(first, delimiter, 0)]
    lines = source.lines(file, "latin-1")
    if not set(header) & set(_NAMES["isbn"]):
        if len(header) < len(wanted):
            source.place(file, 1, first)
            source.wrong(f"expected {len(wanted)} columns separated by semicolons or commas: {', '.join(wanted)}")
        return _Rows(list(range(len(wanted))), _parted(source, lines, delimiter, len(header)))
    next(lines)
    source.skip()
    columns = [next((header.index(name) for name in _NAMES[column] if name in header), -1) for column in wanted]
    if -1 in columns:
        missing = ", ".join(name for name, column in zip(wanted, columns, strict=True) if column == -1)
        source.wrong(f"the header has no column for {missing}")
    return _Rows(columns, _parted(source, lines, delimiter, len(header)))


def _parted(source: Source, lines: Iterator[str], delimiter: str, count: int) -> Iterator[list[str]]:
    for line in lines:
        row = _fields(decoded(line), delimiter, count)
        if len(row) == count:
            yield row
        else:
            source.reject(f"expected {count} columns, found {len(row)}")


def _fields(line: str, delimiter: str, count: int) -> list[str]:
    """The fields of a line, which should have `count` of them; 0 where that is unknown."""
    if '"' not in line:
        return line.split(delimiter)
    for escape in ("\\", None) if delimiter == ";" else (None,):
        try:
            row = next(csv.reader((line,), delimiter=delimiter, escapechar=escape, strict=True))
        except csv.Error:
            continue
        row = _mended(row, count)
        if count in (0, len(row)):
            return row
    inner = line.strip().removeprefix('"').removesuffix('"')
    return _mended([field.replace('\\"', '"') for field in inner.split(f'"{delimiter}"')], count)


def _mended(row: list[str], count: int) -> list[str]:
    r"""Part a title from its author again.

    `…)\";Michael Teitelbaum";"2000"` lost the quotes between them, in three rows of the published file; in copies with
    commas an empty field at the end makes up for it.
    """
    if len(row) in (count - 1, count) and len(row) > 3 and row[2].isdecimal() and _MERGED.search(row[1]):
        return [row[0], *_MERGED.split(row[1], maxsplit=1), *row[2:]][:count]
    return row


FORMAT = Format(
    name="book_crossing",
    help="The Book-Crossing folder: BX-Book-Ratings.csv and BX-Books.csv, or later copies with Ratings.csv, Books.csv.",
    read=read,
    field="books",
)

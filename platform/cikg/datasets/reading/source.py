"""What an importer reads: files, plain or packed, and the rows in them that cannot be used."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from cikg.datasets.reading.packed import PACKED, opened
from cikg.errors import InputError
from cikg.memory import available_memory

SHOWN = 300
"""Characters of a rejected row, and of the reason, that are kept."""

KEPT = 1_000
"""Rejected rows that a source keeps itself; it counts all, and hands each on."""

ADVANCE = 10_000
"""Rows read between two steps of the progress bar."""

LONGEST_LINE = 2**24
"""Bytes of a line; a file without ends of lines would have to be kept in memory as a whole."""

csv.field_size_limit(2**20)  # characters of a cell, by default 2**17: less than the longest text of an item

LEAST_MEMORY = 2**27
"""Bytes that have to be free: a process that takes the last ones is killed, and perhaps another one in its place."""

_NO_TEXT = "Check that it is text, and that each row is a line of its own"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot be used.

    Attributes:
        file: its file, as the person named it.
        line: its 1-based line, and 0 where the file has none (Parquet counts rows).
        reason: what was expected, and what was found.
        row: the beginning of its text.
    """

    file: Path
    line: int
    reason: str
    row: str


class _Line(NamedTuple):
    """A line as it stands in its file, with its end; `readable` is False where it is in another encoding."""

    number: int
    text: str
    readable: bool


class Source:
    """The file or folder that a format reads, and how far its reader has come.

    A reader goes through `lines`, `csv` or `json_lines`, yields records, and calls `reject` for a row that it cannot
    use, whose place the source knows. What makes the whole file unusable (a missing column) it raises with `wrong`.
    Memory stays bounded however many rows are rejected.

    Args:
        path: the file or folder; None where the format brings its own data.
        advance: called with the number of rows read since it was called last.
        left_out: called with each rejected row, and the number of rows read so far.

    Attributes:
        rows: how many rows were read.
        rejections: how many of them were rejected.
        rejected: the first of those.
        field: what the items are, where the source itself says so; its reader sets it.
        split: how the source was split, where that is to stay: what `AppliedSplit.as_dict` gave.
    """

    def __init__(
        self,
        path: Path | None,
        advance: Callable[[int], None] = lambda _count: None,
        left_out: Callable[[Rejected, int], None] = lambda _rejected, _rows: None,
    ) -> None:
        self._path = path
        self._advance = advance
        self._left_out = left_out
        self.rows = 0
        self.rejections = 0
        self.rejected: list[Rejected] = []
        self.field: str | None = None
        self.split: dict[str, Any] | None = None
        self._file = path or Path()
        self._line = 0
        self._text = ""
        self._is_rejected = False

    @property
    def path(self) -> Path:
        """The file or folder.

        Raises:
            InputError: none was given.
        """
        if self._path is None:
            raise InputError("this format needs a path")
        return self._path

    def again(self) -> Source:
        """The same files from their beginning, nothing counted or told: for a reader that needs two passes."""
        return Source(self._path)

    @property
    def line(self) -> int:
        """The 1-based line of the row that was read last; 0 where there is none."""
        return self._line

    def file(self, *names: str) -> Path:
        """The first of these files that the source's folder has, plain or packed; or the source itself if it is one.

        Raises:
            InputError: it has none of them.
        """
        found = self.optional(*names)
        if found is not None:
            return found
        cure = f"Expected a folder with {' or '.join(names)}"
        if not self.path.exists():
            raise InputError(f"{self.path} does not exist", cure=cure)
        if not self.path.is_dir():
            raise InputError(f"{self.path} is not a folder", cure=cure)
        raise InputError(f"{self.path / names[0]} is missing", cure=cure)

    def optional(self, *names: str) -> Path | None:
        """Like `file`, and None where there is none."""
        if self.path.is_file() and self.path.name in _spellings(names):
            return self.path
        candidates = (self.path / name for name in _spellings(names))
        return next((candidate for candidate in candidates if candidate.is_file()), None)

    def lines(self, file: Path, encoding: str = "utf-8") -> Iterator[str]:
        """Yield a file's lines that are not blank, without their ends. A line in another encoding is rejected.

        Args:
            file: the file, unpacked by its ending (`.gz`, `.zst`).
            encoding: of the text; a byte-order mark is skipped.

        Raises:
            InputError: the file cannot be read.
        """
        for number, line, readable in self._lines(file, encoding):
            text = line.rstrip("\r\n")
            if not text or text.isspace():
                continue
            self.row(file, number, text)
            if readable:
                yield text
            else:
                self.reject(f"the line is not {encoding.upper()} text")

    def csv(self, file: Path, encoding: str = "utf-8", **dialect: Any) -> Iterator[list[str]]:
        """Yield a file's rows that are not blank, its header among them; `header` takes that.

        Quotes are read strictly. One that is not closed costs its own line alone: the lines after it are read again.

        Args:
            file: as in `lines`.
            encoding: as in `lines`.
            **dialect: options of `csv.reader`: `delimiter`, `quotechar`, `quoting`, …

        Raises:
            InputError: the file cannot be read.
        """
        lines = _Rows(self._lines(file, encoding))
        reader = csv.reader(lines, **{"strict": True, **dialect})
        while True:
            lines.row.clear()
            reason = None
            try:
                row = next(reader, None)
            except csv.Error as error:
                row, reason = [], f"the row cannot be read: {error}"
                if "\r" in lines.text().rstrip("\r\n"):
                    reason = "its lines end with a carriage return alone: save it with line feeds"
                lines.back()
            if row is None:
                return
            if reason is None:
                if not row or (len(row) == 1 and not row[0].strip()):
                    continue
                if not lines.readable():
                    reason = f"the row is not {encoding.upper()} text"
            self.row(file, lines.row[0].number, lines.text())
            if reason is None:
                yield row
            else:
                self.reject(reason)

    def header(self, rows: Iterator[list[str]]) -> list[str]:
        """Take the first of a file's rows, which does not count as one: it is no data.

        Raises:
            InputError: there is none.
        """
        found = next(rows, None)
        if found is None:
            self.wrong(self.no_row())
        self.skip()
        return found

    def no_row(self) -> str:
        """Why a file gave no row at all."""
        return f"no row can be read: {self.rejected[-1].reason}" if self.rejected else "the file is empty"

    def json_lines(self, file: Path) -> Iterator[dict[str, Any]]:
        """Yield the objects of a file that has one JSON object a line; anything else on a line is rejected.

        Raises:
            InputError: the file cannot be read.
        """
        for text in self.lines(file):
            try:
                found = json.loads(text, parse_constant=_refuse_constant)
            except RecursionError:
                self.reject("expected a JSON object, found one that is nested too deeply")
                continue
            except json.JSONDecodeError as error:
                self.reject(f"expected a JSON object: {error.msg} at character {error.colno}")
                continue
            except ValueError as error:
                self.reject(f"expected a JSON object: {error}")
                continue
            if isinstance(found, dict):
                yield found
            else:
                self.reject(f"expected a JSON object, found {type(found).__name__}")

    def row(self, file: Path, line: int, text: str = "") -> None:
        """Say that a row was read. `lines` and its like do; a reader that reads a file by other means has to.

        Raises:
            InputError: hardly any memory is left.
        """
        self.place(file, line, text)
        self.rows += 1
        if self.rows % ADVANCE == 0:
            self._check_memory()
            self._advance(ADVANCE)

    def skip(self) -> None:
        """Say that the row that was read last is no row of data: a heading."""
        self.rows -= 1

    def place(self, file: Path, line: int, text: str = "") -> None:
        """Say where the reader is, where it goes back to rows that it kept."""
        self._file, self._line, self._text = file, line, text
        self._is_rejected = False

    def reject(self, reason: str) -> None:
        """Leave out the row that was read last. A row counts once, with the first reason."""
        if self._is_rejected:
            return
        self._is_rejected = self._line > 0
        rejected = Rejected(self._file, self._line, reason[:SHOWN], self._text.rstrip("\r\n")[:SHOWN])
        self.rejections += 1
        if len(self.rejected) < KEPT:
            self.rejected.append(rejected)
        self._left_out(rejected, self.rows)

    def wrong(self, reason: str, cure: str | None = None) -> NoReturn:
        """Give up: the row that was read last makes the whole file unusable.

        Raises:
            InputError: always, with file and line.
        """
        raise InputError(reason, self._file, self._line or None, cure)

    def _check_memory(self) -> None:
        """Give up before the system ends this process.

        Raises:
            InputError: hardly any memory is left.
        """
        if available_memory() < LEAST_MEMORY:
            raise InputError(
                f"this machine ran out of memory after {self.rows:,} rows",
                self._file,
                cure="Import a smaller part of it, or use a machine with more memory",
            )

    def _lines(self, file: Path, encoding: str) -> Iterator[_Line]:
        """All lines of a file, with their ends.

        Raises:
            InputError: the file cannot be read.
        """
        self.place(file, 0)
        with opened(file) as stream:
            for number, raw in enumerate(iter(partial(stream.readline, LONGEST_LINE), b""), start=1):
                if len(raw) == LONGEST_LINE and not raw.endswith(b"\n"):
                    raise InputError(f"the line is longer than {LONGEST_LINE:,} bytes", file, number, _NO_TEXT)
                line = raw.removeprefix(_BYTE_ORDER_MARK) if number == 1 else raw
                try:
                    text, readable = line.decode(encoding), True
                except UnicodeDecodeError:
                    text, readable = line.decode(encoding, "replace"), False
                yield _Line(number, text, readable)


class _Rows:
    """Lines for a `csv.reader`: keeps those of the row under way, and takes lines back.

    Attributes:
        row: the lines of the row under way.
    """

    def __init__(self, lines: Iterator[_Line]) -> None:
        self._lines = lines
        self._returned: list[_Line] = []
        self.row: list[_Line] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._returned.pop() if self._returned else next(self._lines)
        self.row.append(line)
        return line.text

    def back(self) -> None:
        """Keep the first line of the row; the others will be read again."""
        self._returned.extend(reversed(self.row[1:]))
        del self.row[1:]

    def readable(self) -> bool:
        """Whether all of the row is in the file's encoding."""
        return self.row[0].readable if len(self.row) == 1 else all(line.readable for line in self.row)

    def text(self) -> str:
        """The row as it stands in the file, with its end."""
        return self.row[0].text if len(self.row) == 1 else "".join(line.text for line in self.row)


def _spellings(names: tuple[str, ...]) -> list[str]:
    return [name + ending for name in names for ending in ("", *PACKED)]


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")

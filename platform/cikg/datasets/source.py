"""What an importer reads: files, plain or packed, and the rows in them that cannot be used."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

import zstandard

from cikg.errors import InputError

PACKED = (".gz", ".zst")
"""Endings of files that are unpacked as they are read."""

SHOWN = 300
"""Characters of a rejected row that are kept."""

ADVANCE = 10_000
"""Rows read between two steps of the progress bar."""


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


class Source:
    """The file or folder that a format reads, and how far its reader has come.

    A reader goes through `lines`, `csv` or `json_lines`, yields records, and calls `reject` for a row that it cannot
    use, whose place the source knows. What makes the whole file unusable (a missing column) it raises with `wrong`.

    Args:
        path: the file or folder; None where the format brings its own data.
        advance: called with the number of rows read since it was called last.
    """

    def __init__(self, path: Path | None, advance: Callable[[int], None] = lambda _count: None) -> None:
        self._path = path
        self._advance = advance
        self.rows = 0
        self.rejected: list[Rejected] = []
        self._file = path or Path()
        self._line = 0
        self._text = ""

    @property
    def path(self) -> Path:
        """The file or folder.

        Raises:
            InputError: none was given.
        """
        if self._path is None:
            raise InputError("this format needs a path")
        return self._path

    def file(self, *names: str) -> Path:
        """The first of these files that the source's folder has, plain or packed; or the source itself if it is one.

        Raises:
            InputError: it has none of them.
        """
        found = self.optional(*names)
        if found is None:
            wanted = " or ".join(names)
            raise InputError(f"{self.path / names[0]} is missing", cure=f"Expected a folder with {wanted}")
        return found

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
        try:
            with unpacked(file) as stream:
                for number, raw in enumerate(stream, start=1):
                    line = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
                    try:
                        text = line.decode(encoding).rstrip("\r\n")
                    except UnicodeDecodeError:
                        self.place(file, number, line.decode(encoding, "replace"))
                        self._count()
                        self.reject(f"the line is not {encoding.upper()} text")
                        continue
                    if text.strip():
                        self.place(file, number, text)
                        self._count()
                        yield text
        except (OSError, EOFError, zstandard.ZstdError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"it cannot be read: {reason}", file) from None

    def csv(self, file: Path, encoding: str = "utf-8", **dialect: Any) -> Iterator[list[str]]:
        """Yield a file's rows, its header among them.

        Args:
            file: as in `lines`.
            encoding: as in `lines`.
            **dialect: options of `csv.reader`: `delimiter`, `quotechar`, `quoting`, …

        Raises:
            InputError: the file cannot be read.
        """
        reader = csv.reader(self.lines(file, encoding), **dialect)
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                self.reject(f"the row cannot be read: {error}")
                continue
            if row is None:
                return
            yield row

    def json_lines(self, file: Path) -> Iterator[dict[str, Any]]:
        """Yield the objects of a file that has one JSON object a line; anything else on a line is rejected.

        Raises:
            InputError: the file cannot be read.
        """
        for text in self.lines(file):
            try:
                found = json.loads(text, parse_constant=_refuse_constant)
            except (ValueError, RecursionError) as error:
                self.reject(f"expected a JSON object: {error}")
                continue
            if isinstance(found, dict):
                yield found
            else:
                self.reject(f"expected a JSON object, found {type(found).__name__}")

    def place(self, file: Path, line: int, text: str = "") -> None:
        """Say where the reader is, where it does not go through `lines`, or goes back to rows that it kept."""
        self._file, self._line, self._text = file, line, text

    def reject(self, reason: str) -> None:
        """Leave out the row that was read last."""
        self.rejected.append(Rejected(self._file, self._line, reason, self._text[:SHOWN]))

    def wrong(self, reason: str, cure: str | None = None) -> NoReturn:
        """Give up: the row that was read last makes the whole file unusable.

        Raises:
            InputError: always, with file and line.
        """
        raise InputError(reason, self._file, self._line or None, cure)

    def _count(self) -> None:
        self.rows += 1
        if self.rows % ADVANCE == 0:
            self._advance(ADVANCE)


def unpacked(file: Path) -> BinaryIO:
    """Open a file for reading, unpacking it by its ending.

    Raises:
        OSError: it cannot be opened.
    """
    if file.suffix == ".gz":
        return cast("BinaryIO", gzip.open(file, "rb"))
    if file.suffix == ".zst":
        return cast("BinaryIO", zstandard.open(file, "rb"))
    return file.open("rb")


def _spellings(names: tuple[str, ...]) -> list[str]:
    return [name + ending for name in names for ending in ("", *PACKED)]


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")

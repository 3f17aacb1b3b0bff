"""What an import tells: rows read and rejected, with file, line and reason, and what became of the others."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn, Self

from cikg.datasets.reading.source import Rejected
from cikg.errors import InputError
from cikg.spreadsheet import harmless

MAX_REJECTED = 0.01
"""The share of rows that may be rejected where nothing else is said."""

HOPELESS = 10_000
"""Rejected rows after which a source that is mostly wrong is not read to its end."""

MOST_REASONS = 50
"""Reasons that are counted each by itself; what comes after them counts as one."""

OTHER = "other reasons"
REFUSED = "refused.csv"
"""The file of rejected rows of an import that was stopped because of them."""

_DETAIL = re.compile(
    r"""(?<!\w)'(?:[^'\\]|\\.)*'(?!\w)|(?<!\w)"(?:[^"\\]|\\.)*"(?!\w)|(?<!\w)[-+]?\d[\d.,]*(?:e[-+]?\d+)?(?!\w)""",
    re.IGNORECASE,
)


class TooManyRejectedError(InputError):
    """More rows of a source cannot be used than may be left out.

    Args:
        first: the first of them.
        count: how many there are.
        of: of how many rows, in words.
        share: which share of them that is, from 0 to 1.
        allowed: the share that may be left out.
        cure: what to do.

    Attributes:
        file: the CSV file that lists them; None where it is not kept.
    """

    def __init__(
        self, first: Rejected, count: int, of: str, *, share: float, allowed: float, cure: str, file: Path | None
    ) -> None:
        super().__init__(
            f"{first.reason}; {count:,} of {of} rows ({percent(share)}) cannot be used, and --max-rejected allows "
            f"{percent(allowed)}",
            first.file,
            first.line or None,
            cure=f"{cure}; {file_name(file)} lists them" if file else cure,
        )
        self.first, self.count, self.of, self.share, self.allowed, self.file = first, count, of, share, allowed, file


@dataclass
class Reason:
    """Why rows were rejected.

    Attributes:
        reason: without what differs from row to row: quoted values and numbers are `…`.
        rows: how many.
        file, line: where the first of them stands; line 0 where a source has none.
        example: its own reason in full.
    """

    reason: str
    rows: int
    file: str
    line: int
    example: str


@dataclass(frozen=True)
class ImportReport:
    """What an import found and did.

    Attributes:
        dataset, format, source: what was imported into what.
        run: the uid of the import's run.
        rows: rows read; 0 where the format reads no files.
        rejected: how many of them were left out because they could not be used.
        reasons: why, the most frequent first.
        rejected_file: the CSV file that lists them all; None where there are none.
        duplicates: repeated rows left out, by kind.
        left_out: what the person's own filters left out, by kind.
        counts: what was imported, by kind; interactions also by split.
        split: how they were split.
        relations: the relationship type of each relation.
        unchanged: True where the graph already held exactly this, and nothing was written.
        seconds: wall time.
    """

    dataset: str
    format: str
    source: str
    run: str
    rows: int
    rejected: int
    reasons: list[Reason]
    rejected_file: str | None
    duplicates: dict[str, int]
    left_out: dict[str, int]
    counts: dict[str, int]
    split: dict[str, Any]
    relations: dict[str, str]
    unchanged: bool = False
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return asdict(self) | {"accepted": self.rows - self.rejected}

    def as_json(self) -> str:
        """What of the report the import's run remembers: what was read and what became of it."""
        kept = ("rows", "accepted", "rejected", "reasons", "rejected_file", "duplicates", "left_out", "counts")
        found = self.as_dict()
        return json.dumps({name: found[name] for name in kept})


class Rejections:
    """The rows that an import leaves out: counted by reason, and listed in a CSV file.

    A context manager, at the end of which the file is gone unless `keep` was called.

    Args:
        folder: where the file is written; None for no file.
        share: the largest share of rows that may be rejected, from 0 to 1.
    """

    def __init__(self, folder: Path | None, share: float) -> None:
        if not 0 <= share <= 1:
            raise InputError(f"the largest share of rejected rows cannot be {share}", cure="Give a number from 0 to 1")
        self._folder = folder
        self._share = share
        self._first: Rejected | None = None
        self._reasons: dict[str, Reason] = {}
        self._file: IO[str] | None = None
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            Path(self._file.name).unlink(missing_ok=True)

    @property
    def reasons(self) -> list[Reason]:
        """Why, the most frequent first."""
        return sorted(self._reasons.values(), key=lambda reason: (-reason.rows, reason.reason))

    def add(self, rejected: Rejected, rows: int) -> None:
        """Count and list a row.

        Args:
            rejected: the row.
            rows: how many were read so far.

        Raises:
            InputError: most of many rows are rejected, so that there is no sense in reading on.
        """
        self._first = self._first or rejected
        self.count += 1
        kind = _DETAIL.sub("…", rejected.reason)
        if kind not in self._reasons and len(self._reasons) >= MOST_REASONS:
            kind = OTHER
        if kind not in self._reasons:
            self._reasons[kind] = Reason(kind, 0, file_name(rejected.file), rejected.line, rejected.reason)
        self._reasons[kind].rows += 1
        self._list(rejected)
        if self.count >= HOPELESS and self.count > max(self._share, 0.5) * rows:
            self._refuse(f"the first {rows:,}", rows, "Check that the format is the right one")

    def check(self, rows: int) -> None:
        """Stop an import whose source has too many rows that cannot be used.

        Args:
            rows: how many were read.

        Raises:
            InputError: more than the largest share of them were rejected; names the first.
        """
        if self.count > self._share * rows:
            share = min(math.ceil(100 * self.count / max(rows, self.count)) / 100, 1.0)
            self._refuse(f"{rows:,}", rows, f"Correct the source, or leave them out with --max-rejected {share:g}")

    def keep(self, name: str) -> Path | None:
        """Put the file of rejected rows in its place; None where there are none, or no folder for it.

        It replaces the one of an import that was refused before.
        """
        if self._folder is not None:
            (self._folder / REFUSED).unlink(missing_ok=True)
        if self._file is None or self._folder is None:
            return None
        self._file.close()
        path = Path(self._file.name).replace(self._folder / name)
        self._file = None
        return path

    def _refuse(self, of: str, rows: int, cure: str) -> NoReturn:
        first = self._first
        assert first is not None  # noqa: S101 - something was rejected
        path = self.keep(REFUSED)
        share = self.count / max(rows, self.count)
        raise TooManyRejectedError(first, self.count, of, share=share, allowed=self._share, cure=cure, file=path)

    def _list(self, rejected: Rejected) -> None:
        if self._folder is None:
            return
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed when the import ends
                "w", encoding="utf-8", errors="backslashreplace", newline="", dir=self._folder, delete=False
            )
            csv.writer(self._file).writerow(["file", "line", "reason", "row"])
        cells = (file_name(rejected.file), rejected.line, rejected.reason, rejected.row)
        csv.writer(self._file).writerow([harmless(cell) if isinstance(cell, str) else cell for cell in cells])


def file_name(path: Path) -> str:
    """A path as text, whatever bytes its name consists of."""
    return os.fsencode(path).decode("utf-8", "replace")


def percent(share: float) -> str:
    """`1.5 %` from .015."""
    return f"{100 * share:.3g} %"

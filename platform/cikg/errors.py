"""Every error a person can meet, as one tree.

    CikgError                     exit code 2 unless noted
    ├── InputError                a file, a row or an argument is wrong: says where
    │   ├── NotReadOnlyError      a statement writes or leaves the database where only reading is allowed
    │   ├── TooSlowError          a person's statement takes longer than it may
    │   └── TooLargeError         a person's statement needs more memory than it may have
    ├── SettingsError             a setting is missing or contradictory: names it
    ├── NotFoundError             a dataset, user, run or statement that does not exist
    ├── ConflictError             something else holds what is needed: a port, a lock, a running job
    │   └── DriftError            a database's schema is not what the files of `cypher/schema` make
    ├── ServiceError              a server did not answer as it should: names the setting
    │   ├── UnreachableError      nothing listens there
    │   ├── MemoryLimitError      a transaction needs more memory than the server gives one
    │   └── AuthenticationError   it listens and refuses our credentials
    ├── StatementError            a block in `cypher/` breaks its own declaration
    ├── SnapshotError             a snapshot or checkpoint is damaged: names the file
    └── JobError                  a job ended with failed subjects (exit code 1)

Each message is one sentence that says what is wrong; `cure` is one that says what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class CikgError(Exception):
    """Base of all errors that are shown to a person without a traceback.

    Args:
        message: one sentence, without a full stop at its end.
        cure: what the person can do about it, or None where nothing general can be said.
    """

    exit_code = 2

    def __init__(self, message: str, cure: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.message}. {self.cure}" if self.cure else self.message

    def as_dict(self) -> dict[str, str | None]:
        """The error as the `--json` output and the web pages show it."""
        return {"error": type(self).__name__, "message": self.message, "cure": self.cure}


class InputError(CikgError):
    """A file, a row or an argument is wrong.

    Args:
        message: what is wrong and what was expected.
        path: the file, where there is one.
        line: its 1-based line, where there is one.
        cure: what to do.
    """

    def __init__(
        self, message: str, path: Path | str | None = None, line: int | None = None, cure: str | None = None
    ) -> None:
        where = f"{path}:{line}: " if path is not None and line is not None else f"{path}: " if path else ""
        super().__init__(where + message, cure)
        self.path = path
        self.line = line


class NotReadOnlyError(InputError):
    """A statement writes, or does something else than reading the graph."""


class TooSlowError(InputError):
    """A person's statement takes longer than it may."""


class TooLargeError(InputError):
    """A person's statement needs more memory than the server gives one."""


class SettingsError(CikgError):
    """A setting is missing or contradicts another."""


class NotFoundError(CikgError):
    """What was asked for does not exist."""


class ConflictError(CikgError):
    """Something else holds a port, a lock or a name that is needed."""


class DriftError(ConflictError):
    """A database's schema is not what the files of `cypher/schema` make."""


class ServiceError(CikgError):
    """A server did not answer as it should."""


class UnreachableError(ServiceError):
    """Nothing answers at the configured address."""


class MemoryLimitError(ServiceError):
    """A transaction needs more memory than the server gives one."""


class AuthenticationError(ServiceError):
    """The server refuses the configured credentials."""


class StatementError(CikgError):
    """A Cypher block breaks its own declaration."""


class SnapshotError(CikgError):
    """A snapshot, checkpoint or manifest on disk is damaged."""


class JobError(CikgError):
    """A job ended, and some of its subjects failed."""

    exit_code = 1


def did_you_mean(name: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    """The cure for a name that is not known: the nearest one that is, or else another cure."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {near[0]!r}?" if near else otherwise

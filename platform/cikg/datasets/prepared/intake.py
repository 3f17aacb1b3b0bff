"""Imports that are prepared away from a command line: files that somebody sent, or a place on this machine.

Each has a folder of its own below the home, which its owner alone can read:

    uploads/<id>/import.json     what somebody wants; written whole, by who prepares it
                 files/          what was sent
                 stop            there once somebody cancelled it
                 progress.json   how far it is, and how it ended; written by the process that carries it out

A folder without `import.json` is that of an upload under way, or of one that broke off. Whoever works on a folder holds
a lock on it, so that a process that was killed is known by its lock being free.
"""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cikg.datasets.checking import Rules
from cikg.datasets.filters import Filters
from cikg.datasets.prepared.unpacking import MOST_FILES, OURS, Stream, keep, oversize, place, unpack
from cikg.datasets.report import MAX_REJECTED
from cikg.datasets.splits import SplitKind, SplitRule
from cikg.errors import ConflictError, InputError, NotFoundError
from cikg.files import alone, disk, write_file
from cikg.settings import Settings

KEPT_SECONDS = 24 * 60 * 60
"""How long an import is kept after anything happened to it."""

_ID = re.compile(r"[0-9a-f]{16}")
_REQUEST, _PROGRESS, _STOP, _FILES = "import.json", "progress.json", "stop", "files"
_MOST_LINKS = 10_000
_TRIES, _TRY_SECONDS = 10, 0.02


class Stage(StrEnum):
    """Where an import stands."""

    OPEN = "open"
    QUEUED = "queued"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"
    FAILED = "failed"
    DONE = "done"


STARTABLE = (Stage.OPEN, Stage.INTERRUPTED, Stage.CANCELLED, Stage.FAILED)
UNDER_WAY = (Stage.QUEUED, Stage.RUNNING)


class Choices(BaseModel):
    """What of the files is imported and how it is split, as the options of `cikg import` have it."""

    model_config = ConfigDict(extra="forbid")

    add: bool = Field(False, description="Add what is new to the dataset, and keep all that it holds")
    max_rejected: float = Field(MAX_REJECTED, ge=0, le=1, description="The share of rows that may be left out")
    min_rating: float | None = Field(
        None, allow_inf_nan=False, description="Leave out interactions rated lower than this"
    )
    core: int | None = Field(None, ge=1, le=2**31 - 1, description="Leave out users and items with fewer interactions")
    split: SplitKind | None = Field(None, description="How to split; by default as the source, or else at random")
    test_share: float | None = Field(None, ge=0, lt=1, description="Share of all interactions that becomes test")
    valid_share: float | None = Field(
        None, ge=0, lt=1, description="Share of the remaining interactions that becomes valid"
    )
    split_seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of a random split")

    def rules(self) -> Rules:
        """As the loader takes them.

        Raises:
            InputError: they contradict each other.
        """
        if self.add and (self.core or self.split or self.test_share is not None or self.valid_share is not None):
            raise InputError(
                "what is added to a dataset is neither split nor cut to its core: it becomes train",
                cure="Leave these options empty, or import everything under another name",
            )
        split = SplitRule(self.split, self.test_share, self.valid_share, self.split_seed)
        return Rules(split, Filters(self.min_rating, self.core), self.max_rejected)


class Request(BaseModel):
    """What somebody wants to import.

    Attributes:
        created_at: ISO time.
        actor: who prepares it.
        path: the file or folder of this machine; None where files are sent.
        format: a format's name; empty until one is chosen or found out.
        answers: to the wizard's questions, by their keys, where they are not its guesses.
        mapping: what the columns of tables mean, where it was given as a whole.
        dataset: the name to import it under.
        choices: what of it.
        queued_at: when it was started; None before.
        run: the uid of the run of the command that carries it out.
    """

    created_at: str
    actor: str
    path: str | None = None
    format: str = ""
    answers: dict[str, str] = {}
    mapping: dict[str, Any] | None = None
    dataset: str = ""
    choices: Choices = Choices()
    queued_at: str | None = None
    run: str | None = None


class Progress(BaseModel):
    """How far an import is, or how it ended.

    Attributes:
        state: running, done, failed or cancelled.
        step: what is being done: `reading`, `importing`, …
        done: rows of that step.
        total: of how many; None where that is not known.
        message: what went wrong, one sentence.
        cure: what to do about it.
        report: as `cikg import --json` prints it.
        rejected_file: the CSV file of rows that were left out, or because of which nothing was written.
    """

    state: Stage
    step: str = ""
    done: int = 0
    total: int | None = None
    message: str | None = None
    cure: str | None = None
    report: dict[str, Any] | None = None
    rejected_file: str | None = None


class Intake:
    """One import that is prepared, under way or over.

    Attributes:
        id: its key.
        folder: its folder.
        files: the folder of what was sent.
        most: the most bytes that may be sent.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self.id, self.folder, self.files, self.most = folder.name, folder, folder / _FILES, most

    @property
    def request(self) -> Request:
        """What is wanted.

        Raises:
            NotFoundError: it is gone.
        """
        try:
            return Request.model_validate_json((self.folder / _REQUEST).read_bytes())
        except FileNotFoundError:
            raise _gone(self.id) from None

    @property
    def progress(self) -> Progress | None:
        """How far it is; None before a worker took it."""
        try:
            return Progress.model_validate_json((self.folder / _PROGRESS).read_bytes())
        except FileNotFoundError:
            return None

    @property
    def stage(self) -> Stage:
        """Where it stands."""
        found = self.progress
        if self.request.queued_at is None:
            return Stage.OPEN
        if found is None:
            return Stage.CANCELLED if self.stopped else Stage.QUEUED
        if found.state is Stage.RUNNING and not _is_held(self.folder):
            return self._ended_or_interrupted()
        return found.state

    def _ended_or_interrupted(self) -> Stage:
        """The state once no lock is held: what was written before it was given back counts."""
        found = self.progress
        if found is None or found.state is not Stage.RUNNING:
            return found.state if found else Stage.QUEUED
        return Stage.CANCELLED if self.stopped else Stage.INTERRUPTED

    @property
    def stopped(self) -> bool:
        """Whether somebody cancelled it."""
        return (self.folder / _STOP).exists()

    def change(self, **fields: Any) -> Request:
        """Change what is wanted.

        Raises:
            ConflictError: it is under way, or over.
            ServiceError: the disk is full.
        """
        if self.stage not in STARTABLE:
            raise ConflictError(f"this import is {self.stage}", cure="Prepare another one")
        return self._save(self.request.model_copy(update=fields))

    def start(self) -> None:
        """Count as queued from now on, and forget how it went before.

        Raises:
            ConflictError: it is under way, or over.
        """
        self.change(queued_at=_now())
        for name in (_PROGRESS, _STOP):
            (self.folder / name).unlink(missing_ok=True)

    def queued_as(self, run: str) -> None:
        """Remember the run of the command that carries it out."""
        self._save(self.request.model_copy(update={"run": run}))

    def withdraw(self) -> None:
        """Count as not started: nobody could be told that it was."""
        self._save(self.request.model_copy(update={"queued_at": None}))

    def stop(self) -> None:
        """Have it end; the process that carries it out notices within a second.

        Raises:
            ConflictError: it is not under way.
        """
        if self.stage not in UNDER_WAY:
            raise ConflictError(f"this import is {self.stage}", cure="Only one that is under way can be cancelled")
        (self.folder / _STOP).touch()

    def tell(self, progress: Progress) -> None:
        """Write down how far it is."""
        write_file(self.folder / _PROGRESS, progress.model_dump_json().encode())

    def sent(self) -> list[tuple[str, int]]:
        """What was sent: names and bytes."""
        found = sorted(path for path in self.files.rglob("*") if path.is_file() and not path.name.startswith(OURS))
        return [(path.relative_to(self.files).as_posix(), path.stat().st_size) for path in found]

    def put(self, name: str, stream: Stream) -> None:
        """Take a file that comes in pieces; a zip archive is unpacked.

        Raises:
            ConflictError: it is under way, or over, or reads from a path of the server.
            InputError: the name leads elsewhere, or the archive is damaged.
            OversizeError: it is too large.
            ServiceError: the disk is full.
        """
        left = self._room(name)
        self._opened(keep(self.files, name, stream, left), left)

    def take(self, name: str, file: Path) -> None:
        """Take a file that lies on the same disk already: as `put`, but it is moved."""
        left = self._room(name)
        if file.stat().st_size > left:
            raise oversize(name, left)
        self._opened(place(self.files, name, file), left)

    def _room(self, name: str) -> int:
        """How many bytes a file of this name may have."""
        is_made = (self.folder / _REQUEST).exists()
        if is_made and (self.request.path is not None or self.stage not in STARTABLE):
            raise ConflictError("this import takes no more files", cure="Prepare another one")
        sent = dict(self.sent())
        if len(sent) >= MOST_FILES:
            raise InputError(f"an import has at most {MOST_FILES:,} files", cure="Combine several files into one")
        return self.most - sum(size for other, size in sent.items() if other != name)

    def _opened(self, made: Path | None, left: int) -> None:
        """Unpack an archive."""
        if made is not None and made.suffix.lower() == ".zip":
            try:
                unpack(made, self.files, left)
            finally:
                made.unlink(missing_ok=True)

    def forget_files(self) -> None:
        """Remove what was sent."""
        shutil.rmtree(self.files, ignore_errors=True)

    def remove(self) -> None:
        """Remove it with all that was sent.

        Raises:
            ConflictError: it is under way.
        """
        with self.held():
            shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Work on it alone.

        Raises:
            ConflictError: another process does.
            NotFoundError: it is gone.
        """
        with ExitStack() as stack:
            for left in reversed(range(_TRIES)):  # who asks whether it is held, holds it for a moment
                try:
                    stack.enter_context(alone(self.folder, wait=False))
                    break
                except BlockingIOError:
                    if not left:
                        raise ConflictError("this import is under way", cure="Wait for it, or cancel it") from None
                    time.sleep(_TRY_SECONDS)
                except FileNotFoundError:
                    raise _gone(self.id) from None
            yield

    def _save(self, request: Request) -> Request:
        with disk(self.folder):
            write_file(self.folder / _REQUEST, request.model_dump_json().encode())
        return request


class Intakes:
    """All imports that are prepared below a home."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._home = settings, settings.uploads
        self._most = settings.upload_megabytes * 10**6

    @contextmanager
    def receive(self, actor: str, path: str | None = None, format: str = "") -> Iterator[Intake]:  # noqa: A002
        """Make one and yield it for its files; it is there for others once the block ends, or never.

        Args:
            actor: who prepares it.
            path: where it reads from, where no files are sent.
            format: the format's name; empty where it shall be found out.

        Raises:
            ServiceError: the disk is full.
        """
        made = Intake(self._home / secrets.token_hex(8), self._most)
        try:
            with disk(self._home):
                made.folder.mkdir(parents=True, mode=0o700)
                made.files.mkdir(mode=0o700)
            with made.held():
                yield made
                made._save(Request(created_at=_now(), actor=actor, path=path, format=format))
        except BaseException:
            shutil.rmtree(made.folder, ignore_errors=True)
            raise

    def create(self, actor: str, path: str | None = None, format: str = "") -> Intake:  # noqa: A002 - as above
        """Make one for a path of this machine, or (None) for files that will be sent one by one.

        Raises:
            InputError: nobody may import from there, or nothing is there.
        """
        with self.receive(actor, None if path is None else str(self.allowed(path)), format) as made:
            return made

    def open(self, identifier: str) -> Intake:
        """The one with this id.

        Raises:
            NotFoundError: there is none.
        """
        found = Intake(self._home / identifier, self._most)
        if not _ID.fullmatch(identifier) or not (found.folder / _REQUEST).is_file():
            raise _gone(identifier)
        return found

    def listed(self) -> list[Intake]:
        """All of them, the newest first."""
        folders = self._home.iterdir() if self._home.is_dir() else []
        found = [Intake(folder, self._most) for folder in folders if (folder / _REQUEST).is_file()]
        return sorted(found, key=lambda each: each.folder.stat().st_mtime, reverse=True)

    def sweep(self) -> int:
        """Remove those to which nothing happened for a day, and what is left of uploads that broke off."""
        removed = 0
        for folder in self._home.iterdir() if self._home.is_dir() else []:
            try:
                broken = not (folder / _REQUEST).exists()
                age = time.time() - max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
                if (age > 60 if broken else age > KEPT_SECONDS) and not _is_held(folder):
                    shutil.rmtree(folder, ignore_errors=True)
                    removed += 1
            except FileNotFoundError:  # somebody else sweeps too
                continue
        return removed

    @property
    def folders(self) -> list[Path]:
        """The folders of this machine that people may import from."""
        return [Path(name.strip()) for name in self._settings.import_folders.split(",") if name.strip()]

    def allowed(self, text: str) -> Path:
        """A path of this machine, if people may import from it.

        Whether anything is there is told of allowed folders alone.

        Raises:
            InputError: nobody may, or nothing is there.
        """
        if not self.folders:
            raise InputError(
                "this server does not allow imports from its own folders",
                cure="Upload the files, or set CIKG_IMPORT_FOLDERS to the folders that may be imported from",
            )
        path = Path(text.strip())
        if not text.isprintable() or not path.is_absolute() or ".." in path.parts or not self.contains(path):
            raise InputError(
                f"{text[:200]!r} is not below a folder that may be imported from",
                cure=f"The allowed folders are {', '.join(map(str, self.folders))}",
            )
        if not _exists(path):
            raise InputError(f"there is no file or folder {path}", cure="Check the path; upper and lower case differ")
        self._refuse_links(path)
        return path

    def contains(self, path: Path) -> bool:
        """Whether a path lies below an allowed folder once its links are followed."""
        whole = path.resolve()
        return any(whole.is_relative_to(folder.resolve()) for folder in self.folders)

    def _refuse_links(self, path: Path) -> None:
        for number, entry in enumerate(path.rglob("*") if path.is_dir() else ()):
            if number >= _MOST_LINKS:
                raise InputError(f"{path} holds more than {_MOST_LINKS:,} files", cure="Choose a folder inside it")
            if entry.is_symlink() and not self.contains(entry):
                raise InputError(f"{entry} is a link that leads out of {path}", cure="Put the file itself there")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a part of it is longer than names are
        return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _gone(identifier: str) -> NotFoundError:
    return NotFoundError(
        f"there is no import {identifier[:40]!r}",
        cure="Imports are kept for a day; the Import page lists those that are left",
    )


def _is_held(folder: Path) -> bool:
    """Whether a process works on an import."""
    try:
        with alone(folder, wait=False):
            return False
    except BlockingIOError:
        return True

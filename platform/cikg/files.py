"""Writes files and folders so that a reader sees them whole or not at all, whenever the power fails."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cikg.errors import ServiceError

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system calls a disk, or one person's share of it, that is full."""


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """Say in a sentence that the disk is full on which this block writes.

    Raises:
        ServiceError: it is.
    """
    try:
        yield
    except Exception as error:  # a library's own error says it in words alone
        if not (isinstance(error, OSError) and error.errno in FULL) and os.strerror(errno.ENOSPC) not in str(error):
            raise
        raise ServiceError(
            f"the disk that holds {folder} is full", cure="Make room on it, then do the same again; nothing is lost"
        ) from None


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to be filled; put it in place of `path` when the block ends without an error.

    It lies beside that place until then, and its files are synced before it is renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        new = temporary / "new"
        new.mkdir(mode=0o700)
        yield new
        for made in [*new.rglob("*"), new]:
            _sync(made)
        if path.exists():
            path.rename(temporary / "old")
        new.rename(path)
        _sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def alone(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Wait until no other process is in such a block for this folder, and keep others waiting until this one ends.

    Raises:
        BlockingIOError: without `wait`, another process is in one.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def identity(folder: Path) -> str:
    """What tells a folder from all others, on whatever machine and under whatever path it is seen.

    It is kept in the folder's file `identity`, and made when first asked for.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / "identity"
    with alone(folder):
        if not file.exists():
            write_file(file, secrets.token_hex(8).encode())
    return file.read_text(encoding="ascii")


def write_file(path: Path, content: bytes) -> Path:
    """Put a file that only this user can read in place of what is there; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        temporary.write_bytes(content)
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

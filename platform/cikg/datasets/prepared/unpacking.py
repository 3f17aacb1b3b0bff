"""Files that somebody sent: their names, their sizes, and what is packed in a zip archive. None of it is trusted."""

from __future__ import annotations

import os
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Protocol

from cikg.errors import InputError
from cikg.files import disk

MOST_FILES = 1_000
"""Files of one import, and entries of an archive."""

OURS = ".cikg-"
"""How files begin that are not of who sends: what is under way, and the mapping that answers make."""

_LONGEST_PART, _DEEPEST = 200, 6
_CHUNK = 2**20
_IGNORED = ("__MACOSX", ".DS_Store", "Thumbs.db")


class OversizeError(InputError):
    """More was sent than may be sent at once."""


class Stream(Protocol):
    """Bytes that come one after another."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many; none at the end."""
        ...


def inner_path(name: str) -> PurePosixPath | None:
    """Where a file of this name lies within the folder of an import; None for one that no import needs.

    Raises:
        InputError: it would lie elsewhere, or has characters that names do not have.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    parts = [part for part in path.parts if part != "."]
    if not parts or not name.isprintable() or path.is_absolute() or ".." in parts:
        raise InputError(f"{name[:100]!r} cannot be the name of a file of this import", cure="Give it a plain name")
    if len(parts) > _DEEPEST or any(len(part.encode()) > _LONGEST_PART for part in parts):
        raise InputError(
            f"the name {name[:100]!r} is too long, or has too many folders", cure="Give the file a shorter name"
        )
    if any(part in _IGNORED or part.startswith(("._", OURS)) for part in parts):
        return None
    return PurePosixPath(*parts)


def keep(folder: Path, name: str, stream: Stream, most: int) -> Path | None:
    """Write a stream into a folder, where it is seen whole or not at all; None where nobody needs it.

    Args:
        folder: the folder.
        name: the file's name, perhaps with folders.
        stream: its bytes.
        most: how many of them there may be.

    Raises:
        InputError: the name leads elsewhere.
        OversizeError: there are more.
        ServiceError: the disk is full.
    """
    if inner_path(name) is None:
        return None
    with disk(folder):
        descriptor, partial = tempfile.mkstemp(prefix=f"{OURS}part-", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                left = most
                while chunk := stream.read(_CHUNK):
                    left -= len(chunk)
                    if left < 0:
                        raise oversize(name, most)
                    file.write(chunk)
            return place(folder, name, Path(partial))
        finally:
            Path(partial).unlink(missing_ok=True)


def place(folder: Path, name: str, file: Path) -> Path | None:
    """Put a whole file, which lies on the same disk, where its name says; None where nobody needs it.

    Raises:
        InputError: the name leads elsewhere, or is a folder's.
    """
    inner = inner_path(name)
    if inner is None:
        return None
    target = folder / inner
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not target.is_dir():
            return file.replace(target)
    except (FileExistsError, NotADirectoryError):
        pass
    raise InputError(f"{name!r} is a file and a folder at once", cure="Give one of them another name")


def oversize(name: str, most: int) -> OversizeError:
    """The error for a file that is larger than what may still be sent."""
    return OversizeError(
        f"{name} is larger than the {_megabytes(most)} that may be sent",
        cure="Send less at once, or raise CIKG_UPLOAD_MEGABYTES",
    )


def unpack(archive: Path, folder: Path, most: int) -> None:
    """Unpack a zip archive into a folder.

    What the archive says of itself is not believed: bytes are counted as they come.

    Raises:
        InputError: it is damaged or encrypted, has too many entries, links, or names that lead out of the folder.
        OversizeError: it holds more than `most` bytes.
        ServiceError: the disk is full.
    """
    left = most
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = [entry for entry in packed.infolist() if not entry.is_dir()]
            if len(entries) > MOST_FILES:
                raise InputError(f"{archive.name} holds {len(entries):,} files", cure=f"Send at most {MOST_FILES:,}")
            for entry in entries:
                _refuse_odd(archive, entry)
            for entry in entries:
                with packed.open(entry) as stream:
                    made = keep(folder, entry.filename, stream, left)
                left -= made.stat().st_size if made else 0
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InputError(
            f"{archive.name} cannot be read as a zip archive: {error}",
            cure="Pack it again, or send the files themselves",
        ) from None


def _refuse_odd(archive: Path, entry: zipfile.ZipInfo) -> None:
    """Refuse what is no plain file."""
    shown = f"{archive.name}: {entry.filename[:100]!r}"
    if entry.flag_bits & 1:
        raise InputError(f"{shown} is encrypted", cure="Pack it without a password")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise InputError(f"{shown} is a link or a special file", cure="Pack the file itself")
    inner_path(entry.filename)


def _megabytes(count: int) -> str:
    return f"{count / 10**6:,.0f} MB" if count >= 10**6 else f"{max(count, 0):,} bytes"

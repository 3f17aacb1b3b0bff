"""Writes files and folders so that a reader sees them whole or not at all, whenever the power fails."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Put a folder with these files in place of what is there: written beside it, synced, then renamed.

    Args:
        path: the folder.
        files: content by file name.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        new = temporary / "new"
        new.mkdir(mode=0o700)
        for name, content in files.items():
            _write(new / name, content)
        _sync(new)
        if path.exists():
            path.rename(temporary / "old")
        new.rename(path)
        _sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_file(path: Path, content: bytes) -> Path:
    """Put a file that only this user can read in place of what is there; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        _write(temporary, content)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

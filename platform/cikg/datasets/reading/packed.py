"""Opens files as they are, or unpacks them while they are read, by their ending; errors are told in a sentence."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import zstandard
from typing_extensions import Buffer, override

from cikg.errors import InputError

PACKED = (".gz", ".zst")
"""Endings of files that are unpacked as they are read."""

MOST_TIMES = 200
"""How many times its own size a file may unpack to. A dataset's text packs to a tenth, very repetitive text to a
fiftieth; what was made to fill a machine packs to a thousandth, and with zstd to much less."""

SMALL = 2**28
"""Bytes that any file may unpack to, whatever its size: a quarter of a gigabyte."""

_CHUNK = 2**14
_BUFFER = 2**17


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacking it by its ending.

    Raises:
        InputError: it cannot be opened or read to its end, or it unpacks to far more than data does.
    """
    try:
        packed = _unpacked(file)
        with file.open("rb") if packed is None else io.BufferedReader(_Bounded(file, packed), _BUFFER) as stream:
            yield stream
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"it cannot be read: {reason}", file) from None


def _unpacked(file: Path) -> gzip.GzipFile | _Zstandard | None:
    """What is packed in a file; None where nothing is."""
    if file.suffix == ".gz":
        return gzip.GzipFile(file)
    return _Zstandard(file) if file.suffix == ".zst" else None


class _Bounded(io.RawIOBase):
    """What comes of a packed file, unless it is too much."""

    def __init__(self, file: Path, stream: gzip.GzipFile | _Zstandard) -> None:
        self._file, self._stream = file, stream
        self._left = max(SMALL, MOST_TIMES * file.stat().st_size)

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer) -> int:
        count = self._stream.readinto(buffer)
        self._left -= count
        if self._left < 0:
            raise InputError(
                f"it unpacks to more than {MOST_TIMES} times its size, which no data does",
                self._file,
                cure="If that is intended, unpack it yourself, and import the result",
            )
        return count

    @override
    def close(self) -> None:
        self._stream.close()
        super().close()


class _Zstandard(io.RawIOBase):
    """A file unpacked frame by frame. One that ends within a frame is an error, as it is with gzip."""

    def __init__(self, file: Path) -> None:
        self._stream = file.open("rb")
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._packed, self._ready = b"", memoryview(b"")
        self._is_between = True

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer) -> int:
        while not self._ready:
            packed = self._packed or self._stream.read(_CHUNK)
            if not packed and self._is_between:
                return 0
            if not packed:
                raise EOFError("the file ends too early")
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._ready = memoryview(self._frame.decompress(packed))
            self._is_between, self._packed = self._frame.eof, self._frame.unused_data
        count = min(len(memoryview(buffer)), len(self._ready))
        memoryview(buffer)[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    @override
    def close(self) -> None:
        self._stream.close()
        super().close()

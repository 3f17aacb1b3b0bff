"""A column of texts on disk: all of them as one run of UTF-8, and where each ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt


class Texts(Sequence[str]):
    """A sequence of texts of which only those that are looked at are read.

    Args:
        content: UTF-8; uint8, shape (bytes,).
        ends: where each text ends, the next beginning there; int64, shape (n,).
    """

    def __init__(self, content: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> None:
        self.content, self.ends = content, ends

    @classmethod
    def pack(cls, texts: Sequence[str]) -> Texts:
        """Make a column of texts."""
        encoded = [text.encode() for text in texts]
        lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), np.cumsum(lengths, dtype=np.int64))

    @classmethod
    def blank(cls, count: int) -> Texts:
        """So many empty texts, which take no memory."""
        return cls(np.empty(0, dtype=np.uint8), np.broadcast_to(np.int64(0), (count,)))

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[at] for at in range(*place.indices(len(self)))]
        at = range(len(self))[place]  # raises IndexError as a list does
        start = int(self.ends[at - 1]) if at else 0
        return bytes(self.content[start : int(self.ends[at])]).decode()

    def __iter__(self) -> Iterator[str]:
        content, start = bytes(self.content), 0
        for end in self.ends.tolist():
            yield content[start:end].decode()
            start = end

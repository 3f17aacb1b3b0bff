"""Answers that were given before, by their validators: a process need not make twice what cannot have changed.

A validator is a digest of the operation, the address, the dataset's version and what it serves, so that nothing here
is ever wrong; the longest unused goes first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

MOST_BYTES = 64 * 2**20


class Answers:
    """A bounded store, shared by the threads of a process."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._left = most_bytes

    def get(self, validator: str) -> bytes | None:
        """The answer with this validator."""
        with self._lock:
            if validator in self._kept:
                self._kept.move_to_end(validator)
            return self._kept.get(validator)

    def keep(self, validator: str, content: bytes) -> None:
        """Keep an answer, in the place of what was unused for longest."""
        with self._lock:
            self._left += len(self._kept.pop(validator, b"")) - len(content)
            self._kept[validator] = content
            while self._left < 0:
                self._left += len(self._kept.popitem(last=False)[1])

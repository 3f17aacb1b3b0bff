"""How far work is: shown to the person who asked for it, and told to the process that started this one.

A worker that carries out a command starts a process, and shows people what that tells.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

Advance = Callable[[int], None]
"""Says that so much more is done."""

Progress = Callable[[str, int | None], AbstractContextManager[Advance]]
"""Opens a progress bar: what is being done, and of how many in all, if that is known."""

FILE = "CIKG_PROGRESS"
"""Variable that names the file into which to write it; without it, nobody wants to know."""


def ignore(_count: int) -> None:
    """Where nobody watches."""


def silent(_description: str, _total: int | None) -> AbstractContextManager[Advance]:
    """A progress bar that nobody sees."""
    return nullcontext(ignore)


def tell(text: str) -> None:
    """Say in a few words how far it is."""
    if path := os.environ.get(FILE):
        Path(path).write_text(text, encoding="utf-8")

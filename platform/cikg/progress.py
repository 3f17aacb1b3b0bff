"""How far this process is, told to whoever started it: a worker that carries out a command shows it to people."""

from __future__ import annotations

import os
from pathlib import Path

FILE = "CIKG_PROGRESS"
"""Variable that names the file into which to write it; without it, nobody wants to know."""


def tell(text: str) -> None:
    """Say in a few words how far it is."""
    if path := os.environ.get(FILE):
        Path(path).write_text(text, encoding="utf-8")

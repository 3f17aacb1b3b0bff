"""What a shell proposes where a command takes a name: of a format, a method, a question, a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from cikg.errors import CikgError
from cikg.settings import load_settings

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def completing(names: Callable[[], Iterable[str]]) -> Complete:
    """A `shell_complete` that proposes those of some names that begin as what was typed."""

    def complete(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
        try:
            return [name for name in names() if name.startswith(begun)]
        except CikgError:  # a shell is no place for an error
            return []

    return complete


def trained() -> list[str]:
    """The trained runs of this home."""
    folder = load_settings(with_embedded=False).runs
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []

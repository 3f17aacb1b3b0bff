"""Finds the dataset formats: every module of this package that defines `FORMAT`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path

from cikg.datasets.records import Format
from cikg.errors import NotFoundError


@cache
def formats() -> dict[str, Format]:
    """All formats by name."""
    found: dict[str, Format] = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        definition = getattr(importlib.import_module(f"cikg.datasets.{module.name}"), "FORMAT", None)
        if isinstance(definition, Format):
            found[definition.name] = definition
    return dict(sorted(found.items()))


def format_named(name: str) -> Format:
    """The format called `name`.

    Raises:
        NotFoundError: there is none; lists those there are.
    """
    if name not in formats():
        raise NotFoundError(f"there is no dataset format {name!r}", cure=f"Use one of: {', '.join(formats())}")
    return formats()[name]

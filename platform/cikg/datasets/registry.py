"""Finds the dataset formats: every module of `cikg.datasets.formats` that defines `FORMAT`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from cikg.datasets import formats as package
from cikg.datasets.records import Format
from cikg.errors import NotFoundError, did_you_mean


@cache
def formats() -> dict[str, Format]:
    """All formats by name."""
    found: dict[str, Format] = {}
    for module in pkgutil.iter_modules(package.__path__):
        definition = getattr(importlib.import_module(f"cikg.datasets.formats.{module.name}"), "FORMAT", None)
        if isinstance(definition, Format):
            found[definition.name] = definition
    return dict(sorted(found.items()))


def format_named(name: str) -> Format:
    """The format called `name`.

    Raises:
        NotFoundError: there is none; names the nearest, or all.
    """
    if name not in formats():
        cure = did_you_mean(name, formats(), f"Use one of: {', '.join(formats())}")
        raise NotFoundError(f"there is no dataset format {name!r}", cure=cure)
    return formats()[name]

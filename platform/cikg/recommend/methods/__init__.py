"""One file a method; each is found by its name.

What stands here needs no torch, which takes seconds to load: a shell that completes a name and a page that lists them
all ask here.
"""

from __future__ import annotations

import ast
import pkgutil
from functools import cache
from pathlib import Path

from cikg.errors import NotFoundError


def names() -> list[str]:
    """The names of all methods."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


@cache
def summaries() -> dict[str, str]:
    """Each method in a sentence, by its name: how the file begins that it is defined in."""
    files = {name: Path(__path__[0], f"{name.replace('-', '_')}.py") for name in names()}
    said = {name: ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) for name, file in files.items()}
    return {name: (text or name).splitlines()[0] for name, text in said.items()}


def check(name: str) -> None:
    """See that there is a method called `name`.

    Raises:
        NotFoundError: there is none; lists those there are.
    """
    if name not in names():
        raise NotFoundError(f"there is no method named {name!r}", cure=f"Known methods: {', '.join(names())}")

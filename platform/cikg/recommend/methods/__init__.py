"""One file per method; each is found by its name.

What stands here needs no torch, which takes seconds to load: a shell that completes a name and a page that lists them
all ask here.
"""

from __future__ import annotations

import ast
import pkgutil
from functools import cache
from pathlib import Path

from cikg.errors import InputError, NotFoundError, did_you_mean


def names() -> list[str]:
    """The names of all methods."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


@cache
def summaries() -> dict[str, str]:
    """Each method in a sentence, by its name: how the file begins that it is defined in."""
    return {name: (ast.get_docstring(_parsed(name)) or name).splitlines()[0] for name in names()}


@cache
def searched() -> frozenset[str]:
    """The methods that say where `cikg tune` looks: whose `METHOD` is made with a `search`."""
    return frozenset(name for name in names() if any(_searches(node) for node in ast.walk(_parsed(name))))


def nothing_to_search(name: str) -> InputError:
    """The error for tuning a method that has no setting to search."""
    return InputError(f"{name} has no hyperparameters to search", cure=f"`cikg train {name} --list` shows those it has")


def check(name: str) -> None:
    """See that there is a method called `name`.

    Raises:
        NotFoundError: there is none; names the nearest, or all.
    """
    if name not in names():
        cure = did_you_mean(name, names(), f"The methods are {', '.join(names())}")
        raise NotFoundError(f"there is no method named {name!r}", cure=cure)


def _searches(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Method"):
        return False
    return any(given.arg == "search" for given in node.keywords)


@cache
def _parsed(name: str) -> ast.Module:
    return ast.parse(Path(__path__[0], f"{name.replace('-', '_')}.py").read_text(encoding="utf-8"))

"""The house rules that a linter cannot say: where Cypher stands, how long things are, what a start may load."""

from __future__ import annotations

import ast
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CYPHER = re.compile(
    r"\bMATCH\s*\w*\s*=?\s*\(|\b(?:MERGE|CREATE)\s*\(|\bUNWIND\s+\$|\bDETACH\s+DELETE\b"
    r"|\b(?:CREATE|DROP)\s+(?:CONSTRAINT|INDEX|FULLTEXT|VECTOR)\b|\bCALL\s+\w+\.|\bSHOW\s+[A-Z]+"
)
LONGEST_FILE = 500
LONGEST_FUNCTION = 60
LONG_FOR_A_REASON: dict[str, str] = {}
"""`path` or `path:function` → why it is better long than divided."""


def sources(*endings: str) -> list[Path]:
    """Files of the product (`platform`, `workers`, `web`), without what npm brought."""
    found = (path for folder in ("platform", "workers", "web") for path in (ROOT / folder).rglob("*"))
    return sorted(
        path
        for path in found
        if path.suffix in endings and not {"node_modules", "vendor", "__pycache__"} & set(path.parts)
    )


def all_python() -> list[Path]:
    return sources(".py") + sorted(path for path in (ROOT / "tests").rglob("*.py") if "node_modules" not in path.parts)


def is_docstring(node: ast.AST) -> bool:
    """Whether a statement is a string on its own: a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def strings(text: str) -> Iterator[tuple[int, str]]:
    """Lines and texts of a Python file's strings that are no docstrings."""
    tree = ast.parse(text)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and is_docstring(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def test_the_search_for_cypher_finds_cypher() -> None:
    """Every named statement of `cypher/` would be found if it stood elsewhere."""
    for path in (ROOT / "cypher").rglob("*.cypher"):
        for block in path.read_text(encoding="utf-8").split("// name: ")[1:]:
            assert CYPHER.search(block), f"{path.name}: {block}"


def test_no_cypher_outside_its_folder() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {text.strip()}"
        for path in sources(".py")
        for number, text in strings(path.read_text(encoding="utf-8"))
        if CYPHER.search(text)
    ]
    found += [str(path) for path in sources(".html", ".js") if CYPHER.search(path.read_text(encoding="utf-8"))]
    assert not found, "move these to cypher/ as named statements"


def test_platform_is_a_folder_and_no_package() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()
    assert platform.python_version().startswith("3."), "Python's own `platform` is what `import platform` gives"
    answer = subprocess.run(
        [sys.executable, "-c", "import platform; print(platform.__file__)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not Path(answer.stdout.strip()).is_relative_to(ROOT / "platform")


def functions(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, int]]:
    """Qualified names of functions and their lengths in lines, docstrings apart."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from functions(node, inside)
            continue
        name = f"{inside}.{node.name}".strip(".")
        if not isinstance(node, ast.ClassDef):
            first = node.body[0]
            begin = (first.end_lineno or 0) if is_docstring(first) else node.lineno - 1
            yield name, (node.end_lineno or 0) - begin
        yield from functions(node, name)


def test_files_and_functions_are_short() -> None:
    long = {}
    for path in all_python():
        where = str(path.relative_to(ROOT))
        text = path.read_text(encoding="utf-8")
        if (lines := text.count("\n")) > LONGEST_FILE:
            long[where] = lines
        long |= {f"{where}:{name}": size for name, size in functions(ast.parse(text)) if size > LONGEST_FUNCTION}
    assert set(long) == set(LONG_FOR_A_REASON), f"{long}: divide them, or give a reason above; drop reasons gone stale"


def test_no_handler_swallows_everything() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}))
        and not any(
            isinstance(inner, ast.Raise)
            or (isinstance(inner, ast.Attribute) and inner.attr in {"exception", "set_exception"})
            for inner in ast.walk(node)
        )
    ]
    assert not bare, "catch what can be named, or raise again, or hand it on, or log it with its traceback"


LISTS_METHODS = "web; from cikg.recommend import methods; methods.summaries()"


COMMANDS = ", ".join(f"cikg.cli.{path.stem}" for path in (ROOT / "platform/cikg/cli").glob("[!_]*.py"))
SLOW = ("torch", "transformers", "sklearn", "optuna")


@pytest.mark.parametrize(
    ("modules", "slow"),
    [
        ("workers.app, workers.tasks", (*SLOW, "flask")),
        (COMMANDS, (*SLOW, "openai", "aiohttp", "flask")),
        (LISTS_METHODS, (*SLOW, "openai", "aiohttp")),
    ],
    ids=["workers", "commands", "web"],
)
def test_starting_loads_nothing_slow(modules: str, slow: tuple[str, ...]) -> None:
    """Torch takes seconds and half a gigabyte, and each of these a part of a second: who needs one loads it."""
    code = f"import sys, {modules}; print(*sorted({{*{slow}}} & set(sys.modules)))"
    environment = os.environ | {"CIKG_REDIS_URL": "redis://127.0.0.1:9/0"}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert answer.stdout.strip() == ""


def test_imports_keep_their_direction() -> None:
    """The import-linter contracts of `pyproject.toml` hold."""
    linter = Path(sys.executable).with_name("lint-imports")
    answer = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout

"""The recipes of CONTRIBUTING.md work: their files are written into a copy of the tree, and their commands are run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TREE = ("platform", "workers", "web", "cypher", "tests", "pyproject.toml")
FILE = re.compile(r"^`([\w./-]+)`\n\n```\w+\n(.*?\n)```$", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^```sh\n(.*?)```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Recipe:
    """One section of the page."""

    title: str
    files: dict[str, str]
    commands: str


def recipes() -> dict[str, Recipe]:
    sections = re.split(r"^## ", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = {}
    for section in sections:
        title = section.splitlines()[0]
        files = dict(FILE.findall(section))
        if files:
            found[title] = Recipe(title, files, "".join(COMMANDS.findall(section)))
    return found


def copy_of_the_tree(directory: Path) -> Path:
    leave = shutil.ignore_patterns("__pycache__", "node_modules", ".cikg")
    for name in TREE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, directory / name, ignore=leave)
        else:
            shutil.copy(source, directory / name)
    return directory


def test_there_is_a_recipe_for_each_kind_of_part() -> None:
    assert list(recipes()) == ["Add a method", "Add a format", "Add a job", "Add a page"]


@pytest.mark.parametrize("title", ["Add a method", "Add a format", "Add a job", "Add a page"])
def test_recipe(title: str, tmp_path: Path, environment: dict[str, str]) -> None:
    recipe = recipes()[title]
    tree = copy_of_the_tree(tmp_path)
    for name, text in recipe.files.items():
        path = tree / name
        assert not path.exists(), f"{name} is part of the platform by now: the recipe needs another example"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    programs = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
    own = {"PYTHONPATH": f"{tree / 'platform'}{os.pathsep}{tree}", "PATH": programs, "PYTHONDONTWRITEBYTECODE": "1"}
    answer = subprocess.run(
        ["/bin/sh", "-euc", recipe.commands],
        cwd=tree,
        env=environment | own,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "no tests ran" not in answer.stdout
    written = [name for name in recipe.files if name.endswith(".py")]
    for check in (["check"], ["format", "--check"]):
        style = [sys.executable, "-m", "ruff", *check, *written]
        checked = subprocess.run(style, cwd=tree, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr

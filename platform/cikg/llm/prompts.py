"""Prompt templates: files in `prompts/` with declared inputs and a version.

A file::

    ---
    name: user_interests
    version: 1
    inputs: field, history
    ---
    # system
    Text that is the same for every subject comes first, so that servers can reuse what they computed for it.
    # user
    {{history}}

Inputs declared and placeholders used must be equal, and so must the values given when it is rendered.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from cikg.errors import CikgError, NotFoundError

_FILE = re.compile(r"---\n(?P<head>.*?)\n---\n\s*# system\n(?P<system>.*?)\n# user\n(?P<user>.*)", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_FIELDS = {"name", "version", "inputs"}


class PromptError(CikgError):
    """A template breaks its own declaration, or is rendered with other inputs than it declares."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt: what is sent, and which template made it."""

    name: str
    version: int
    messages: tuple[tuple[str, str], ...]  # (role, text)


@dataclass(frozen=True, slots=True)
class Template:
    """One prompt file.

    Attributes:
        name: its name, the file's without its ending.
        version: raised whenever the wording changes what can be answered.
        inputs: the placeholders' names.
        system: the message that opens the conversation; the same for every subject of a dataset.
        user: the message that holds the subject.
        digest: hexadecimal SHA-256 of the file, so that an edit without a new version is still noticed.
    """

    name: str
    version: int
    inputs: frozenset[str]
    system: str
    user: str
    digest: str

    def render(self, **values: str) -> Prompt:
        """Fill the placeholders. Values are put in once and never read for placeholders themselves.

        Raises:
            PromptError: a declared input is missing, or an undeclared one is given.
        """
        if set(values) != self.inputs:
            raise PromptError(
                f"the prompt {self.name!r} takes ({_listed(self.inputs)}) but was given ({_listed(values)})"
            )
        system, user = (_PLACEHOLDER.sub(lambda hit: values[hit[1]], text) for text in (self.system, self.user))
        return Prompt(self.name, self.version, (("system", system), ("user", user)))


def parse(text: str, path: Path) -> Template:
    """Read one template.

    Raises:
        PromptError: the front matter is incomplete, or inputs and placeholders differ.
    """
    found = _FILE.fullmatch(text)
    if found is None:
        raise PromptError(f"{path}: expected front matter between `---` lines, then `# system`, then `# user`")
    head = dict(_field(line, path) for line in found["head"].splitlines())
    if set(head) != _FIELDS or head["name"] != path.stem or not head["version"].isdecimal():
        raise PromptError(f"{path}: the front matter must give name ({path.stem}), version (a number) and inputs")
    declared = frozenset(part.strip() for part in head["inputs"].split(",") if part.strip())
    used = frozenset(_PLACEHOLDER.findall(found["system"] + found["user"]))
    if declared != used:
        raise PromptError(f"{path}: declares ({_listed(declared)}) but uses ({_listed(used)})")
    return Template(
        head["name"],
        int(head["version"]),
        declared,
        found["system"].strip(),
        found["user"].strip(),
        hashlib.sha256(text.encode()).hexdigest(),
    )


def names() -> list[str]:
    """The names of all templates."""
    return sorted(path.stem for path in _folder().glob("*.md"))


@cache
def template(name: str) -> Template:
    """The template called `name`.

    Raises:
        NotFoundError: there is no such file.
        PromptError: it breaks its own declaration.
    """
    path = _folder() / f"{name}.md"
    if not path.is_file():
        raise NotFoundError(f"there is no prompt named {name!r}")
    return parse(path.read_text(encoding="utf-8"), path)


def _folder() -> Path:
    return Path(str(files("cikg.llm"))) / "prompts"


def _field(line: str, path: Path) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise PromptError(f"{path}: {line!r} in the front matter is not `name: value`")
    return name.strip(), value.strip()


def _listed(names: frozenset[str] | Mapping[str, str]) -> str:
    return ", ".join(sorted(names))

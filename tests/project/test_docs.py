"""What the documentation states about the code is so."""

from __future__ import annotations

import ast
import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
from pydantic_core import PydanticUndefined

from cikg.cli import _main
from cikg.cli.import_ import _OTHERS
from cikg.datasets.registry import formats
from cikg.graph.questions import readable, signature
from cikg.settings import Settings, environment_name

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def settings_table() -> str:
    """The table of docs/settings.md, from the settings themselves."""
    lines = ["| environment | `cikg.toml` | default | meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = {"home": "`.cikg`", "cache": "your cache folder"}.get(name, f"`{field.default}`")
        if field.default in (None, "", PydanticUndefined) and name not in ("home", "cache"):
            default = "–"
        lines.append(f"| `{environment_name(name)}` | `{name}` | {default} | {field.description} |")
    return "\n".join(lines)


def test_settings_are_documented() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE)
    assert table.strip() == settings_table(), "paste this table into docs/settings.md:\n" + settings_table()


def test_formats_are_documented() -> None:
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE)) == set(formats())


def anchors(text: str) -> set[str]:
    """What a page's headings are called in an address."""
    return {re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-") for line in text.splitlines()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        found = page.parent / target if target else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found.read_text(encoding="utf-8")), f"{target}#{anchor}"


def command_lines(text: str) -> Iterator[list[str]]:
    """The arguments of each `cikg` that a page calls, in its code."""
    blocks = re.findall(r"^```(?:sh)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`(cikg [^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    for line in [*(line for block in blocks for line in block.splitlines()), *spans]:
        found = re.search(r"(?:^|\s|/)cikg (\S.*)", line)
        if found:
            yield shlex.split(found[1].replace("`", ""), comments=True)


def unknown_options(words: list[str]) -> list[str]:
    """Options in a command line that its command does not have; what `jobs queue` is given is a command, too."""
    command: click.Command = _main._root
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        inner = command.get_command(click.Context(command), words[0])
        if inner is None:
            break
        command, words = inner, words[1:]
        if command.name == "queue":
            return unknown_options(words)
    if words and command.name == "import":
        command = _OTHERS.get(words[0], command)
    if isinstance(command, click.Group):  # of `snapshot`, whose own command is `take`
        command = command.commands.get("take", command)
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    given = {word.partition("=")[0] for word in words if word.startswith("-") and not word.lstrip("-").isdigit()}
    return sorted(given - known - {"--help", "--version", "-"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_have_the_options_that_they_are_given(page: Path) -> None:
    wrong = {
        " ".join(words): found
        for words in command_lines(page.read_text(encoding="utf-8"))
        if (found := unknown_options(words))
    }
    assert not wrong


def test_commands_are_found_in_the_pages() -> None:
    assert sum(1 for page in PAGES for _ in command_lines(page.read_text(encoding="utf-8"))) > 200


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_settings_in_the_text_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if page.name == "CONTRIBUTING.md":
        text = text.split("## Add a method")[0]  # the recipes are carried out by a test of their own
    commands = set(re.findall(r"(?:`|^|bin/|web )cikg ([a-z]+)", text, re.MULTILINE))
    assert commands <= set(_main.COMMANDS)
    known = {environment_name(field) for field in Settings.model_fields}
    assert set(re.findall(r"\b(?:CIKG|OPENAI)_[A-Z0-9_]*[A-Z0-9]\b", text)) <= known
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z]+)", text, re.MULTILINE)) <= targets


def test_every_question_is_shown_with_its_parameters() -> None:
    text = (ROOT / "docs" / "queries.md").read_text(encoding="utf-8")
    shown = {re.sub("[`◇]", "", heading).strip() for heading in re.findall(r"^### (.*)$", text, re.MULTILINE)}
    assert shown == {signature(statement) for statement in readable() if statement.section}


def test_the_index_lists_every_page() -> None:
    listed = set(re.findall(r"\]\(([a-z_]+\.md)\)", (ROOT / "docs" / "README.md").read_text(encoding="utf-8")))
    assert listed == {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_the_picture_is_well_formed_and_described() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "architecture.svg").getroot()
    labels = {element.get("id"): element.text for element in picture.iter() if element.get("id")}
    names = picture.attrib["aria-labelledby"].split()
    assert names and all(labels[name] for name in names)


def imports_of_parts() -> dict[str, set[str]]:
    """Which parts of `cikg` each of them imports, seen in its statements."""
    found: dict[str, set[str]] = defaultdict(set)
    package = ROOT / "platform" / "cikg"
    for path in package.rglob("*.py"):
        part = path.relative_to(package).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "cikg":
                names = [alias.name for alias in node.names] if node.module == "cikg" else [node.module.split(".")[1]]
                found[part].update(names)
    return found


def test_the_table_of_parts_says_what_they_import() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `cikg/(\w+)(?:/|\.py)` \|.*\| ([^|]+) \|$", text, re.MULTILINE)
    told = {part: set(re.findall(r"`(\w+)`", names)) for part, names in rows if names != "all"}
    assert {"graph", "datasets", "extraction", "recommend"} < set(told)
    actual = imports_of_parts()
    assert told == {part: (actual[part] - {part}) & set(told) for part in told}

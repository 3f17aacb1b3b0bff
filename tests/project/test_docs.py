"""What the documentation states about the code is so."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pydantic_core import PydanticUndefined

from cikg.cli import _main
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        assert "://" in target or (page.parent / target).exists(), target
    anchors = {re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-") for line in text.splitlines()}
    for anchor in re.findall(r"\]\(#([^)]+)\)", text):
        assert anchor in anchors, anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_settings_in_the_text_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if page.name == "CONTRIBUTING.md":
        text = text.split("## Add a method")[0]  # the recipes are carried out by a test of their own
    commands = set(re.findall(r"(?:`|^|bin/|web )cikg ([a-z]+)", text, re.MULTILINE))
    assert commands <= set(_main._COMMANDS)
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
    assert all(labels[name] for name in picture.get("aria-labelledby", "").split())

"""Whoever sees little can tell a field's edge and a kind's mark from what they stand on: 3:1, as WCAG 1.4.11 wants."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import web

STYLE = (Path(web.__file__).parent / "static" / "style.css").read_text(encoding="utf-8")


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def colours(name: str) -> tuple[str, str]:
    """A token's colour in the light theme and in the dark one."""
    found = re.findall(r"#[0-9a-f]{6}", re.findall(rf"--{name}: ([^;]+);", STYLE)[0])
    return found[0], found[-1]


@pytest.mark.parametrize("ground", ["ground", "surface", "raised"])
@pytest.mark.parametrize("name", ["field", "user", "item", "entity", "interest", "intent", "focus"])
def test_marks_and_fields_stand_out(name: str, ground: str) -> None:
    for colour, under in zip(colours(name), colours(ground), strict=True):
        lighter, darker = sorted((luminance(colour), luminance(under)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 3


def test_fields_have_that_edge() -> None:
    rules = re.findall(
        r"^((?:input|select|[^{\n]*textarea)[^{\n]*)\{([^}]*border: 1px solid[^}]*)\}", STYLE, re.MULTILINE
    )
    edges = {selector.strip(): declared for selector, declared in rules if "button" not in selector}
    assert len(edges) >= 4
    assert [selector for selector, declared in edges.items() if "var(--field)" not in declared] == []

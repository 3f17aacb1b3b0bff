"""What readers of formats share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cikg.datasets.reading import loose
from cikg.datasets.reading.source import Source
from cikg.datasets.reading.values import (
    LONGEST_NAME,
    Entities,
    date_seconds,
    decoded,
    plain,
    seconds,
    unfamiliar,
    words,
)
from cikg.datasets.records import Entity, Fact

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(VALUES)
def test_what_python_printed_is_read(value: object) -> None:
    assert loose.parse(repr(value)) == value
    assert json.loads(loose._as_json(repr(value)), strict=False) == value, "without Python's literals, which are slow"


def test_what_python_2_printed_is_read() -> None:
    printed = r"""{u'asin': '0001', u'title': u"Bob's \u2122 \"menu\"", 'new': None, u'u': [True, 'u', u'True, u']}"""
    expected = {"asin": "0001", "title": 'Bob\'s ™ "menu"', "new": None, "u": [True, "u", "True, u"]}
    assert loose.parse(printed) == expected == json.loads(loose._as_json(printed))
    assert loose.parse("{1: ('a', 'b' 'c')}") == {1: ("a", "bc")}, "left to Python's literals"


@pytest.mark.parametrize(
    "text",
    [
        "{'a': print('x')}", "{'a': [1 for _ in 'x']}", "[" * 5_000, "-" * 50_000 + "1", "{'a': NaN}", "{'a': 'b}", "a",
        "{'a': '\\N{no such name}'}", "", "{'a': {}.get}", "9" * 5_000,
    ],
)  # fmt: skip
def test_nothing_is_run(text: str) -> None:
    with pytest.raises(ValueError):
        loose.parse(text)


def test_lines_that_hold_no_object_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("{'a': 1}\n{\"a\": 2}\n['a']\n{'a': '\\d'}\n{'a'\n", encoding="utf-8")
    source = Source(path)
    assert list(loose.objects(source, path)) == [{"a": 1}, {"a": 2}, {"a": "\\d"}]
    assert [rejected.line for rejected in source.rejected] == [3, 5]


@given(st.text())
def test_words_are_one_visible_line(text: str) -> None:
    name = words(text)
    assert name.isprintable() and name == name.strip() and len(name) <= LONGEST_NAME
    assert words(name) == name


def test_markup_is_left_out() -> None:
    assert plain("Tom &amp; <b class='x'>Jerry</b><!-- no --> I &lt;3 you, 2 < 3") == "Tom & Jerry I <3 you, 2 < 3"
    assert words("a" * 300) == "a" * (LONGEST_NAME - 1) + "…"


@pytest.mark.parametrize("text", ["Misérables", "“Ĳssel”", "Don’t"])
def test_text_is_decoded_as_what_it_is(text: str) -> None:
    for encoding in ("utf-8", "cp1252"):
        assert decoded(text.encode(encoding, "ignore").decode("latin-1")) == text.encode(encoding, "ignore").decode(
            encoding
        )
    assert decoded("Mis\xe9rables") == "Misérables"


def test_times() -> None:
    assert seconds("978300760") == seconds(978300760.0) == 978300760
    assert seconds(1588687728923) == 1588687728
    assert date_seconds("2018-07-07 22:09:11") == 1531001351
    assert date_seconds("1969-12-31") == -86_400
    for text in ("inf", "nan", "soon"):
        with pytest.raises(ValueError):
            seconds(text)


def test_an_entity_is_yielded_once() -> None:
    entities = Entities()
    first = list(entities.facts("1", "genre", [" Film\tNoir ", "", "N/A"]))
    assert first == [Entity("genre:Film Noir", "Film Noir"), Fact("1", "genre", "genre:Film Noir")]
    assert list(entities.facts("2", "genre", ["Film Noir"])) == [Fact("2", "genre", "genre:Film Noir")]
    assert next(entities.facts("2", "tag", ["Film Noir"])) == Entity("tag:Film Noir", "Film Noir")


def test_what_a_folder_holds_is_said(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"{number}.txt").touch()
    (tmp_path / "0").mkdir()
    said = str(unfamiliar(tmp_path, "a file"))
    assert said.endswith("holds 0.txt, 0/, 1.txt, 2.txt, 3.txt, 4.txt and 3 more. Expected a file")

"""The Steam dumps."""

from __future__ import annotations

from pathlib import Path

import pytest

from cikg.datasets.formats.steam import read
from cikg.datasets.reading.source import Source
from cikg.errors import InputError
from tests.unit.datasets.formats import small
from tests.unit.datasets.formats.small import put


def test_libraries(tmp_path: Path) -> None:
    found = small.read("steam", small.steam(tmp_path))
    assert found.items == {"10": "Counter-Strike", "30": "Poké ™", "4000": "Garry's Mod"}
    assert found.interactions == {
        ("7656", "10", "train"): (1.5, None),
        ("7656", "4000", "train"): (0.0, None),
        ("evcentric", "10", "train"): (0.1, None),
    }
    assert found.facts == {
        ("10", "genre", "genre:Action"),
        ("10", "genre", "genre:Design & Illustration"),
        ("10", "tag", "tag:FPS"),
        ("10", "spec", "spec:Multi-player"),
        ("10", "developer", "developer:Valve"),
        ("10", "publisher", "publisher:Valve"),
        ("10", "year", "year:2000"),
    }
    assert found.rejected == [("steam_games.json", 2)], "a game without an id; one described twice is no error"


def test_reviews(tmp_path: Path) -> None:
    found = small.read("steam", small.steam_reviews(tmp_path))
    assert found.interactions == {
        ("Chaos Syren", "10", "train"): (0.1, 1513468800),
        ("★Ann", "20", "train"): (None, 1514764800),
    }
    assert found.items == {"10": "Counter-Strike", "20": "20"}


def test_a_file_with_the_games_beside_it(tmp_path: Path) -> None:
    small.steam(tmp_path)
    small.steam_reviews(tmp_path)
    with pytest.raises(
        InputError, match=r"to choose from: australian_users_items, steam_reviews. Give the path of one"
    ):
        list(read(Source(tmp_path)))
    found = small.read("steam", tmp_path / "steam_reviews.json.gz")
    assert found.items == {"10": "Counter-Strike", "20": "20"}


def test_unusable_rows_are_rejected(tmp_path: Path) -> None:
    put(
        tmp_path / "steam_new.json",
        "{u'username': u'a', u'product_id': u'1', u'date': u'2017-12-17'}",
        "{u'username': u'a', u'product_id': u'1', u'date': u'yesterday'}",
        "{u'username': u'a', u'date': u'2017-12-17'}",
        "{u'username': u' ', u'product_id': u'1', u'date': u'2017-12-17'}",
        "{u'username': u'a', u'hours': u'many', u'product_id': u'1', u'date': u'2017-12-17'}",
        "{u'username': __import__('os')}",
    )
    found = small.read("steam", tmp_path)
    assert found.rejected == [("steam_new.json", line) for line in (2, 3, 4, 5, 6)]
    assert list(found.interactions) == [("a", "1", "train")]


def test_what_holds_no_libraries(tmp_path: Path) -> None:
    put(tmp_path / "steam_games.json")
    with pytest.raises(InputError, match=r"holds steam_games.json. Expected australian_users_items.json"):
        list(read(Source(tmp_path)))

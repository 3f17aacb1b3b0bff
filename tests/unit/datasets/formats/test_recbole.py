"""RecBole's atomic files."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cikg.datasets.formats.recbole import read
from cikg.datasets.reading.source import Source
from cikg.datasets.reading.values import words
from cikg.datasets.records import Item
from cikg.errors import InputError
from tests.unit.datasets.formats import small
from tests.unit.datasets.formats.small import put


def test_all_files(tmp_path: Path) -> None:
    found = small.read("recbole", small.recbole(tmp_path))
    assert found.users == {"u1": "Ann", "u2": None, "u3": "Cem"}
    assert found.items == {"10": "Toy Story", "20": 'The "Net"'}
    assert found.texts == {"10": "Toys, alive."}
    assert found.interactions == {
        ("u1", "10", "train"): (4.0, 978300760),
        ("u1", "20", "train"): (None, 1600000000),  # from milliseconds
        ("u2", "10", "train"): (3.5, None),
    }
    assert found.facts == {
        ("10", "release_year", "release_year:1995"),
        ("10", "class", "class:Animation"),
        ("10", "class", "class:Children's"),
        ("10", "genre", "genre:Drama"),
        ("10", "genre", "genre:Slice of Life"),  # the column has commas, so a blank parts nothing
        ("20", "genre", "genre:Slice of Life"),
        ("10", "film.film.genre", "m.comedy"),
        ("20", "film.film.genre", "m.comedy"),
        ("m.09", "film.film.sequel", "10"),  # linked to an item that nobody knows
        ("m.comedy", "film.genre.parent", "entity:10"),  # an entity with the id of an item
    }
    assert found.rejected == []


def test_splits_are_kept(tmp_path: Path) -> None:
    header = "user_id:token\titem_id:token"
    put(tmp_path / "b.train.inter", header, "u\t1")
    put(tmp_path / "b.valid.inter.gz", header, "u\t2")
    put(tmp_path / "b.test.inter", header, "u\t3", "v\t1")
    expected = {("u", "1", "train"), ("u", "2", "valid"), ("u", "3", "test"), ("v", "1", "test")}
    assert small.read("recbole", tmp_path).interactions.keys() == expected
    assert small.read("recbole", tmp_path / "b.test.inter").interactions.keys() == expected


def test_one_file_of_several(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put(tmp_path / f"{name}.inter", "session_id:token\tbook_id:token\tscore:float", f"u\t{name}\t1")
    put(tmp_path / "a.train.inter", "user_id:token\titem_id:token", "u\tother")
    with pytest.raises(InputError, match=r"several datasets: a, b. Give the path of one"):
        list(read(Source(tmp_path)))
    assert list(small.read("recbole", tmp_path / "a.inter").interactions) == [("u", "a", "train")]


@pytest.mark.parametrize(
    ("name", "lines", "said"),
    [
        ("ratings.csv", ["user,item"], r"holds ratings.csv. Expected NAME.inter"),
        ("a.inter", [], r"a.inter: the file is empty"),
        ("a.inter", ["user_id\titem_id"], r"a.inter:1: expected a header of names and types"),
        ("a.inter", ["user_id:token\tnode:token"], r"a.inter:1: expected a column item_id or .*, found user_id, node"),
    ],
)
def test_what_is_no_atomic_file(tmp_path: Path, name: str, lines: list[str], said: str) -> None:
    put(tmp_path / name, *lines)
    with pytest.raises(InputError, match=said):
        list(read(Source(tmp_path)))


def test_unusable_rows_are_rejected(tmp_path: Path) -> None:
    header = "user_id:token\titem_id:token\trating:float"
    put(tmp_path / "a.inter", header, "u\t1\t2", "u\t1", "u\t2\tgood", "\t2\t1", "v\t2\tinf")
    put(tmp_path / "a.item", "item_id:token\tname:token", "1\tEmma", "1\tEmmy", '2\t"Dune')
    found = small.read("recbole", tmp_path)
    assert found.items == {"1": "Emma", "2": "2"}
    assert found.rejected == [("a.item", 3), ("a.item", 4), *[("a.inter", line) for line in (3, 4, 5, 6)]]


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(lambda name: words(name) == name)


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_any_name_survives(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    folder = tmp_path_factory.mktemp("items")
    put(folder / "a.inter", "user_id:token\titem_id:token")
    with (folder / "a.item").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(["item_id:token", "title:token_seq"])
        writer.writerows(enumerate(names))
    source = Source(folder)
    assert list(read(source)) == [Item(str(number), name) for number, name in enumerate(names)]
    assert source.rejections == 0

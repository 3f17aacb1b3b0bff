"""MovieLens in each of its layouts."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cikg.datasets.formats.movielens import read
from cikg.datasets.reading.source import Source
from cikg.datasets.reading.values import words
from cikg.datasets.records import Item
from cikg.errors import InputError
from tests.unit.datasets.formats import small
from tests.unit.datasets.formats.small import put


def test_100k(tmp_path: Path) -> None:
    found = small.read("movielens", small.movielens_100k(tmp_path))
    assert found.users == {"196": None, "186": None}
    assert found.items == {"242": "Kolya (1996)", "267": "unknown", "300": "Misérables, Les"}
    assert found.facts == {
        ("242", "genre", "genre:Comedy"),
        ("242", "year", "year:1996"),  # the title's year, not that of the release on video
        ("300", "genre", "genre:Drama"),
        ("300", "genre", "genre:Sci-Fi"),
        ("300", "year", "year:1995"),
    }
    assert found.entities["genre:Sci-Fi"] == "Sci-Fi"
    assert found.interactions == {
        ("196", "242", "train"): (3.0, 881250949),
        ("186", "242", "train"): (4.0, 891717742),
        ("196", "267", "train"): (1.0, 881250950),
    }
    assert (found.rejected, found.rows) == ([], 6)


def test_1m(tmp_path: Path) -> None:
    found = small.read("movielens", small.movielens_1m(tmp_path))
    assert found.items == {
        "661": "James and the Giant Peach (1996)",
        "1193": "One Flew Over the Cuckoo's Nest (1975)",
        "73": "Misérables, Les (1995)",
        "9": "Rebuild: Evangelion:: 1.0 (2007- )",
    }
    assert ("661", "genre", "genre:Children's") in found.facts
    assert ("9", "year", "year:2007") in found.facts
    assert found.interactions[("2", "73", "train")] == (2.0, 978298151)
    assert (len(found.interactions), found.rejected) == (4, [])


def test_10m_is_in_another_encoding_and_has_tags(tmp_path: Path) -> None:
    put(tmp_path / "ratings.dat.zst", "1::122::5::838985046", "2::122::4.5::838985047")
    put(tmp_path / "movies.dat", "122::Misérables, Les (1995)::Drama")
    put(tmp_path / "tags.dat.gz", "1::122::Hugo::1", "2::122::hugo::2", "2::122::a::b::3", "3::122::a::B::4", "4::122")
    found = small.read("movielens", tmp_path)
    assert found.items == {"122": "Misérables, Les (1995)"}
    assert {fact for fact in found.facts if fact[1] == "tag"} == {
        ("122", "tag", "tag:hugo"),
        ("122", "tag", "tag:a::b"),
    }
    assert found.rejected == [("tags.dat.gz", 5)]


def test_csv(tmp_path: Path) -> None:
    found = small.read("movielens", small.movielens_csv(tmp_path))
    assert found.items["2"] == "American President, The (1995)"
    assert found.items["3"] == '"Great Performances" Cats (1998)'
    assert found.facts == {
        ("1", "genre", "genre:Adventure"),
        ("1", "genre", "genre:Comedy"),
        ("1", "tag", "tag:pixar"),  # two users agree on it; on "saw it" one insists
        ("1", "year", "year:1995"),
        ("2", "genre", "genre:Comedy"),
        ("2", "year", "year:1995"),
        ("3", "year", "year:1998"),
    }
    assert found.interactions == {("1", "1", "train"): (4.0, 964982703), ("2", "1", "train"): (0.5, 964982704)}


def test_unusable_rows_are_rejected(tmp_path: Path) -> None:
    small.movielens_1m(tmp_path)
    put(
        tmp_path / "ratings.dat", "1::1193::5::978300760", "1::661::good::3", "1::661", "1::4444::5::1", "1::73::nan::1"
    )
    put(tmp_path / "movies.dat", "1193::Nest (1975)::Drama", "661::Peach", "73::Misérables (1995)::Drama")
    found = small.read("movielens", tmp_path)
    assert found.rejected == [("movies.dat", 2), *[("ratings.dat", line) for line in (2, 3, 4, 5)]]
    assert list(found.interactions) == [("1", "1193", "train")]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "holds nothing. Expected a folder with u.data and u.item"),
        ({"ratings.dat": "", "README": ""}, r"holds README, ratings.dat. Expected a folder with u.data"),
        ({"ratings.csv": "user,item,rating\n", "movies.csv": "movieId,title,genres\n"}, r"ratings.csv:1: expected the"),
        (
            {"ratings.csv": "", "movies.csv": "movieId,title\n"},
            "movies.csv:1: expected the header movieId,title,genres",
        ),
    ],
)
def test_a_wrong_folder(tmp_path: Path, files: dict[str, str], said: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        list(read(Source(tmp_path)))


def test_a_path_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ml does not exist. Expected a folder"):
        list(read(Source(tmp_path / "ml")))
    with pytest.raises(InputError, match=r"ml-1m.zip is an archive. Unpack it"):
        list(read(Source(put(tmp_path / "ml-1m.zip"))))


TITLES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(lambda title: words(title) == title)


@given(TITLES, st.sampled_from(["ratings.dat", "ratings.csv", "u.data"]))
def test_any_title_survives(tmp_path_factory: pytest.TempPathFactory, title: str, release: str) -> None:
    folder = tmp_path_factory.mktemp("movies")
    if release == "ratings.dat":
        put(folder / release)
        put(folder / "movies.dat", f"7::{title}::Drama")
    elif release == "u.data":
        put(folder / release)
        put(folder / "u.item", f"7|{title}|01-Jan-1995||http://x.org" + "|0" * 19)
    else:
        row = io.StringIO()
        csv.writer(row).writerow(["7", title, "Drama"])
        put(folder / release, "userId,movieId,rating,timestamp")
        put(folder / "movies.csv", "movieId,title,genres", row.getvalue().rstrip("\r\n"))
    source = Source(folder)
    assert next(read(source)) == Item("7", title)
    assert source.rejections == 0

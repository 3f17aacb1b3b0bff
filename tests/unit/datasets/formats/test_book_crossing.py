"""Book-Crossing as published and in later copies."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cikg.datasets.formats.book_crossing import read
from cikg.datasets.reading.source import Source
from cikg.datasets.reading.values import words
from cikg.datasets.records import Item
from cikg.errors import InputError
from tests.unit.datasets.formats import small
from tests.unit.datasets.formats.small import put

HEADER = '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher"'


def test_as_published(tmp_path: Path) -> None:
    found = small.read("book_crossing", small.book_crossing(tmp_path))
    assert found.items == {
        "034545104X": 'Flesh Tones: "A Novel"; with more',
        "0155061224": "Rites of Passagé",
        "078946697X": "DK Readers: X-Men (Level 4)",
        "0425182908": "Back to C:\\",
        "0330332775": "0330332775",
    }
    assert found.facts == {
        ("034545104X", "author", "author:M. J. Rose"),
        ("034545104X", "year", "year:2002"),
        ("034545104X", "publisher", "publisher:Simon & Schuster"),
        ("0155061224", "author", "author:Judith Rae"),
        ("0155061224", "publisher", "publisher:Heinle"),
        ("078946697X", "author", "author:Michael Teitelbaum"),
        ("078946697X", "year", "year:2000"),
        ("078946697X", "publisher", "publisher:DK Publishing Inc"),
        ("0425182908", "author", "author:Isadora Alman"),
        ("0425182908", "publisher", "publisher:Berkley"),
    }
    assert found.interactions == {
        ("276725", "034545104X", "train"): (None, None),  # 0 is no rating
        ("276726", "0155061224", "train"): (5.0, None),
        ("276726", "078946697X", "train"): (8.0, None),
        ("276729", "0330332775", "train"): (3.0, None),
    }
    assert (found.rejected, found.rows) == ([], 8)


def test_a_later_copy_with_commas(tmp_path: Path) -> None:
    put(tmp_path / "Ratings.csv", "User-ID,ISBN,Book-Rating", "1,0789466953,7")
    put(
        tmp_path / "Books.csv",
        "ISBN,Book-Title,Book-Author,Year-Of-Publication,Publisher,Image-URL-S",
        r'0789466953,"DK Readers: X-Men, Again\"";James Buckley",2000,DK Publishing Inc,s,',
        '2,"Señor ""X""; a life",Ann,1999,Penguin,s',
    )
    found = small.read("book_crossing", tmp_path)
    assert found.items == {"0789466953": "DK Readers: X-Men, Again", "2": 'Señor "X"; a life'}
    assert ("0789466953", "author", "author:James Buckley") in found.facts
    assert ("0789466953", "year", "year:2000") in found.facts
    assert found.rejected == []


def test_a_copy_without_headers(tmp_path: Path) -> None:
    put(tmp_path / "BX-Book-Ratings.csv", "1;034545104X;0", "2;034545104X;9")
    put(tmp_path / "BX-Books.csv.gz", '"034545104X";"Tones";"M. J. Rose";"2002";"Ballantine"')
    found = small.read("book_crossing", tmp_path)
    assert found.items == {"034545104X": "Tones"}
    assert found.interactions[("2", "034545104X", "train")] == (9.0, None)
    assert (found.rejected, found.rows) == ([], 3)


def test_broken_quotes_cost_their_own_row_alone(tmp_path: Path) -> None:
    put(
        tmp_path / "Ratings.csv",
        '"User-ID";"ISBN";"Book-Rating"',
        '"1";"a";"3"',
        '"1";"b";"many"',
        '"1";"b',
        '"1";"b";"4"',
    )
    put(
        tmp_path / "Books.csv",
        HEADER,
        '"a";"Em"ma";"Jane";"1815";"Murray"',
        '"b";"Dune',
        '"c";"Kim";"Rudyard";"1901";""',
    )
    found = small.read("book_crossing", tmp_path)
    assert found.items == {"a": 'Em"ma', "b": "b", "c": "Kim"}
    assert found.rejected == [("Books.csv", 3), ("Ratings.csv", 3), ("Ratings.csv", 4)]


@pytest.mark.parametrize(
    ("ratings", "said"),
    [
        (None, r"holds Books.csv. Expected a folder with BX-Book-Ratings.csv"),
        ("", r"Ratings.csv: the file is empty"),
        ("ISBN,Book-Rating\n", r"Ratings.csv:1: the header has no column for user"),
        ("1 2 3\n", r"Ratings.csv:1: expected 3 columns"),
    ],
)
def test_a_wrong_folder(tmp_path: Path, ratings: str | None, said: str) -> None:
    put(tmp_path / "Books.csv", HEADER)
    if ratings is not None:
        (tmp_path / "Ratings.csv").write_text(ratings)
    with pytest.raises(InputError, match=said):
        list(read(Source(tmp_path)))


TITLES = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="&<>"), min_size=1).filter(
    lambda title: words(title) == title
)


@given(TITLES, st.sampled_from([";", ","]))
def test_any_title_survives(tmp_path_factory: pytest.TempPathFactory, title: str, delimiter: str) -> None:
    folder = tmp_path_factory.mktemp("books")
    put(folder / "Ratings.csv", "User-ID;ISBN;Book-Rating")
    dialect = {"escapechar": "\\", "doublequote": False} if delimiter == ";" else {}
    with (folder / "Books.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL, **dialect)
        writer.writerow(["ISBN", "Book-Title", "Book-Author", "Year-Of-Publication", "Publisher"])
        writer.writerow(["1", title, "Jane", "1815", "Murray"])
    source = Source(folder)
    assert next(read(source)) == Item("1", title)
    assert source.rejections == 0

"""Amazon Reviews of three releases."""

from __future__ import annotations

from pathlib import Path

import pytest

from cikg.datasets.formats.amazon import read
from cikg.datasets.reading.source import Source
from cikg.errors import InputError
from tests.unit.datasets.formats import small
from tests.unit.datasets.formats.small import json_lines, put


def test_2014(tmp_path: Path) -> None:
    found = small.read("amazon", small.amazon_2014(tmp_path))
    assert found.users == {"A1": "J. & K.", "A2": None}
    assert found.items == {"0000031852": 'Girls\' Ballet Tutu "Zebra"', "B00TLEMSVK": "B00TLEMSVK"}
    assert found.texts == {"B00TLEMSVK": "Soft cloth , warm."}
    assert found.facts == {
        ("0000031852", "brand", "brand:Coxlures"),
        ("0000031852", "category", "category:Sports & Outdoors"),
        ("0000031852", "category", "category:Dance"),
        ("0000031852", "category", "category:Clothing"),
        ("B00TLEMSVK", "category", "category:Dance"),
        ("0000031852", "also_bought", "B00TLEMSVK"),
    }
    assert found.interactions == {
        ("A1", "0000031852", "train"): (5.0, 1294876800),
        ("A2", "B00TLEMSVK", "train"): (2.0, 1294876801),
        ("A1", "B00TLEMSVK", "train"): (4.0, 1294876802),
    }
    assert (found.rejected, found.rows) == ([], 6)


def test_2018(tmp_path: Path) -> None:
    found = small.read("amazon", small.amazon_2018(tmp_path))
    assert found.items == {"0000031852": "Tutu", "B00TLEMSVK": "B00TLEMSVK"}
    assert found.texts == {"0000031852": "Zebra Soft"}
    assert found.facts == {
        ("0000031852", "brand", "brand:Coxlures"),
        ("0000031852", "category", "category:Toys & Games"),
        ("0000031852", "category", "category:Dance"),
        ("0000031852", "also_bought", "B00TLEMSVK"),
        ("0000031852", "also_viewed", "B00TLEMSVK"),
    }
    assert found.interactions == {
        ("A1", "0000031852", "train"): (5.0, 1294876800),
        ("A2", "B00TLEMSVK", "train"): (2.0, 1294876801),
    }
    assert found.rejected == []


def test_2023(tmp_path: Path) -> None:
    found = small.read("amazon", small.amazon_2023(tmp_path))
    assert found.items == {"B00PARENT0": "Blocks", "B00OTHER00": "B00OTHER00"}
    assert found.texts == {"B00PARENT0": "Wooden. Safe."}
    assert found.facts == {
        ("B00PARENT0", "category", "category:Toys"),
        ("B00PARENT0", "category", "category:Blocks"),
        ("B00PARENT0", "store", "store:Howard"),
    }
    assert found.interactions == {
        ("AG1", "B00PARENT0", "train"): (3.0, 1588687728),  # from milliseconds
        ("AG2", "B00OTHER00", "train"): (5.0, 1588687729),
    }


def test_2018_json_without_metadata(tmp_path: Path) -> None:
    rows = json_lines({"overall": 4.0, "verified": True, "reviewerID": "A1", "asin": "B1", "unixReviewTime": 1})
    file = put(tmp_path / "Toys_5.json.gz", *rows)
    assert small.read("amazon", file).interactions == {("A1", "B1", "train"): (4.0, 1)}


@pytest.mark.parametrize(
    "row",
    ["A3AF8FFZAZYNE5,B00TLEMSVK,5.0,1294876800", "B00TLEMSVK,A3AF8FFZAZYNE5,5.0,1294876800"],
    ids=["2014", "2018"],
)
def test_the_columns_of_ratings_are_told_apart(tmp_path: Path, row: str) -> None:
    file = put(tmp_path / "ratings_Toys.csv", row, "short,row")
    found = small.read("amazon", file)
    assert found.interactions == {("A3AF8FFZAZYNE5", "B00TLEMSVK", "train"): (5.0, 1294876800)}
    assert (found.rejected, found.rows) == ([("ratings_Toys.csv", 2)], 2)


def test_splits_of_2023_are_kept(tmp_path: Path) -> None:
    header = "user_id,parent_asin,rating,timestamp"
    put(tmp_path / "Toys.train.csv", header, "AG1,B006GBITXC,3.0,1452647382000")
    put(tmp_path / "Toys.valid.csv", header + ",history", "AG1,B00TLEMSVK,4.0,1454675785000,B006GBITXC")
    put(tmp_path / "Toys.test.csv.gz", header, "AG2,B00TLEMSVK,4.0,1454675785000")
    put(tmp_path / "meta_Toys.jsonl.gz", *json_lines({"parent_asin": "B006GBITXC", "title": "Kite"}))
    found = small.read("amazon", tmp_path)
    assert found.interactions.keys() == {
        ("AG1", "B006GBITXC", "train"),
        ("AG1", "B00TLEMSVK", "valid"),
        ("AG2", "B00TLEMSVK", "test"),
    }
    assert found.items == {"B006GBITXC": "Kite", "B00TLEMSVK": "B00TLEMSVK"}
    put(tmp_path / "Toys.csv", header, "AG1,B006GBITXC,3.0,1452647382000")
    assert list(small.read("amazon", tmp_path / "Toys.csv").interactions) == [("AG1", "B006GBITXC", "train")]


def test_unusable_rows_are_rejected_once(tmp_path: Path) -> None:
    good = {"reviewerID": "A1", "asin": "B1", "overall": 1.0, "unixReviewTime": 1}
    lines = json_lines(good, {**good, "asin": None}, {"asin": "B1"}, {**good, "overall": "high"}, {**good, "asin": " "})
    put(tmp_path / "Toys.json", *lines, "[1]", "{'asin': open('x')}")
    put(tmp_path / "meta_Toys.json", "{'title': 'No number'}", "{'asin': 'B1', 'title': 'Kite'}")
    found = small.read("amazon", tmp_path)
    assert found.items == {"B1": "Kite"}
    assert found.rejected == [("meta_Toys.json", 1), *[("Toys.json", line) for line in (2, 3, 4, 5, 6, 7)]]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"meta_Toys.json": "{}"}, r"holds meta_Toys.json. Expected a file of reviews"),
        (
            {"Toys.jsonl": "", "Books.jsonl": ""},
            r"several files of reviews: Books.jsonl, Toys.jsonl. Give the path of one",
        ),
        ({"Toys.csv": "user,item,rating,time\n1,2,3,4\n"}, r"Toys.csv:1: expected product numbers"),
        (
            {"Toys.csv": "rating,timestamp,user_id,parent_asin\n"},
            r"Toys.csv:1: expected the header user_id,parent_asin",
        ),
    ],
)
def test_what_holds_no_reviews(tmp_path: Path, files: dict[str, str], said: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        list(read(Source(tmp_path)))

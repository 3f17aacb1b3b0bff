"""The Yelp Open Dataset."""

from __future__ import annotations

from pathlib import Path

import pytest

from cikg.datasets.formats.yelp import read
from cikg.datasets.reading.source import Source
from cikg.errors import InputError
from tests.unit.datasets.formats import small
from tests.unit.datasets.formats.small import json_lines, put


def test_all_files(tmp_path: Path) -> None:
    found = small.read("yelp", small.yelp(tmp_path))
    assert found.users == {"u1": "Walker", "u2": None, "u9": None}
    assert found.items == {"b1": "Zoë's Café", "b2": "Fix", "b3": "Old"}
    assert found.facts == {
        ("b1", "category", "category:Coffee & Tea"),
        ("b1", "category", "category:Food"),
        ("b1", "city", "city:Springfield, MO"),
        ("b2", "city", "city:Springfield, IL"),
        ("b3", "category", "category:Food"),
    }
    assert found.interactions == {
        ("u1", "b1", "train"): (4.0, 1531001351),  # the review's, not the later tip's
        ("u2", "b2", "train"): (1.0, 1418256000),
    }
    assert (found.rejected, found.rows) == ([], 7)


def test_short_names_and_no_users(tmp_path: Path) -> None:
    put(tmp_path / "business.json.gz", *json_lines({"business_id": "b1", "name": "Fix"}))
    row = {"user_id": "u1", "business_id": "b1", "stars": 5, "date": "2014-12-11"}
    bad = [{**row, "stars": None}, {**row, "date": "soon"}, {"user_id": "u1"}, {**row, "business_id": "b2"}]
    put(tmp_path / "review.json.zst", *json_lines(row, *bad))
    found = small.read("yelp", tmp_path)
    assert list(found.interactions) == [("u1", "b1", "train")]
    assert found.rejected == [("review.json.zst", line) for line in (2, 3, 4, 5)]


def test_a_wrong_folder(tmp_path: Path) -> None:
    put(tmp_path / "yelp_dataset.tar")
    with pytest.raises(InputError, match=r"holds yelp_dataset.tar. Expected the unpacked folder, with yelp_academic"):
        list(read(Source(tmp_path)))
    with pytest.raises(InputError, match=r"yelp_dataset.tar is an archive. Unpack it"):
        list(read(Source(tmp_path / "yelp_dataset.tar")))

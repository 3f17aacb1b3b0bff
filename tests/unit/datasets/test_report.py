"""What is told of rows that cannot be used: how many, why, and a list that a person can open."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from cikg.datasets.reading.source import Rejected, Source
from cikg.datasets.report import HOPELESS, MOST_REASONS, OTHER, Rejections, file_name
from cikg.errors import InputError


def rejected(line: int, reason: str = "expected a number", row: str = "x") -> Rejected:
    return Rejected(Path("d/ratings.csv"), line, reason, row)


def test_reasons_are_counted_without_what_differs_from_row_to_row() -> None:
    rejections = Rejections(None, 1.0)
    for line, reason in enumerate(
        [
            "an interaction names an item 'i-7' that the dataset does not have",
            'an interaction names an item "it\'s" that the dataset does not have',
            "expected a user's number and the items' numbers, found '\\'x'",
            "expected a user's number and the items' numbers, found 3 columns",
            "expected a user's number and the items' numbers, found -17.5 columns",
            "the rating 1e+99 of x2 is wrong",
        ],
        start=1,
    ):
        rejections.add(rejected(line, reason), line)
    assert [(reason.reason, reason.rows) for reason in rejections.reasons] == [
        ("an interaction names an item … that the dataset does not have", 2),
        ("expected a user's number and the items' numbers, found … columns", 2),
        ("expected a user's number and the items' numbers, found …", 1),
        ("the rating … of x2 is wrong", 1),
    ]
    first = rejections.reasons[0]
    assert (first.file, first.line) == ("d/ratings.csv", 1)
    assert first.example == "an interaction names an item 'i-7' that the dataset does not have"


def test_however_many_reasons_few_are_kept() -> None:
    rejections = Rejections(None, 1.0)
    for line in range(200):
        rejections.add(rejected(line, f"reason {'abc'[line % 3] * (line + 1)}"), line)
    assert len(rejections.reasons) == MOST_REASONS + 1
    assert (rejections.reasons[0].reason, rejections.reasons[0].rows) == (OTHER, 200 - MOST_REASONS)
    assert rejections.count == sum(reason.rows for reason in rejections.reasons) == 200


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1"])
def test_no_cell_is_a_formula(tmp_path: Path, text: str) -> None:
    with Rejections(tmp_path, 1.0) as rejections:
        rejections.add(Rejected(Path(f"{text}.csv"), 3, f"{text} is wrong", f'{text},a\n"b'), 3)
        path = rejections.keep("rejected.csv")
    assert path is not None
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["file", "line", "reason", "row"],
            [f"'{text}.csv", "3", f"'{text} is wrong", f"'{text},a\n\"b"],
        ]


def test_the_list_is_only_there_if_it_is_kept(tmp_path: Path) -> None:
    with Rejections(tmp_path / "a", 1.0) as rejections:
        assert rejections.keep("none.csv") is None
    assert not (tmp_path / "a").exists(), "nothing was rejected"
    with Rejections(tmp_path / "b", 1.0) as rejections:
        rejections.add(rejected(1), 1)
    assert list((tmp_path / "b").iterdir()) == []
    with Rejections(tmp_path / "b", 1.0) as rejections:
        rejections.add(rejected(1), 1)
        rejections.keep("kept.csv")
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["kept.csv"]
    assert (tmp_path / "b" / "kept.csv").stat().st_mode & 0o077 == 0, "rows may be private"


def test_a_share_is_allowed_and_not_a_row_more(tmp_path: Path) -> None:
    with Rejections(tmp_path, 0.01) as rejections:
        rejections.add(rejected(7), 7)
        rejections.add(rejected(9, "another"), 9)
        rejections.check(200)
        with pytest.raises(InputError) as caught:
            rejections.check(199)
    assert str(caught.value) == (
        "d/ratings.csv:7: expected a number; 2 of 199 rows (1.01 %) cannot be used, and --max-rejected allows 1 %. "
        f"Correct the source, or leave them out with --max-rejected 0.02; {tmp_path / 'refused.csv'} lists them"
    )
    assert (tmp_path / "refused.csv").read_text(encoding="utf-8").count("\n") == 3
    with Rejections(tmp_path, 0.02) as rejections:
        rejections.keep("kept.csv")
    assert list(tmp_path.iterdir()) == [], "it is about an import that was refused, and now one was not"
    with Rejections(None, 0.0) as rejections:
        rejections.check(0)
    with pytest.raises(InputError, match="share of rejected rows cannot be 2"):
        Rejections(None, 2)


def test_a_source_that_is_mostly_wrong_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x\n" * (3 * HOPELESS), encoding="utf-8")

    def read(every: int, share: float) -> Source:
        rejections = Rejections(None, share)
        source = Source(path, left_out=rejections.add)
        for number, _ in enumerate(source.lines(path)):
            if number % every == 0:
                source.reject("wrong")
        return source

    with pytest.raises(
        InputError, match=r"10,000 of the first 10,000 rows \(100 %\).* Check that the format is the right one"
    ):
        read(1, 0.01)
    assert read(3, 0.01).rejections == HOPELESS, "the rest of the file may be better"
    assert read(1, 1.0).rejections == 3 * HOPELESS


def test_any_file_name_is_text() -> None:
    assert file_name(Path("a\udcff.csv")) == "a\ufffd.csv"

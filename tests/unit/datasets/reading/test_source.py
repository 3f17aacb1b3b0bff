"""What every reader relies on: files as they come, the place of each row, and rows that cannot be used."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cikg.datasets.reading.source import ADVANCE, KEPT, SHOWN, Rejected, Source
from cikg.datasets.tables import LONGEST_TEXT
from cikg.errors import InputError


def packed(path: Path, content: bytes) -> Path:
    """Write a file as its ending says."""
    if path.suffix == ".gz":
        content = gzip.compress(content)
    elif path.suffix == ".zst":
        content = zstandard.compress(content)
    path.write_bytes(content)
    return path


def refused(source: Source) -> list[tuple[int, str, str]]:
    return [(rejected.line, rejected.reason, rejected.row) for rejected in source.rejected]


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_lines_of_plain_and_packed_files(tmp_path: Path, ending: str) -> None:
    path = packed(tmp_path / f"a.txt{ending}", b"\xef\xbb\xbfone\r\n\n  \n\tt\xc3\xa9l\xc3\xa9 \nthree")
    source = Source(path)
    assert [(source.line, text) for text in source.lines(path)] == [(1, "one"), (4, "\ttélé "), (5, "three")]
    assert (source.rows, source.rejections) == (3, 0)


def test_packed_files_of_several_parts_are_read_to_their_end(tmp_path: Path) -> None:
    """Tools that pack in parallel write one member or frame after another."""
    lines = [f"{number} {random.Random(number).random()}\n".encode() for number in range(50_000)]
    for ending, pack in ((".gz", gzip.compress), (".zst", zstandard.compress)):
        path = tmp_path / f"a{ending}"
        path.write_bytes(b"".join(pack(b"".join(lines[start::3])) for start in range(3)))
        assert sorted(Source(path).lines(path)) == sorted(line.decode().strip() for line in lines)


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("damage", ["half", "other"])
def test_a_damaged_file_is_an_error_and_not_a_short_one(tmp_path: Path, ending: str, damage: str) -> None:
    path = packed(tmp_path / f"a{ending}", b"".join(b"%d\n" % number**3 for number in range(50_000)))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage == "half" else b"user,item\n1,2\n")
    with pytest.raises(InputError, match="it cannot be read") as caught:
        list(Source(path).lines(path))
    assert str(caught.value).startswith(str(path))


def test_a_line_in_another_encoding_is_rejected(tmp_path: Path) -> None:
    path = packed(tmp_path / "a", b"one\ncaf\xe9\nthree\n")
    source = Source(path)
    assert list(source.lines(path)) == ["one", "three"]
    assert refused(source) == [(2, "the line is not UTF-8 text", "caf\ufffd")]
    assert source.rows == 3
    assert list(Source(path).lines(path, "latin-1")) == ["one", "café", "three"]


def test_csv_rows_may_span_lines(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.csv", b'id,text\r\n\r\n1,"two\r\n\r\nlines, ""quoted"""\r\n2,plain\r\n')
    source = Source(path)
    rows = source.csv(path)
    assert source.header(rows) == ["id", "text"]
    assert next(rows) == ["1", 'two\r\n\r\nlines, "quoted"']
    source.reject("because")
    assert next(rows) == ["2", "plain"]
    assert source.line == 6
    assert list(rows) == []
    assert source.rows == 2, "the header and blank lines are no rows"
    assert refused(source) == [(3, "because", '1,"two\r\n\r\nlines, ""quoted"""')]


@pytest.mark.parametrize(
    ("content", "rows", "lines"),
    [
        ('a,b\n1,"open\n2,x\n3,y\n', [["a", "b"], ["2", "x"], ["3", "y"]], [2]),
        ('"a"b,c\n1,2\n', [["1", "2"]], [1]),
        ('1,"x\n2,"y\n3,z\n', [["3", "z"]], [1, 2]),
        (f'1,"{"long " * 30_000}\n2,x\n', [["2", "x"]], [1]),
        ('1,"x\ny"\n"', [["1", "x\ny"]], [3]),
    ],
    ids=["never closed", "goes on after its end", "closed by the next", "too long", "at the end"],
)
def test_a_stray_quote_costs_its_own_line_alone(
    tmp_path: Path, content: str, rows: list[list[str]], lines: list[int]
) -> None:
    path = packed(tmp_path / "a.csv", content.encode())
    source = Source(path)
    assert list(source.csv(path)) == rows
    assert [line for line, reason, _ in refused(source) if reason.startswith("the row cannot be read")] == lines
    assert source.rows == len(rows) + len(lines)


def test_a_row_in_another_encoding_is_rejected_as_a_whole(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.csv", b'1,"two\ncaf\xe9"\n2,x\n')
    source = Source(path)
    assert list(source.csv(path)) == [["2", "x"]]
    assert refused(source) == [(1, "the row is not UTF-8 text", '1,"two\ncaf\ufffd"')]


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2, max_size=4), max_size=8
    )
)
def test_what_csv_can_hold_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    path = packed(tmp_path_factory.mktemp("csv") / "a.csv.zst", text.getvalue().encode())
    source = Source(path)
    assert (list(source.csv(path)), source.rejected) == (rows, [])


def test_json_lines(tmp_path: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    content = ['{"a": 1}', "", '{"a": NaN}', "[1]", '{"a": ', f'{{"a": {deep}}}', f'{{"a": {"9" * 5_000}}}', "{}"]
    path = packed(tmp_path / "a.json.gz", "\n".join(content).encode())
    source = Source(path)
    assert list(source.json_lines(path)) == [{"a": 1}, {}]
    assert [(line, reason) for line, reason, _ in refused(source)] == [
        (3, "expected a JSON object: NaN is not a JSON number"),
        (4, "expected a JSON object, found list"),
        (5, "expected a JSON object: Expecting value at character 7"),
        (6, "expected a JSON object, found one that is nested too deeply"),
        (7, source.rejected[4].reason),
    ]
    assert "integer string conversion" in source.rejected[4].reason
    assert max(len(row) for _, _, row in refused(source)) == SHOWN


def test_a_row_is_rejected_once_with_its_first_reason(tmp_path: Path) -> None:
    handed: list[tuple[Rejected, int]] = []
    source = Source(tmp_path, left_out=lambda *found: handed.append(found))
    source.row(tmp_path / "a", 1, "x")
    source.reject("first")
    source.reject("second")
    source.row(tmp_path / "a", 2, "y")
    source.reject("third")
    assert [(rejected.reason, rows) for rejected, rows in handed] == [("first", 1), ("third", 2)]
    assert source.rejections == 2


def test_however_many_are_rejected_few_are_kept(tmp_path: Path) -> None:
    path = packed(tmp_path / "a", b"x\n" * (3 * ADVANCE))
    steps: list[int] = []
    handed: list[Rejected] = []
    source = Source(path, steps.append, lambda rejected, _rows: handed.append(rejected))
    for _ in source.lines(path):
        source.reject("wrong")
    assert (source.rejections, len(source.rejected), len(handed)) == (3 * ADVANCE, KEPT, 3 * ADVANCE)
    assert steps == [ADVANCE] * 3


def test_files_of_a_folder_and_a_file_alone(tmp_path: Path) -> None:
    packed(tmp_path / "ratings.csv.gz", b"x")
    assert Source(tmp_path).file("u.data", "ratings.csv").name == "ratings.csv.gz"
    assert Source(tmp_path / "ratings.csv.gz").file("ratings.csv").name == "ratings.csv.gz"
    assert Source(tmp_path).optional("movies.csv") is None


def test_a_wrong_path_is_told_with_what_was_expected(tmp_path: Path) -> None:
    other = packed(tmp_path / "other.csv", b"x")
    for path, said in (
        (tmp_path, f"{tmp_path / 'u.data'} is missing. Expected a folder with u.data or ratings.csv"),
        (tmp_path / "nowhere", f"{tmp_path / 'nowhere'} does not exist"),
        (other, f"{other} is not a folder"),
        (None, "needs a path"),
    ):
        with pytest.raises(InputError) as caught:
            Source(path).file("u.data", "ratings.csv")
        assert said in str(caught.value)
    with pytest.raises(InputError, match="it cannot be read: Is a directory"):
        list(Source(tmp_path).lines(tmp_path))


def test_an_unusable_file_is_refused_with_the_line(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.csv", b"\nuser;item\n")
    source = Source(path)
    source.header(source.csv(path))
    with pytest.raises(InputError, match=rf"^{path}:2: expected another header. Like this$"):
        source.wrong("expected another header", cure="Like this")
    empty = packed(tmp_path / "empty.csv", b"\n")
    with pytest.raises(InputError, match=rf"^{empty}: the file is empty$"):
        source.header(source.csv(empty))


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)))
def test_what_json_can_hold_is_read_back(tmp_path_factory: pytest.TempPathFactory, row: dict[str, object]) -> None:
    path = packed(tmp_path_factory.mktemp("json") / "a.json", json.dumps(row).encode())
    assert list(Source(path).json_lines(path)) == [row]


def test_a_cell_may_hold_the_longest_text(tmp_path: Path) -> None:
    text = "a word\n" * (LONGEST_TEXT // 7)
    path = packed(tmp_path / "a.csv", f'id,text\n1,"{text}"\n2,short\n'.encode())
    source = Source(path)
    assert list(source.csv(path)) == [["id", "text"], ["1", text], ["2", "short"]]
    assert source.rejections == 0


def test_lines_of_an_old_mac_are_named(tmp_path: Path) -> None:
    """A file without a line feed is one line to everybody else; it is not empty."""
    path = tmp_path / "ratings.csv"
    path.write_bytes(b"user,item\rann,emma\r")
    source = Source(path)
    with pytest.raises(
        InputError, match=r"ratings.csv.*: no row can be read: its lines end with a carriage return alone"
    ):
        source.header(source.csv(path))

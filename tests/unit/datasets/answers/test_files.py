"""Files of answers: each kind says the same, with lines; what is rejected, and what is refused as a whole."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cikg.datasets.answers.files import LONGEST_ANSWER, Answer, read
from cikg.datasets.reading.source import Source
from cikg.errors import InputError
from tests.unit.datasets.formats.test_colakg import LASTFM

TEXTS = {"ann": "Likes gardens, and the sea.", "7": 'Likes "quoted" things:\nand lines.'}


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def written(folder: Path, name: str) -> Path:
    """The texts above in one kind of file."""
    path, frame = folder / name, pl.DataFrame({"extra": [1, 2], "text": list(TEXTS.values()), "id": list(TEXTS)})
    rows = "".join(
        json.dumps({"id": int(key) if key == "7" else key, "text": text}) + "\n" for key, text in TEXTS.items()
    )
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(rows.encode()))
    elif name.endswith(".jsonl"):
        path.write_text(rows)
    elif name.endswith(".json"):
        path.write_text(json.dumps(TEXTS, indent=2))
    elif name.endswith(".parquet"):
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator="\t" if name.endswith(".tsv") else ",")
    return path


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("a.json", (2, 3)),
        ("a.jsonl", (1, 2)),
        ("a.jsonl.gz", (1, 2)),
        ("a.csv", (2, 3)),
        ("a.tsv", (2, 3)),
        ("a.parquet", (1, 2)),
    ],
)
def test_every_kind_of_file_says_the_same(tmp_path: Path, name: str, lines: tuple[int, int]) -> None:
    source = Source(written(tmp_path, name))
    found = [Answer(line, key, text) for line, (key, text) in zip(lines, TEXTS.items(), strict=True)]
    assert list(read(source)) == found
    assert (source.rows, source.rejections) == (2, 0)


def test_members_of_an_object_have_the_lines_where_they_begin(tmp_path: Path) -> None:
    source = Source(write(tmp_path / "a.json", '{"a": "x", "b":\n\n"y"\n,\n\n  "a": "z"}\n'))
    assert list(read(source)) == [Answer(1, "a", "x"), Answer(1, "b", "y"), Answer(6, "a", "z")]


@given(
    texts=st.dictionaries(st.text(), st.text(alphabet=st.characters(exclude_categories=("Cs",)))),
    indent=st.sampled_from((None, 0, 3)),
    ascii_only=st.booleans(),
)
def test_an_object_is_read_as_json_reads_it(
    tmp_path_factory: pytest.TempPathFactory, texts: dict[str, str], indent: int | None, *, ascii_only: bool
) -> None:
    content = json.dumps(texts, indent=indent, ensure_ascii=ascii_only)
    source = Source(write(tmp_path_factory.getbasetemp() / "any.json", content))
    expected = {key: text.strip() for key, text in texts.items() if text.strip()}
    assert {answer.id: answer.text for answer in read(source)} == expected
    assert (source.rows, source.rejections) == (len(texts), len(texts) - len(expected))


def test_answers_that_cannot_be_used(tmp_path: Path) -> None:
    content = json.dumps(
        {"a": " fine\ud83d ", "b": " \n", "c": 5, "d": None, "e": "x" * (LONGEST_ANSWER + 1)}, indent=0
    )
    source = Source(write(tmp_path / "a.json", content))
    assert list(read(source)) == [Answer(2, "a", "fine\ufffd")]
    assert [(each.line, each.reason) for each in source.rejected] == [
        (3, "the answer is blank"),
        (4, "expected text for 'text', found a value of type int"),
        (5, "expected text for 'text', found nothing"),
        (6, "the answer has 100,001 characters, more than 100,000"),
    ]
    source = Source(write(tmp_path / "a.jsonl", '{"id": [1], "text": "x"}\n{"text": "x"}\n{"id": 4, "text": "x"}\nx\n'))
    assert list(read(source)) == [Answer(3, "4", "x")]
    assert [each.line for each in source.rejected] == [1, 2, 4]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "", "its name does not tell how to read it"),
        ("a.json", "[]", r"a\.json:1: expected a JSON object whose keys are ids: Expecting '\{' delimiter"),
        ("a.json", '{"a": "x"\n"b": "y"}', r"a\.json:2: .*Expecting ',' delimiter"),
        ("a.json", '{"a": "x",\n\n5: "y"}', r"a\.json:3: .*property name"),
        ("a.json", '{"a": "x"}\n{}', r"a\.json:2: .*Extra data"),
        ("a.json", '{"a": "x', r"a\.json:1: .*Unterminated string"),
        ("a.json", '{"a": ' + "[" * 100_000, "nested too deeply"),
        ("a.csv", "id,answer\n1,x\n", r"it has no column 'text'. Its columns are id, answer"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(read(Source(write(tmp_path / name, content))))
    with pytest.raises(InputError, match="does not exist"):
        list(read(Source(tmp_path / "other.json")))


@pytest.mark.skipif(not LASTFM.is_dir(), reason=f"the published data is not at {LASTFM}; it may not be redistributed")
@pytest.mark.parametrize(("name", "count"), [("llm_response_user.json", 1_859), ("llm_response_item.json", 2_813)])
def test_lastfm(name: str, count: int) -> None:
    source = Source(LASTFM / name)
    found = {answer.id: answer for answer in read(source)}
    assert (len(found), source.rejections) == (count, 0)
    assert sorted(answer.line for answer in found.values()) == list(range(2, count + 2))
    assert set(found) == {str(number) for number in range(count)}

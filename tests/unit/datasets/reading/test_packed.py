"""Packed files: what was made to fill a machine is refused, what is damaged is said, and memory is watched."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from cikg.datasets.answers import files
from cikg.datasets.reading import packed
from cikg.datasets.reading.packed import MOST_TIMES, opened
from cikg.datasets.reading.source import ADVANCE, Source
from cikg.datasets.reading.tabular import sniff
from cikg.errors import InputError

PACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".zst": zstandard.compress}
ENDLESS = b"reader,book,5\n" * 100_000
"""1.4 MB of a row that repeats: gzip makes a few hundredths of a hundredth of it, as of a bomb."""


@pytest.fixture(params=sorted(PACK))
def bomb(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"ratings.csv{request.param}"
    path.write_bytes(PACK[request.param](ENDLESS))
    assert path.stat().st_size * MOST_TIMES < len(ENDLESS), "it packs as no data does"
    return path


def test_endless_rows_end_in_a_sentence_and_not_in_a_full_memory(bomb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "SMALL", 2**19)
    read = 0
    with pytest.raises(InputError, match=rf"^{bomb}: it unpacks to more than 200 times its size") as caught:
        for _ in Source(bomb).csv(bomb):
            read += 1
    assert read <= 2**19 / len(b"reader,book,5\n") + 1, "not one row more than may be"
    assert "unpack it yourself" in str(caught.value)


def test_a_small_file_may_repeat_itself(bomb: Path) -> None:
    assert sum(1 for _ in Source(bomb).csv(bomb)) == 100_000


@pytest.mark.parametrize("ending", sorted(PACK))
def test_a_large_file_of_data_is_read_whole(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "SMALL", 1_000)
    content = b"".join(b"%d,%d\n" % (number, number**3 % 997) for number in range(20_000))
    path = tmp_path / f"a.csv{ending}"
    path.write_bytes(PACK[ending](content))
    with opened(path) as stream:
        assert stream.read() == content


def test_a_damaged_file_is_said_by_whoever_reads_it(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(b"%d,%d\n" % (number, number**3) for number in range(50_000)))
    path = tmp_path / "answers.json.gz"
    path.write_bytes(whole[:100] + bytes(100) + whole[200:])
    readers: list[Callable[[], object]] = [
        lambda: list(Source(path).lines(path)),
        lambda: sniff(path),
        lambda: list(files.read(Source(path))),
    ]
    for read in readers:
        with pytest.raises(InputError, match=rf"^{path}: it cannot be read: "):
            read()


def test_reading_ends_before_the_memory_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x\n" * (3 * ADVANCE))
    left = iter((2**30, 2**20))
    monkeypatch.setattr("cikg.datasets.reading.source.available_memory", lambda: next(left))
    with pytest.raises(InputError, match=rf"^{path}: this machine ran out of memory after 20,000 rows"):
        list(Source(path).lines(path))

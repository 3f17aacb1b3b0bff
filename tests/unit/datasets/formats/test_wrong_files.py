"""What people give in the place of a dataset's files, for every format: it is refused in a sentence, or rows of it are.

Nothing else may come of it: no traceback, no hang, and no dataset that is silently empty.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from cikg.datasets.reading.source import Source
from cikg.datasets.registry import format_named, formats
from cikg.datasets.tables import collect
from cikg.errors import InputError
from tests.unit.datasets import folders
from tests.unit.datasets.formats import small, test_colakg, test_table

NOISE = random.Random(7).randbytes(5_000)
CONTENTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "blank": lambda _: b"\n \n\t\r\n",
    "noise": lambda _: NOISE,
    "zero bytes": lambda _: bytes(5_000),
    "a picture": lambda _: b"\x89PNG\r\n\x1a\n" + NOISE,
    "a workbook": lambda _: b"PK\x03\x04" + NOISE,
    "UTF-16": lambda content: content.decode("latin-1").encode("utf-16"),
    "Latin-1": lambda content: content.replace(b"a", b"\xe9"),
    "one endless line": lambda content: content.replace(b"\n", b" ") * 2_000,
    "a long cell": lambda content: content + b"x" * 1_000_000 + b"\n",
    "a quote that stays open": lambda content: content[:20] + b'"' + content[20:],
    "quotes that are escaped": lambda content: content + b"{'a': '" + b"\\'" * 50_000 + b"\n",
    "comments that stay open": lambda content: content.replace(b"Zebra", b"<!--" * 50_000),
    "deep JSON": lambda _: b"[" * 100_000 + b"\n" + b'{"a":' * 50_000 + b"\n",
    "JSON of other kinds": lambda _: b'null\n[]\n1\n"x"\n{}\n{"asin": [], "user_id": {}, "business_id": 1.5}\n',
    "huge numbers": lambda content: content.replace(b"1", b"9" * 5_000),
    "no numbers": lambda content: content.replace(b"1", b"nan").replace(b"2", b"inf"),
    "half": lambda content: content[: len(content) // 2],
    "a page": lambda _: b"<!doctype html><title>404</title><p>Not found: log in first</p>\n",
}
WRITERS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "movielens 100k": ("movielens", small.movielens_100k),
    "movielens 1m": ("movielens", small.movielens_1m),
    "movielens": ("movielens", small.movielens_csv),
    "recbole": ("recbole", small.recbole),
    "amazon 2014": ("amazon", small.amazon_2014),
    "amazon 2018": ("amazon", small.amazon_2018),
    "amazon 2023": ("amazon", small.amazon_2023),
    "steam": ("steam", small.steam),
    "steam reviews": ("steam", small.steam_reviews),
    "yelp": ("yelp", small.yelp),
    "book_crossing": ("book_crossing", small.book_crossing),
    "cikgrec": ("cikgrec", folders.write),
    "colakg": ("colakg", test_colakg.write),
    "table": ("table", test_table.folder),
}


def outcome(name: str, path: Path | None) -> str:
    """`refused` or `read`; a sentence that does not say where, or has several lines, is neither."""
    source = Source(path)
    try:
        tables = collect(format_named(name).read(source), source)
    except InputError as error:
        said = str(error)
        assert "\n" not in said and len(said) < 1_200, said
        placed = path is None or path.name in said or str(path.parent) in said
        assert placed or said.startswith("the dataset has no interactions"), said
        return "refused"
    assert len(tables.interactions.user_index) > 0
    return "read"


def packed(file: Path, content: bytes) -> bytes:
    """The content as the file's ending says."""
    return {".gz": gzip.compress, ".zst": zstandard.compress}.get(file.suffix, bytes)(content)


def unpacked(file: Path) -> bytes:
    return {".gz": gzip.decompress, ".zst": zstandard.decompress}.get(file.suffix, bytes)(file.read_bytes())


def test_every_format_is_among_them() -> None:
    assert {name for name, _ in WRITERS.values()} == formats().keys() - {"demo", "archive"}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_that_is_something_else(tmp_path: Path, kind: str) -> None:
    name, write = WRITERS[kind]
    (tmp_path / "data").mkdir()
    given = write(tmp_path / "data")
    assert outcome(name, given) == "read"
    for file in sorted(path for path in (tmp_path / "data").iterdir()):
        before = file.read_bytes()
        content = unpacked(file)
        for what, change in CONTENTS.items():
            file.write_bytes(packed(file, change(content)))
            assert outcome(name, given), (file.name, what)
            if file.suffix in (".gz", ".zst"):
                file.write_bytes(change(content))  # without being packed
                assert outcome(name, given), (file.name, what)
        file.unlink()
        assert outcome(name, given), (file.name, "missing")
        file.mkdir()
        assert outcome(name, given), (file.name, "a folder")
        file.rmdir()
        file.write_bytes(before)


@pytest.mark.parametrize("name", sorted(formats().keys() - {"demo"}))
def test_a_path_that_is_something_else(tmp_path: Path, name: str) -> None:
    file, folder = tmp_path / "ratings.csv", tmp_path / "folder"
    folder.mkdir()
    (folder / "inner").mkdir()
    file.write_bytes(NOISE)
    paths = [None, file, folder, tmp_path, tmp_path / "absent", file / "below a file"]
    for path in paths:
        assert outcome(name, path) == "refused", path

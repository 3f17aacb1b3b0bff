"""What somebody sent: names, sizes and archives that nobody vouches for."""

from __future__ import annotations

import errno
import io
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cikg.datasets.prepared.unpacking import MOST_FILES, OversizeError, inner_path, keep, unpack
from cikg.errors import InputError, ServiceError

MOST = 10_000


def zipped(path: Path, entries: dict[str, bytes], change: Callable[[zipfile.ZipInfo], None] = lambda _: None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            change(entry)
            archive.writestr(entry, content)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    return made


def test_an_archive_is_unpacked_without_what_systems_add(tmp_path: Path, folder: Path) -> None:
    entries = {
        "ml/ratings.csv": b"a,b\n",
        "ml/sub/movies.csv": b"c\n",
        "__MACOSX/ml/._ratings.csv": b"?",
        ".DS_Store": b"?",
    }
    unpack(zipped(tmp_path / "a.zip", entries), folder, MOST)
    assert contents(folder) == {"ml/ratings.csv": b"a,b\n", "ml/sub/movies.csv": b"c\n"}


@pytest.mark.parametrize(
    "name", ["../out.csv", "a/../../out.csv", "/etc/out.csv", "..\\out.csv", "a\nb.csv", "a/" * 9 + "b"]
)
def test_no_entry_leads_out_of_the_folder(tmp_path: Path, folder: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"cannot be the name of a file|too long, or has too many folders"):
        unpack(zipped(tmp_path / "a.zip", {"fine.csv": b"1", name: b"2"}), folder, MOST)
    assert contents(tmp_path).keys() == {"a.zip"}, "nothing was written, not even what stood before it"


@given(st.text(max_size=30))
def test_any_name_is_within_or_refused(name: str) -> None:
    try:
        inner = inner_path(name)
    except InputError:
        return
    assert inner is None or (not inner.is_absolute() and ".." not in inner.parts and inner.parts)


def test_links_are_refused(tmp_path: Path, folder: Path) -> None:
    def link(entry: zipfile.ZipInfo) -> None:
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16

    with pytest.raises(InputError, match="is a link"):
        unpack(zipped(tmp_path / "a.zip", {"ratings.csv": b"/etc/passwd"}, link), folder, MOST)
    assert contents(folder) == {}


def test_a_bomb_stops_where_it_exceeds_what_may_be_sent(tmp_path: Path, folder: Path) -> None:
    bomb = zipped(tmp_path / "a.zip", {"a.csv": b"0" * (MOST - 1), "b.csv": b"0" * 10**7})
    assert bomb.stat().st_size < 2 * MOST
    with pytest.raises(OversizeError, match=r"b\.csv is larger"):
        unpack(bomb, folder, MOST)
    assert sum(map(len, contents(folder).values())) < MOST


def test_what_an_archive_says_of_its_sizes_is_not_believed(tmp_path: Path, folder: Path) -> None:
    bomb = zipped(tmp_path / "a.zip", {"a.csv": b"0" * 10**6})
    bomb.write_bytes(bomb.read_bytes().replace((10**6).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(InputError):
        unpack(bomb, folder, MOST)
    assert contents(folder) == {}


def test_too_many_entries(tmp_path: Path, folder: Path) -> None:
    many = zipped(tmp_path / "a.zip", {f"{number}.csv": b"" for number in range(MOST_FILES + 1)})
    with pytest.raises(InputError, match="1,001 files"):
        unpack(many, folder, MOST)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_damaged_archives(tmp_path: Path, folder: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as a zip archive"):
        unpack(tmp_path / "a.zip", folder, MOST)


def test_encrypted_archives(tmp_path: Path, folder: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.csv": b"1"})
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(signature) + offset] |= 1
    path.write_bytes(raw)
    with pytest.raises(InputError, match="encrypted"):
        unpack(path, folder, MOST)


def test_a_file_and_a_folder_of_one_name(folder: Path) -> None:
    keep(folder, "a", io.BytesIO(b"1"), MOST)
    with pytest.raises(InputError, match="at once"):
        keep(folder, "a/b", io.BytesIO(b"1"), MOST)
    keep(folder, "c/d", io.BytesIO(b"1"), MOST)
    with pytest.raises(InputError, match="at once"):
        keep(folder, "c", io.BytesIO(b"1"), MOST)


def test_a_full_disk_is_a_sentence_and_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(ServiceError, match="is full"):
        keep(folder, "a.csv", Full(), MOST)
    assert list(folder.iterdir()) == []

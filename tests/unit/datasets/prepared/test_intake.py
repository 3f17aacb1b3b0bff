"""Imports that are prepared: where they stand, what is kept of them, and what of the server they may read."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest

from cikg.datasets.prepared.intake import KEPT_SECONDS, Choices, Intake, Intakes, Progress, Stage
from cikg.datasets.prepared.proposal import Reader, propose
from cikg.errors import ConflictError, InputError, NotFoundError
from cikg.settings import Settings

RATINGS = b"user;item;stars\n" + b"".join(b"u%d;i%d;%d\n" % (n % 9, n % 7, n % 5) for n in range(63))


@pytest.fixture
def intakes(tmp_path: Path) -> Intakes:
    (tmp_path / "data").mkdir()
    return Intakes(Settings(home=tmp_path / "home", import_folders=f"{tmp_path / 'data'}", upload_megabytes=1))


def prepared(intakes: Intakes, **files: bytes) -> Intake:
    with intakes.receive("ann") as made:
        for name, content in files.items():
            made.put(name.replace("_", "."), io.BytesIO(content))
    return made


def test_an_import_from_its_files_to_its_end(intakes: Intakes) -> None:
    made = prepared(intakes, ratings_csv=RATINGS)
    assert (made.stage, made.sent(), made.request.actor) == (Stage.OPEN, [("ratings.csv", len(RATINGS))], "ann")
    assert made.folder.stat().st_mode & 0o777 == made.files.stat().st_mode & 0o777 == 0o700
    made.change(dataset="films", choices=Choices(core=2))
    made.start()
    assert (made.stage, intakes.open(made.id).request.choices.core) == (Stage.QUEUED, 2)
    with pytest.raises(ConflictError, match="queued"):
        made.start()
    with pytest.raises(ConflictError, match="takes no more files"):
        made.put("more.csv", io.BytesIO(RATINGS))
    with made.held():
        made.tell(Progress(state=Stage.RUNNING, step="reading"))
        assert made.stage is Stage.RUNNING
        with pytest.raises(ConflictError, match="under way"):
            made.remove()
    assert str(made.stage) == "interrupted", "nobody holds it, and it did not end"
    made.start()
    assert (made.stage, made.progress) == (Stage.QUEUED, None)
    with made.held():
        made.tell(Progress(state=Stage.DONE, report={}))
        made.forget_files()
    assert (made.stage, made.sent()) == (Stage.DONE, [])
    with pytest.raises(ConflictError, match="done"):
        made.change(dataset="others")


def test_cancelling(intakes: Intakes) -> None:
    made = prepared(intakes, ratings_csv=RATINGS)
    with pytest.raises(ConflictError, match="open"):
        made.stop()
    made.start()
    made.stop()
    assert made.stage is Stage.CANCELLED, "no worker has taken it"
    made.start()
    assert (made.stage, made.stopped) == (Stage.QUEUED, False)


def test_an_upload_that_breaks_off_is_not_there(intakes: Intakes) -> None:
    with pytest.raises(KeyboardInterrupt), intakes.receive("ann") as made:
        made.put("ratings.csv", io.BytesIO(RATINGS))
        raise KeyboardInterrupt
    assert (intakes.listed(), made.folder.exists()) == ([], False)


def test_the_sweeper_takes_what_is_old_or_broken_and_nothing_else(intakes: Intakes) -> None:
    young, old, held = (prepared(intakes, ratings_csv=RATINGS) for _ in range(3))
    killed = young.folder.parent / "0123456789abcdef"  # a server was killed while files came
    under_way = young.folder.parent / "fedcba9876543210"
    for folder in (killed, under_way):
        (folder / "files").mkdir(parents=True)
    long_ago = time.time() - KEPT_SECONDS - 60
    for folder in (old.folder, held.folder, killed):
        for path in (*folder.rglob("*"), folder):
            os.utime(path, (long_ago, long_ago))
    with held.held():
        assert intakes.sweep() == 2
    assert {each.id for each in intakes.listed()} == {young.id, held.id}
    assert under_way.exists() and not killed.exists()


@pytest.mark.parametrize("name", ["", "..", "../home", "0123456789abcdef", "0123456789ABCDEF", "a/b"])
def test_only_ids_open_an_import(intakes: Intakes, name: str) -> None:
    with pytest.raises(NotFoundError, match="there is no import"):
        intakes.open(name)


def test_files_are_bounded_together(intakes: Intakes) -> None:
    made = prepared(intakes, a_csv=b"0" * 600_000)
    with pytest.raises(InputError, match="larger than the 400,000 bytes"):
        made.put("b.csv", io.BytesIO(b"0" * 600_000))
    made.put("a.csv", io.BytesIO(b"0" * 900_000))  # in the place of the first
    assert made.sent() == [("a.csv", 900_000)]


def test_paths_of_the_server(intakes: Intakes, tmp_path: Path) -> None:
    inside, outside = tmp_path / "data", tmp_path / "secret"
    outside.mkdir()
    (outside / "ratings.csv").write_bytes(RATINGS)
    (inside / "ml").mkdir()
    (inside / "ml" / "ratings.csv").write_bytes(RATINGS)
    made = intakes.create("ann", str(inside / "ml"))
    assert propose(Reader(intakes, made)).problem is None
    (inside / "link").symlink_to(outside)
    (inside / "ml" / "inner").symlink_to(outside / "ratings.csv")
    told = set()
    for path in (
        outside,
        outside / "nothing",
        inside / ".." / "secret",
        inside / "link",
        inside / "link" / "ratings.csv",
        "data",
        "",
        f"{inside}\0",
        f"{tmp_path}/data-of-others",
    ):
        with pytest.raises(InputError, match="not below a folder") as refused:
            intakes.create("ann", str(path))
        told.add(str(refused.value.cure))
    assert told == {f"The allowed folders are {inside}"}, "what is outside is the same whether it is there or not"
    with pytest.raises(InputError, match="leads out of"):
        intakes.create("ann", str(inside / "ml"))
    assert "leads out of" in str(propose(Reader(intakes, made)).problem), "a link that came later"
    for missing in ("nothing", "n" * 300):
        with pytest.raises(InputError, match="there is no file or folder"):
            intakes.create("ann", str(inside / missing))
    with pytest.raises(InputError, match="does not allow imports"):
        Intakes(Settings(home=tmp_path / "home")).create("ann", str(inside))


@pytest.mark.parametrize("file", ["../import.json", "/etc/passwd", "n" * 300, "a\0b", "nothing.csv"])
def test_a_mapping_names_files_of_its_import_alone(intakes: Intakes, file: str) -> None:
    made = prepared(intakes, ratings_csv=RATINGS)
    given = {"interactions": {"file": file, "user": 1, "item": 2}}
    made.change(format="table", mapping=given)
    assert "is not a file of this import" in str(propose(Reader(intakes, made)).problem)
    made.change(mapping=None)
    made.put("mine.toml", io.BytesIO(f"[interactions]\nfile = {json_text(file)}\nuser = 1\nitem = 2\n".encode()))
    assert "is not a file of this import" in str(propose(Reader(intakes, made)).problem)


def json_text(text: str) -> str:
    return '"' + text.replace("\0", "\\u0000") + '"'

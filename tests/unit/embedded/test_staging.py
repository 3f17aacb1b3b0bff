"""What a start of the embedded Neo4j finds beside its database, and makes of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cikg.embedded import staging

OLD, NEW = "old", "new"


def put(home: Path, content: str) -> None:
    """A database of these parts below a home."""
    for part in ("databases", "transactions"):
        folder = home / "data" / part / staging.DATABASE
        folder.mkdir(parents=True)
        (folder / "store").write_text(content)


def held(home: Path) -> list[str]:
    return [path.read_text() for path in sorted((home / "data").glob("*/*/store"))]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    put(tmp_path, OLD)
    return tmp_path


@contextmanager
def owner(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has offered a database and lives until it is killed."""
    code = (
        "import sys, time; from pathlib import Path; from cikg.embedded import staging\n"
        "from tests.unit.embedded.test_staging import put\n"
        f"home = Path({str(home)!r})\n"
        "with staging.new_home(home) as made:\n"
        f"    put(made, {NEW!r}); staging.offer(home, made); print('offered', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "offered\n"
        yield process
        process.kill()


def test_an_offer_of_the_living_is_accepted(home: Path) -> None:
    with owner(home):
        staging.settle(home)
        assert held(home) == [NEW, NEW]
    staging.settle(home)
    assert held(home) == [NEW, NEW] and list((home / "bulk").iterdir()) == []


def test_an_offer_of_the_dead_is_thrown_away(home: Path) -> None:
    with owner(home) as process:
        process.kill()
        process.wait()
        staging.settle(home)
    assert held(home) == [OLD, OLD] and list((home / "bulk").iterdir()) == []


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_an_exchange_that_was_interrupted_is_completed(home: Path, moved: int) -> None:
    accepted = home / "bulk" / "accepted"
    put(accepted, NEW)
    for part in ("databases", "transactions")[:moved]:
        (home / "data" / part / staging.DATABASE / "store").unlink()  # and it was killed within the removal
        if moved == 2:
            (home / "data" / part / staging.DATABASE).rmdir()
            (accepted / "data" / part / staging.DATABASE).rename(home / "data" / part / staging.DATABASE)
    staging.settle(home)
    assert held(home) == [NEW, NEW] and list((home / "bulk").iterdir()) == []


def test_what_nobody_owns_is_removed_and_what_someone_makes_is_not(home: Path) -> None:
    (home / "bulk" / "new-dead").mkdir(parents=True)
    with staging.new_home(home) as first, staging.new_home(home) as second:
        staging.settle(home)
        assert sorted((home / "bulk").iterdir()) == sorted([first, second])
    assert held(home) == [OLD, OLD] and list((home / "bulk").iterdir()) == []

"""`cikg import wizard` and `cikg import table` as a person runs them, in a terminal too."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest

from cikg.datasets.drop import drop
from cikg.datasets.mapping.model import load_mapping
from cikg.graph import Graph
from tests.conftest import CIKG
from tests.integration.cli.test_import import Cikg, one_sentence

RATINGS = "userId,movieId,rating,timestamp\n" + "".join(
    f"{user},{item},{(user + item) % 5 + 1},{1_400_000_000 + user * 1000 + item}\n"
    for user in range(8)
    for item in range(user, user + 5)
)
MOVIES = "movieId;title;genres\n" + "".join(
    f"{item};Film {item};{'Drama|War' if item % 2 else 'War'}\n" for item in range(12)
)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "ratings.csv").write_text(RATINGS)
    (tmp_path / "movies.csv").write_text(MOVIES)
    return tmp_path / "ratings.csv", tmp_path / "movies.csv"


def test_from_files_to_a_dataset(graph: Graph, here: Cikg, dataset: str, files: tuple[Path, Path]) -> None:
    mapping = files[0].with_suffix(".toml")
    done = here("import", "wizard", *files, "--yes")
    assert done.returncode == 0, done.stderr
    for shown in ("as they would be imported", "Film 0", "2014-05-13"):
        assert shown in " ".join(done.stdout.split())
    assert f"cikg import table {mapping} --dataset ratings" in done.stdout
    imported = here("import", "table", mapping, "--dataset", dataset, "--json")
    assert imported.returncode == 0, imported.stderr
    report = json.loads(imported.stdout)
    assert (report["rows"], report["rejected"]) == (40 + 12, 0)
    assert report["counts"]["facts"] == 18 and report["counts"]["entities"] == 2
    assert graph.one("find_dataset", dataset=dataset)["dataset"]["field"] == "movies"
    drop(graph, dataset)


def test_a_mapping_is_not_overwritten(here: Cikg, files: tuple[Path, Path]) -> None:
    mapping = files[0].with_suffix(".toml")
    mapping.write_text("# mine\n")
    refused = one_sentence(here("import", "wizard", *files, "--yes"))
    assert "already exists. Edit it, or give --force" in refused
    assert mapping.read_text() == "# mine\n"
    other = files[0].parent / "other.toml"
    assert here("import", "wizard", *files, "--yes", "--output", other).returncode == 0
    assert here("import", "wizard", *files, "--yes", "--force").returncode == 0
    assert load_mapping(mapping) == load_mapping(other)
    nowhere = here("import", "wizard", *files, "--yes", "--output", files[0].parent / "none" / "m.toml")
    assert "there is no folder" in one_sentence(nowhere)
    folder = here("import", "wizard", *files, "--yes", "--force", "--output", files[0].parent)
    assert "it cannot be written: Is a directory. Choose another place with --output" in one_sentence(folder)


def test_json_writes_nothing(here: Cikg, files: tuple[Path, Path]) -> None:
    done = here("import", "wizard", *files, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["mapping"]["interactions"][0]["user"] == "userId" and len(found["rows"]) == 10
    assert {"question": "ratings.csv: time_format", "guess": "seconds", "why": "like 1400000000"} in found["guesses"]
    assert found["next"].startswith("cikg import table ") and not Path(found["path"]).exists()


def test_nobody_is_there_to_answer(here: Cikg, files: tuple[Path, Path]) -> None:
    assert "there is no terminal to ask in. Give --yes" in one_sentence(here("import", "wizard", *files))
    assert "is not a file" in one_sentence(here("import", "wizard", files[0].parent / "none.csv", "--yes"))
    usage = here("import", "wizard")
    assert usage.returncode == 2 and "Missing argument" in usage.stderr
    assert "Look at FILEs" in here("import", "wizard", "--help").stdout


def test_a_person_corrects_a_guess(files: tuple[Path, Path], environment: dict[str, str]) -> None:
    """In a terminal: an unknown column is asked for again, `-` is none, and nothing is written without a yes."""
    answers = ["", "nobody", "", "movieId", "-", "", "iso", "", "films", "y"]
    said = in_a_terminal(["import", "wizard", str(files[0])], answers, environment)
    assert "there is no column 'nobody' among userId, movieId, rating, timestamp" in said
    mapping = load_mapping(files[0].with_suffix(".toml"))
    assert mapping.field == "films"
    assert mapping.interactions[0].columns() == {"user": "userId", "item": "movieId", "time": "timestamp"}
    assert mapping.interactions[0].time_format == "iso"
    assert "40 of the first 40 rows cannot be used" in said, "the preview says that the correction was none"


def in_a_terminal(arguments: list[str], answers: list[str], environment: dict[str, str]) -> str:
    """Run `cikg` at a terminal of its own, and type an answer at each prompt; returns all that it said."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*CIKG, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    said, waiting, deadline = "", list(answers), time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                said += os.read(ours, 65_536).decode()
            except OSError:  # the other end is closed
                break
        elif waiting and said.endswith(": "):
            os.write(ours, f"{waiting.pop(0)}\n".encode())
            said += "\n"
        elif process.poll() is not None:
            break
    os.close(ours)
    assert process.wait(10) == 0, said
    assert not waiting, said
    return " ".join(said.split())

"""`cikg dataset` as a person runs it: two datasets in one database, one dropped, interrupted, and dropped again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cikg.datasets import drop as dropping
from cikg.datasets.drop import drop, folders
from cikg.datasets.loader import load
from cikg.errors import ConflictError
from cikg.files import write_file
from cikg.graph import Graph
from cikg.settings import Settings
from tests import planted
from tests.integration.cli.test_import import Cikg, one_sentence
from tests.integration.graph.state import digest
from tests.unit.datasets.folders import write

ALL = ("Dataset", "User", "Item", "Entity", "Intent", "Interest", "Profile", "Run", "Subject", "Model", "Completion")


def left(graph: Graph, dataset: str) -> dict[str, int]:
    """How many nodes of each label a dataset still has."""
    rows = graph.execute("MATCH (n {dataset: $d}) RETURN labels(n)[0] AS label, count(*) AS n", d=dataset)
    return {row["label"]: row["n"] for row in rows}


def plain(text: str) -> str:
    """What a terminal shows, without its lines' breaks."""
    return " ".join(text.split())


@pytest.fixture
def two(graph: Graph, dataset: str) -> Iterator[tuple[str, str]]:
    """Two datasets with everything that a dataset can have."""
    names = (dataset, f"{dataset}-other")
    for name in names:
        planted.write(graph, name)
        planted.write_runs(graph, name)
        planted.write_training(graph, name, f"ease-{name}-0123456789ab", "ease", 0.5)
        graph.execute(
            "MERGE (m:Model {uid: $d + ':m'}) SET m += {id: 'm', dataset: $d} "
            "MERGE (p:Profile {uid: $d + ':p'}) SET p += {id: 'p', dataset: $d} "
            "WITH p MATCH (u:User {uid: $d + ':0'}) MERGE (p)-[:DESCRIBES]->(u)",
            d=name,
        )
    yield names
    for name in names:
        graph.execute("MATCH (n {dataset: $d}) DETACH DELETE n", d=name)


def test_dropping_one_leaves_the_other_as_it_was(graph: Graph, here: Cikg, two: tuple[str, str]) -> None:
    mine, other = two
    assert set(left(graph, mine)) == set(ALL), "every kind of node is there to be dropped"
    before, kinds = digest(graph, other), left(graph, other)
    done = here("dataset", "drop", mine, "--yes", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert said["nodes"] == sum(kinds.values()) - kinds["Completion"]
    assert said["kept"] == {"completions": 1, "files": []}
    assert left(graph, mine) == {"Completion": 1}
    assert digest(graph, other) == before and left(graph, other) == kinds
    assert "there is no dataset" in one_sentence(here("dataset", "drop", mine, "--yes"))
    assert here("dataset", "drop", mine, "--yes", "--completions").returncode == 0
    assert left(graph, mine) == {}


def test_an_interrupted_drop_is_completed_by_the_next(
    graph: Graph, here: Cikg, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = two
    before, nodes = digest(graph, other), dropping.held(graph, mine)
    monkeypatch.setattr(dropping, "DROP_BATCH", 7)

    def interrupt(_count: int) -> None:
        if dropping.held(graph, mine) < nodes / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drop(graph, mine, interrupt)
    assert 0 < dropping.held(graph, mine) < nodes / 2
    (row,) = [row for row in json.loads(here("dataset", "list", "--json").stdout)["datasets"] if row["dataset"] == mine]
    assert row["state"] == "dropping"
    shown = here("dataset", "show", mine)
    assert shown.returncode == 0 and f"{mine}: dropping" in plain(shown.stdout)
    assert "is half dropped" in one_sentence(here("extract", "--dataset", mine, "--dry-run"))
    done = here("dataset", "drop", mine, "--yes")
    assert done.returncode == 0, done.stderr
    assert left(graph, mine) == {"Completion": 1}
    assert digest(graph, other) == before


def test_a_drop_does_not_fight_an_import(graph: Graph, dataset: str, tmp_path: Path) -> None:
    folder = write(tmp_path)
    load(graph, "cikgrec", folder, dataset)
    whole = digest(graph, dataset)

    def overtake(_count: int) -> None:
        load(graph, "cikgrec", folder, dataset, replace=True)

    with pytest.raises(ConflictError, match="an import is writing the dataset"):
        drop(graph, dataset, overtake)
    assert digest(graph, dataset) == whole
    drop(graph, dataset)
    assert left(graph, dataset) == {}


def test_long_texts_are_dropped_a_few_at_a_time(graph: Graph, dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of a transaction has a limit, and the texts that it deletes count."""
    monkeypatch.setattr(dropping, "CHARACTERS", 100)
    graph.execute(
        "CREATE (:Dataset {uid: $d, id: $d, dataset: $d}) WITH 1 AS made UNWIND $lengths AS length "
        "CREATE (:Item {uid: $d + ':' + length[0], id: length[0], dataset: $d, text: length[1]})",
        d=dataset,
        lengths=[[f"i{number}", "x" * length] for number, length in enumerate([300, 40, 40, 40, 0, 0, 101, 99])],
    )
    steps: list[int] = []
    drop(graph, dataset, steps.append)
    assert sum(steps) == 8 and left(graph, dataset) == {}
    assert max(steps) < 6, "the texts of three fit, and those of none"
    assert len(steps) >= 4


def test_files_are_named_and_removed_when_asked(
    graph: Graph, here: Cikg, settings: Settings, two: tuple[str, str]
) -> None:
    mine, other = two
    for name in (mine, other):
        assert here("snapshot", "--dataset", name).returncode == 0
        run = settings.runs / f"ease-{name}-0123456789ab"
        write_file(run / "manifest.json", json.dumps({"dataset": name}).encode())
        write_file(settings.runs / f"cikgrec-{name}-ba9876543210" / "checkpoint-select.safetensors", b"half trained")
        write_file(settings.home / "tuning" / name / "0123456789abcdef" / "ease" / "journal.log", b"a trial")
    paths = [str(path) for path in folders(settings, mine)]
    assert len(paths) == 4
    asked = one_sentence(here("dataset", "drop", mine))
    assert "there is no terminal to ask in. Give --yes" in asked
    assert "no terminal" in json.loads(here("dataset", "drop", mine, "--json").stdout)["message"]
    kept = here("dataset", "drop", mine, "--yes")
    assert all(path in kept.stderr.replace("\n", "") for path in paths)
    done = json.loads(here("dataset", "drop", mine, "--yes", "--files", "--json").stdout)
    assert sorted(done["removed"]) == sorted(paths) and done["nodes"] == 0
    assert folders(settings, mine) == [] and len(folders(settings, other)) == 4


def test_what_a_failed_import_left_can_be_dropped(graph: Graph, here: Cikg, dataset: str) -> None:
    run = {"id": "import-1", "dataset": dataset, "name": "import prepared", "queue": "graph"}
    graph.write("queue_command", run=f"{dataset}:import-1", properties=run)
    assert [row["run"] for row in json.loads(here("jobs", "list", "--dataset", dataset, "--json").stdout)["commands"]]
    done = here("dataset", "drop", dataset, "--yes", "--json")
    assert (done.returncode, json.loads(done.stdout)["nodes"]) == (0, 1), done.stderr
    assert left(graph, dataset) == {}
    assert "there is no dataset" in one_sentence(here("dataset", "drop", dataset, "--yes"))


def test_show_says_everything(graph: Graph, here: Cikg, dataset: str, tmp_path: Path) -> None:
    folder = write(tmp_path)
    with (folder / "train.txt").open("a", encoding="utf-8") as file:
        file.write("x y\n")
    imported = here("import", "cikgrec", folder, "--dataset", dataset, "--max-rejected", "0.5")
    assert imported.returncode == 0, imported.stderr
    assert here("snapshot", "--dataset", dataset).returncode == 0
    found: dict[str, Any] = json.loads(here("dataset", "show", dataset, "--json").stdout)
    assert (found["state"], found["format"], found["interests"]) == ("ready", "cikgrec", "imported")
    assert found["source"] == str(folder.resolve())
    counts = {"users": 4, "items": 4, "entities": 2, "interests": 2, "interactions": 8, "has_interest": 3}
    assert counts.items() <= found["counts"].items()
    assert found["split"]["train"] + found["split"]["valid"] == 6 and found["split"]["test"] == 2
    assert {(row["relation"], row["type"], row["facts"]) for row in found["relations"]} == {
        ("http://a.org/ontology/literaryGenre", "LITERARY_GENRE", 1),
        ("http://b.org/literaryGenre", "LITERARY_GENRE_2", 1),
        ("book.author", "BOOK_AUTHOR", 2),
    }
    assert found["report"]["rejected"] == 1 and Path(found["report"]["rejected_file"]).is_file()
    assert [run["kind"] for run in found["runs"]] == ["import"]
    assert Path(found["snapshot"]["path"]).is_dir()
    text = plain(here("dataset", "show", dataset).stdout)
    for shown in (f"{dataset}: ready", "LITERARY_GENRE_2", "rejected", "import-", "snapshot"):
        assert shown in text
    listed = here("dataset", "list")
    assert listed.returncode == 0 and "Datasets" in listed.stdout
    drop(graph, dataset)


def test_export_as_a_command(graph: Graph, here: Cikg, dataset: str, tmp_path: Path) -> None:
    assert here("import", "cikgrec", write(tmp_path / "in"), "--dataset", dataset).returncode == 0
    done = here("dataset", "export", dataset, tmp_path / "out", "--format", "csv", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["rows"]["interactions"] == 8
    assert "already exists" in one_sentence(here("dataset", "export", dataset, tmp_path / "out"))
    again = here("import", "archive", tmp_path / "out", "--dataset", f"{dataset}-again")
    assert again.returncode == 0, again.stderr
    assert graph.one("dataset_counts", dataset=f"{dataset}-again") == graph.one("dataset_counts", dataset=dataset)
    for name in (dataset, f"{dataset}-again"):
        drop(graph, name)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "no-such-dataset"], "there is no dataset 'no-such-dataset'"),
        (["drop", "no-such-dataset", "--yes"], "there is no dataset 'no-such-dataset'"),
        (["export", "no-such-dataset", "/nowhere/else"], "there is no dataset 'no-such-dataset'"),
        (["show", "A B"], "'A B' cannot be the name of a dataset"),
    ],
)
def test_wrong_arguments(here: Cikg, arguments: list[str], said: str) -> None:
    assert said in one_sentence(here("dataset", *arguments))

"""Exporting a dataset and importing it again: nothing is lost, nothing comes in between, damage is noticed."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cikg.datasets import registry
from cikg.datasets.archive import FORMATS, Archived, export_dataset
from cikg.datasets.checking import Rules
from cikg.datasets.drop import drop
from cikg.datasets.loader import load
from cikg.datasets.reading.source import Source
from cikg.datasets.records import Entity, Fact, Format, HasInterest, Interaction, Interest, Item, Record, User
from cikg.datasets.splits import SplitKind, SplitRule
from cikg.errors import ConflictError, InputError, NotFoundError
from cikg.graph import Graph
from cikg.schema import Split
from tests import planted as library
from tests.integration.datasets.arbitrary import datasets
from tests.integration.graph.state import state

RECORDS: list[Record] = [
    User("007", "=cmd|' /C calc'!A0"), User("8"), User("9", ""),
    Item("1", "Emma", "A text"), Item("2", "-1"), Entity("e", "'quoted'"),
    Interest("n", "Night"), Interest("m"),
    Interaction("007", "1", Split.TRAIN, rating=0.1, at=-3), Interaction("007", "2", Split.TRAIN),
    Interaction("8", "2", Split.TRAIN, at=5),
    Fact("1", "by author", "e"), Fact("e", "by author", "2"),
    HasInterest("007", "n"),
]  # fmt: skip


def silent(_description: str, _total: int | None) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _count: None)


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """The records of a format `arbitrary`."""
    held = list(RECORDS)

    def read(source: Source) -> Iterator[Record]:
        source.field = "books"
        yield from held

    made = Format(name="arbitrary", help="", read=read, needs_path=False)
    known = {"arbitrary": made, "archive": registry.format_named("archive")}
    monkeypatch.setattr(registry, "formats", lambda: known)
    return held


def content(graph: Graph, dataset: str) -> list[Any]:
    """All of a dataset but which import made it, in what format."""
    rows = [json.loads(row) for row in state(graph, dataset)]
    for row in rows:
        for key in ("run", "format", "fingerprint"):
            row["properties"].pop(key, None)
    return sorted(json.dumps(row, sort_keys=True) for row in rows if row.get("labels") != ["Run"])


def export(graph: Graph, dataset: str, folder: Path, kind: str = "parquet") -> Archived:
    return export_dataset(graph, dataset, folder, kind, silent)


@hypothesis_settings(
    max_examples=14,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(wanted=datasets(), kind=st.sampled_from(FORMATS))
def test_any_dataset_survives_export_and_import(
    *, graph: Graph, dataset: str, tmp_path: Path, records: list[Record], wanted: list[Record], kind: str
) -> None:
    records[:] = wanted
    folder = next(tmp_path / str(number) for number in itertools.count() if not (tmp_path / str(number)).exists())
    first, second = dataset, f"{dataset}-again"
    report = load(graph, "arbitrary", None, first)
    assert report.rejected == 0
    export(graph, first, folder, kind)
    load(graph, "archive", folder, second)
    try:
        assert content(graph, second) == content(graph, first)
    finally:
        drop(graph, first)
        drop(graph, second)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_archive_of_an_archive_is_equal_to_the_byte(
    graph: Graph, dataset: str, tmp_path: Path, records: list[Record], kind: str
) -> None:
    load(graph, "arbitrary", None, dataset, rules=Rules(split=SplitRule(SplitKind.RATIO, 0.3, 0.3, seed=5)))
    exported = export(graph, dataset, tmp_path / "one", kind)
    assert exported.rows["users"] == 3 and exported.rows["interactions"] == 3 and exported.rows["facts"] == 2
    again = f"{dataset}-again"
    report = load(graph, "archive", tmp_path / "one", again)
    assert report.rows == sum(exported.rows.values()) and report.split["split_seed"] == 5
    assert content(graph, again) == content(graph, dataset)
    assert load(graph, "archive", tmp_path / "one", again).unchanged
    export(graph, again, tmp_path / "two", kind)
    for file in (tmp_path / "one").rglob(f"*.{kind}"):
        assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes(), file.name
    found = graph.one("find_dataset", dataset=again)["dataset"]
    assert (found["field"], found["interests"], found["split"]) == ("books", "imported", "ratio")


def test_a_split_that_is_asked_for_replaces_the_archived_one(
    graph: Graph, dataset: str, tmp_path: Path, records: list[Record]
) -> None:
    load(graph, "arbitrary", None, dataset)
    export(graph, dataset, tmp_path / "one")
    report = load(
        graph, "archive", tmp_path / "one", f"{dataset}-b", rules=Rules(split=SplitRule(SplitKind.LEAVE_ONE_OUT))
    )
    assert report.split["split"] == "leave-one-out" and report.counts["test"] == 1


def test_no_cell_of_a_csv_begins_a_formula(graph: Graph, dataset: str, tmp_path: Path, records: list[Record]) -> None:
    load(graph, "arbitrary", None, dataset)
    export(graph, dataset, tmp_path / "out", "csv")
    with (tmp_path / "out" / "users.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["id", "name"], ["007", "'=cmd|' /C calc'!A0"], ["8", ""], ["9", "'"]]
    with (tmp_path / "out" / "items.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1:] == [["1", "Emma", "A text"], ["2", "'-1", ""]]
    with (tmp_path / "out" / "entities.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1:] == [["e", "''quoted'"]]
    with (tmp_path / "out" / "interactions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    assert {(row[0], row[1], row[3], row[4]) for row in rows} == {
        ("007", "1", "0.1", "-3"), ("007", "2", "", ""), ("8", "2", "", "5")
    }  # fmt: skip


def test_what_a_model_wrote_is_exported_with_its_evidence(graph: Graph, dataset: str, tmp_path: Path) -> None:
    library.write(graph, dataset)
    graph.execute(
        "MATCH (:User {dataset: $d})-[p:POSSESSES]->() WITH p LIMIT 1 SET p.pruned_by = 'judge'",
        d=dataset,
    )
    graph.execute(
        "MERGE (i:Interest {uid: $d + ':given'}) "
        "SET i += {id: 'given', dataset: $d, name: 'Given', source: 'imported'} "
        "WITH i MATCH (a:User {uid: $d + ':0'}), (b:User {uid: $d + ':1'}) "
        "MERGE (a)-[:HAS_INTEREST {run: 'import'}]->(i) "
        "MERGE (b)-[:HAS_INTEREST {run: 'r', evidence: ['almanac']}]->(i) "
        "CREATE (p:Profile {uid: $d + ':refined/User/0', dataset: $d, id: 'refined/User/0', text: 'Likes roses.', "
        "source: 'extracted'})-[:DESCRIBES {run: 'r', completion: 'c', evidence: ['almanac']}]->(a)",
        d=dataset,
    )
    export(graph, dataset, tmp_path / "out")
    held = pl.read_parquet(tmp_path / "out" / "knowledge" / "user_intents.parquet")
    assert held.height == len(library.readers())
    assert set(held["completion"]) == {f"{dataset}:answer"} and held["evidence"].list.len().to_list() == [1] * 41
    assert held.filter(pl.col("pruned_by") == "judge").height == 1
    interests = pl.read_parquet(tmp_path / "out" / "knowledge" / "user_interests.parquet")
    assert set(interests["interest"]) == {*library.KINDS, "given"} and interests["evidence"].null_count() == 0
    written = pl.read_parquet(tmp_path / "out" / "knowledge" / "profiles.parquet").rows()
    profile = ("refined/User/0", "user", "0", "Likes roses.", "extracted", "r", "c", ["almanac"], None, None, None)
    assert written == [profile]
    assert pl.read_parquet(tmp_path / "out" / "interests.parquet").rows() == [("given", "Given")]
    imported = pl.read_parquet(tmp_path / "out" / "user_interests.parquet").rows()
    assert imported == [("0", "given")], "an edge with evidence is a model's, whatever it leads to"
    again = f"{dataset}-again"
    load(graph, "archive", tmp_path / "out", again)
    counts = graph.one("dataset_counts", dataset=again)
    assert (counts["users"], counts["intents"], counts["interests"], counts["has_interest"]) == (41, 2, 3, 43)
    drop(graph, dataset)
    drop(graph, again)


def test_what_is_there_stays(graph: Graph, dataset: str, tmp_path: Path, records: list[Record]) -> None:
    load(graph, "arbitrary", None, dataset)
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="already exists"):
        export(graph, dataset, tmp_path / "mine")
    with pytest.raises(NotFoundError, match="there is no dataset"):
        export(graph, f"{dataset}-typo", tmp_path / "out")

    @contextmanager
    def breaking(description: str, _total: int | None) -> Iterator[Callable[[int], None]]:
        def interrupt(_count: int) -> None:
            if description == "writing":
                raise KeyboardInterrupt

        yield interrupt

    with pytest.raises(KeyboardInterrupt):
        export_dataset(graph, dataset, tmp_path / "out", "parquet", breaking)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_dataset_that_changes_while_it_is_read_is_read_again(
    graph: Graph, dataset: str, tmp_path: Path, records: list[Record]
) -> None:
    load(graph, "arbitrary", None, dataset)
    renamed = []

    @contextmanager
    def disturbing(_description: str, _total: int | None) -> Iterator[Callable[[int], None]]:
        def disturb(_count: int) -> None:
            if not renamed:
                renamed.extend(
                    graph.execute(
                        "MATCH (d:Dataset {uid: $d}) SET d.version = d.version + 1 "
                        "WITH d MATCH (n:User|Item {dataset: $d}) SET n.name = 'renamed' RETURN n.id AS id",
                        d=dataset,
                    )
                )

        yield disturb

    export_dataset(graph, dataset, tmp_path / "out", "parquet", disturbing)
    read = pl.concat(pl.read_parquet(tmp_path / "out" / f"{table}.parquet")["name"] for table in ("users", "items"))
    assert read.to_list() == ["renamed"] * len(renamed), "both tables are of the state after the change"
    graph.execute("MATCH (d:Dataset {uid: $d}) SET d.state = 'importing'", d=dataset)
    with pytest.raises(ConflictError, match="is not complete"):
        export(graph, dataset, tmp_path / "again")
    graph.execute("MATCH (d:Dataset {uid: $d}) SET d.state = 'dropping'", d=dataset)
    with pytest.raises(ConflictError, match="is half dropped"):
        export(graph, dataset, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def _forge(folder: Path) -> None:
    """Put another table in place of one, and its digest into the manifest."""
    pl.DataFrame({"id": ["1"], "name": [2]}).write_parquet(folder / "users.parquet")
    data = (folder / "users.parquet").read_bytes()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["tables"]["users"] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "rows": 1}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: _flip(folder / "facts.parquet"), r"facts\.parquet: the table is missing or was changed"),
        (lambda folder: (folder / "items.parquet").unlink(), r"items\.parquet: the table is missing or was changed"),
        (_forge, r"users\.parquet: the table is missing or was changed"),
        (lambda folder: (folder / "manifest.json").unlink(), r"has no manifest\.json. Give the path of a folder"),
        (lambda folder: (folder / "manifest.json").write_text("{"), r"manifest\.json: it is damaged"),
        (lambda folder: (folder / "manifest.json").write_text('{"dataset": {}, "tables": {}}'), "lacks users, items,"),
        (lambda folder: (folder / "manifest.json").write_text('{"layout": 99}'), "layout is wrong"),
    ],
    ids=["changed", "missing table", "other columns", "no manifest", "no JSON", "no tables", "other layout"],
)
def test_a_damaged_archive_is_refused(
    *, graph: Graph, dataset: str, tmp_path: Path, records: list[Record], damage: Callable[[Path], object], said: str
) -> None:
    load(graph, "arbitrary", None, dataset)
    export(graph, dataset, tmp_path / "out")
    damage(tmp_path / "out")
    with pytest.raises(InputError, match=said):
        load(graph, "archive", tmp_path / "out", f"{dataset}-again")

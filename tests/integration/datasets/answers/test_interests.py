"""Interests inferred elsewhere: whose they are, what they replace, and that they are marked as without evidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from cikg.datasets.answers import interests
from cikg.datasets.answers.importing import AnswersReport
from cikg.datasets.loader import load
from cikg.errors import InputError, NotFoundError
from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.schema import Label, uid
from cikg.serving import corrections
from cikg.serving.corrections import Claim, correct
from cikg.settings import Settings
from tests.unit.datasets import folders

FOLDER = Path(__file__).parents[5] / "shared" / "data" / "cikgrec" / "dbbook2014"
HOLDERS = """
MATCH (u:User {dataset: $d})-[e:HAS_INTEREST]->(i:Interest)
RETURN u.id AS user, i.id AS interest, i.name AS name, i.source AS source, e.run AS run, e.evidence AS evidence
ORDER BY user, interest
"""


def held(graph: Graph, dataset: str) -> set[tuple[str, str, str]]:
    return {(row["user"], row["interest"], row["name"]) for row in graph.execute(HOLDERS, d=dataset)}


def written(path: Path, kind: str) -> Path:
    """The same interests in a file of some kind."""
    lists = {"20": ["Jazz", "sea shanties", "JAZZ"], "3": ["jazz"]}
    pairs = [(user, interest) for user, interests in lists.items() for interest in interests]
    file = path / f"interests.{kind}"
    match kind:
        case "json":
            file.write_text(json.dumps(lists))
        case "jsonl":
            rows = ({"id": user, "interests": found} for user, found in lists.items())
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case "txt":
            file.write_text("".join(f"{user} {interest}\n" for user, interest in pairs))
        case "csv":
            pl.DataFrame(pairs, schema=["id", "interest"], orient="row").write_csv(file)
        case "parquet":
            pl.DataFrame(pairs, schema=["id", "interest"], orient="row").write_parquet(file)
    return file


@pytest.mark.parametrize("kind", ["json", "jsonl", "txt", "csv", "parquet"])
def test_every_kind_of_file_gives_the_same_interests_marked_as_without_evidence(
    graph: Graph, shop: str, tmp_path: Path, settings: Settings, kind: str
) -> None:
    report = interests.load(graph, written(tmp_path, kind), shop, model="m")
    assert (report.written, report.standing, report.rejected) == (3, 0, 0)
    assert held(graph, shop) == {("20", "jazz", "JAZZ"), ("20", "sea shanties", "sea shanties"), ("3", "jazz", "JAZZ")}
    rows = graph.execute(HOLDERS, d=shop)
    assert all((row["source"], row["run"], row["evidence"]) == ("imported", report.run, None) for row in rows)
    assert "no evidence" in report.remark
    (wrote,) = graph.many("written_by_run", dataset=shop, run=str(report.run).partition(":")[2])
    assert (wrote["kind"], wrote["edges"]) == ("HAS_INTEREST", 3)
    assert graph.one("extraction_leaks", dataset=shop) == {"edges": 0, "leaks": 0}
    found = take(graph, shop, settings)
    assert len(found.has_interest.user_index) == 3
    assert not np.asarray(found.has_interest.from_evidence).any()


def test_what_was_corrected_stays_so_when_other_interests_are_imported(graph: Graph, shop: str, tmp_path: Path) -> None:
    interests.load(graph, written(tmp_path, "json"), shop)
    correct(graph, Claim(shop, Label.USER, "20", "interest", "jazz"), by="ann")
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"20": ["jazz", "opera"], "3": ["opera"]}))
    interests.load(graph, other, shop)
    assert {each[:2] for each in held(graph, shop)} == {("20", "jazz"), ("20", "opera"), ("3", "opera")}
    assert [row["id"] for row in graph.many("user_interests", user=uid(shop, "20"))] == ["opera"]
    (of,) = corrections.of(graph, shop, Label.USER).values()
    assert [(one.id, one.by) for one in of.corrections] == [("jazz", "ann")]


def test_a_repetition_changes_nothing_and_another_file_replaces_all_of_it(
    graph: Graph, shop: str, tmp_path: Path
) -> None:
    def version() -> Any:
        return graph.many("find_dataset", dataset=shop)[0]["dataset"]["version"]

    first = interests.load(graph, written(tmp_path, "json"), shop)
    at = version()
    again = interests.load(graph, written(tmp_path, "parquet"), shop)
    assert (again.written, again.standing, again.run, version()) == (0, 3, first.run, at)
    graph.execute(
        "MATCH (u:User {uid: $d + ':3'}) CREATE (i:Interest {uid: $d + ':own', dataset: $d, id: 'own', name: 'Own', "
        "source: 'extracted'}) CREATE (u)-[:HAS_INTEREST {evidence: ['1']}]->(i)",
        d=shop,
    )
    other = tmp_path / "other.json"
    other.write_text('{"3": ["Jazz", 12]}')
    interests.load(graph, other, shop)
    assert held(graph, shop) == {("3", "jazz", "Jazz"), ("3", "12", "interest 12"), ("3", "own", "Own")}
    assert version() > at


def test_the_list_beside_cikgrec_s_file_says_whose_numbers_they_are(graph: Graph, dataset: str, tmp_path: Path) -> None:
    folder = folders.write(tmp_path)
    load(graph, "cikgrec", folder, dataset)
    came = {(user, interest) for user, interest, _ in held(graph, dataset)}
    report = interests.load(graph, folder / "user_interest_clustered.txt", dataset)
    assert report.numbers == str(folder / "user_list.txt")
    assert {(user, interest) for user, interest, _ in held(graph, dataset)} == came != set()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"9": ["jazz"]}', "the dataset has no user '9'"),
        ('{"3": [["jazz"]]}', "expected an interest"),
        ('{"3": "   "}', "expected an interest"),
        ('{"3": [true]}', "expected an interest"),
        ("[]", "expected a JSON object"),
        ("{}", "it holds no answers"),
    ],
)
def test_what_cannot_be_used_is_named_and_writes_nothing(
    graph: Graph, shop: str, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text)
    with pytest.raises(InputError, match=said):
        interests.load(graph, file, shop)
    assert held(graph, shop) == set()


def test_a_table_without_the_column_and_an_unknown_dataset_are_refused(graph: Graph, shop: str, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("id,text\n3,jazz\n")
    with pytest.raises(InputError, match="it has no column 'interest'"):
        interests.load(graph, file, shop)
    with pytest.raises(NotFoundError, match="no dataset"):
        interests.load(graph, written(tmp_path, "json"), "no-such-dataset")


@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the published data is not at {FOLDER}; it may not be redistributed")
def test_the_published_file(graph: Graph, dataset: str, tmp_path: Path) -> None:
    for name in ("train.txt", "test.txt", "user_list.txt", "item_list.txt"):
        (tmp_path / name).symlink_to(FOLDER / name)
    load(graph, "cikgrec", tmp_path, dataset)
    (tmp_path / "user_interest_clustered.txt").symlink_to(FOLDER / "user_interest_clustered.txt")
    report: AnswersReport = interests.load(graph, tmp_path / "user_interest_clustered.txt", dataset)
    rows = len((FOLDER / "user_interest_clustered.txt").read_text().splitlines())
    assert report.rows == rows
    assert report.rejected == 0
    assert report.written == len(held(graph, dataset))

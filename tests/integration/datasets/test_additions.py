"""Adding to a dataset that is there: what is new comes in, and nothing else changes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from cikg.datasets.additions import add
from cikg.datasets.loader import load
from cikg.errors import ConflictError, InputError, NotFoundError
from cikg.extraction import ledger
from cikg.extraction.job import job
from cikg.graph import Graph
from tests.conftest import CIKG
from tests.integration.datasets.test_loader import large, properties
from tests.integration.graph.state import state
from tests.unit.datasets.folders import FILES, write

MAPPING = """
field = "plays"
[interactions]
file = "plays.csv"
user = "user"
item = "item"
"""
TEXTS = """
[items]
file = "texts.csv"
id = "item"
name = "title"
text = "text"
"""


def plays(folder: Path, chosen: str, texts: str = "") -> Path:
    """A folder of tables, that of texts only where there are some; its mapping."""
    folder.mkdir()
    (folder / "plays.csv").write_text(f"user,item\n{chosen}")
    (folder / "texts.csv").write_text(texts)
    (folder / "mapping.toml").write_text(MAPPING + TEXTS * bool(texts))
    return folder / "mapping.toml"


def content(graph: Graph, dataset: str, *, splits: bool = True) -> set[str]:
    """Nodes and edges of the data, without the descriptions of the dataset, its runs, and by which run an edge came."""
    rows = []
    for row in map(json.loads, state(graph, dataset)):
        if row.get("labels", [""])[0] in {"Dataset", "Run"}:
            continue
        hidden = {"run"} if splits else {"run", "split"}
        row["properties"] = {name: value for name, value in row["properties"].items() if name not in hidden}
        rows.append(json.dumps(row, sort_keys=True))
    assert len(rows) == len(set(rows)), "an edge was written twice"
    return set(rows)


def test_what_is_new_comes_in_and_nothing_else_changes(graph: Graph, dataset: str, tmp_path: Path) -> None:
    load(graph, "cikgrec", write(tmp_path / "old"), dataset)
    before, version = content(graph, dataset), properties(graph, dataset)["version"]
    newer = write(
        tmp_path / "new",
        train="0 0 1 2 3\n1 2 1\n2 0\n3 0\n4 4\n",  # user 0 now has item 3 in train, which is test there
        test="",
        user_list="org_id remap_id\nu-10 0\nu-20 1\nu-30 2\nu-40 3\nu-50 4\n",
        item_list=f"{FILES['item_list.txt'].rstrip()}\n11 4 Ice\n",
        kg_final="0 0 5\n4 3 6\n",
        entity_list=None,
        relation_list=None,
        user_interest_clustered=None,
    )
    report = add(graph, "cikgrec", newer, dataset)
    assert not report.unchanged
    counted = ("users", "items", "interactions", "train", "valid", "test")
    assert [report.counts[kind] for kind in counted] == [1, 1, 2, 2, 0, 0]
    after = content(graph, dataset)
    assert before - after == set()
    found = properties(graph, dataset)
    assert found["state"] == "ready" and found["version"] > version
    assert len(found["relations"]) == len(set(found["relations"])) == len(found["relation_names"])
    (counts,) = graph.many("counts", dataset=dataset)
    assert (counts["users"], counts["items"], counts["interactions"], counts["has_interest"]) == (5, 5, 10, 3)
    splits = graph.execute(
        "MATCH (:User {uid: $uid})-[has:INTERACTED]->(item) RETURN item.id AS item, has.split AS split ORDER BY item",
        uid=f"{dataset}:u-10",
    )
    assert {"item": "9", "split": "test"} in splits, "an interaction that is there keeps its split"
    runs = graph.execute(
        "MATCH (run:Run {dataset: $dataset, kind: 'import'}) RETURN run.state AS state", dataset=dataset
    )
    assert runs == [{"state": "done"}] * 2


def test_twice_is_once(graph: Graph, dataset: str, tmp_path: Path) -> None:
    load(graph, "table", plays(tmp_path / "old", "a,x\nb,y\n"), dataset)
    more = plays(tmp_path / "new", "a,x\na,z\nc,x\n")
    assert not add(graph, "table", more, dataset).unchanged
    once, version = state(graph, dataset), properties(graph, dataset)["version"]
    again = add(graph, "table", more, dataset)
    assert again.unchanged and again.counts["interactions"] == 0
    assert state(graph, dataset) == once
    assert properties(graph, dataset)["version"] == version, "a snapshot would be taken again for nothing"


def test_step_by_step_is_all_at_once(graph: Graph, dataset: str, tmp_path: Path) -> None:
    folder = large(tmp_path / "large", users=120, items=40)
    lines = (folder / "train.txt").read_text().splitlines()
    for number, last in enumerate((40, 70, 120)):
        (folder / "train.txt").write_text("\n".join(lines[:last]))
        if number == 0:
            load(graph, "cikgrec", folder, dataset)
        else:
            add(graph, "cikgrec", folder, dataset)
    load(graph, "cikgrec", folder, f"{dataset}-whole")
    assert content(graph, dataset, splits=False) == content(graph, f"{dataset}-whole", splits=False)


def test_names_and_texts_that_a_source_brings_are_taken_over(graph: Graph, dataset: str, tmp_path: Path) -> None:
    titles = "item,title,text\nx,Hamlet,A prince hesitates.\ny,Macbeth,\n"
    load(graph, "table", plays(tmp_path / "old", "a,x\nb,y\n", titles), dataset)
    add(graph, "table", plays(tmp_path / "none", "a,y\n"), dataset)
    add(graph, "table", plays(tmp_path / "new", "a,y\n", "item,title,text\ny,Macbeth,A thane kills.\n"), dataset)
    found = graph.execute(
        "MATCH (item:Item {dataset: $dataset}) RETURN item.name AS name, item.text AS text ORDER BY name",
        dataset=dataset,
    )
    assert found == [{"name": "Hamlet", "text": "A prince hesitates."}, {"name": "Macbeth", "text": "A thane kills."}]


def test_only_users_with_new_history_are_asked_about_again(graph: Graph, dataset: str, tmp_path: Path) -> None:
    chosen = "".join(f"u{user},i{(user + step) % 12}\n" for user in range(20) for step in range(4))
    titles = "item,title,text\n" + "".join(f"i{item},Play {item},A text.\n" for item in range(13))
    mapping = plays(tmp_path / "old", chosen, titles)
    load(graph, "table", mapping, dataset)

    def inputs() -> dict[str, str]:
        planned = ledger.plan(graph, job("user_interests"), dataset, "none")
        return {subject.id: subject.input_hash for subject in planned.pending}

    before = inputs()
    add(graph, "table", plays(tmp_path / "new", "u3,i12\nu7,i12\nnew,i1\n", titles), dataset)
    after = inputs()
    assert {user for user in after if after[user] != before.get(user)} == {"u3", "u7", "new"}


def test_an_interrupted_addition_is_completed_by_repeating_it_alone(
    graph: Graph, dataset: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    base = write(tmp_path / "base", train="0 0 1\n1 1\n", test="", user_interest_clustered=None)
    load(graph, "cikgrec", base, dataset)
    folder = large(tmp_path / "large")
    command = [*CIKG, "import", "cikgrec", str(folder), "--dataset", dataset, "--add"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        found = properties(graph, dataset)
        if found["state"] == "importing" and int(str(found["imported"])) >= 5_000:
            os.kill(process.pid, signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL
    for other in (lambda: add(graph, "cikgrec", base, dataset), lambda: load(graph, "cikgrec", base, dataset)):
        with pytest.raises(ConflictError):
            other()
    assert properties(graph, dataset)["state"] == "importing"
    assert not add(graph, "cikgrec", folder, dataset).unchanged
    load(graph, "cikgrec", base, f"{dataset}-calm")
    add(graph, "cikgrec", folder, f"{dataset}-calm")
    assert content(graph, dataset) == content(graph, f"{dataset}-calm")
    assert properties(graph, dataset)["state"] == "ready"


def test_a_source_need_not_describe_what_the_dataset_has(graph: Graph, dataset: str, tmp_path: Path) -> None:
    load(graph, "table", plays(tmp_path / "old", "a,x\nb,y\n", "item,title,text\nx,Hamlet,\ny,Macbeth,\n"), dataset)
    new = plays(tmp_path / "new", "a,y\na,z\nc,x\n", "item,title,text\nz,Othello,\n")
    report = add(graph, "table", new, dataset)
    assert (report.rejected, report.counts["interactions"], report.counts["items"]) == (0, 3, 1)
    unknown = plays(tmp_path / "unknown", "a,w\nb,x\n", "item,title,text\nz,Othello,\n")
    with pytest.raises(InputError, match="names an item 'w' that the dataset does not have"):
        add(graph, "table", unknown, dataset)


def test_two_additions_at_once_write_every_row_once(graph: Graph, dataset: str, tmp_path: Path) -> None:
    load(graph, "cikgrec", write(tmp_path / "base", train="0 0 1\n1 1\n", test=""), dataset)
    load(graph, "cikgrec", tmp_path / "base", f"{dataset}-calm")
    folder = large(tmp_path / "large", users=600)
    errors: list[ConflictError] = []

    def work() -> None:
        try:
            add(graph, "cikgrec", folder, dataset)
        except ConflictError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) < len(threads)
    add(graph, "cikgrec", folder, f"{dataset}-calm")
    assert content(graph, dataset) == content(graph, f"{dataset}-calm")


def test_what_cannot_be_added_is_refused(graph: Graph, dataset: str, tmp_path: Path) -> None:
    mapping = plays(tmp_path / "old", "a,x\n")
    with pytest.raises(NotFoundError, match="without --add"):
        add(graph, "table", mapping, dataset)
    load(graph, "cikgrec", write(tmp_path / "base"), dataset)
    before = state(graph, dataset)
    entity = graph.execute("MATCH (e:Entity {dataset: $dataset}) RETURN e.id AS id LIMIT 1", dataset=dataset)[0]["id"]
    with pytest.raises(InputError, match="is the id of an item, but of an entity in the dataset"):
        add(graph, "table", plays(tmp_path / "clash", f"a,{entity}\n"), dataset)
    assert state(graph, dataset) == before

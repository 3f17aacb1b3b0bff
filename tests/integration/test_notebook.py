"""The notebook's objects say what the platform's own statements say, and can only be read."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import py2neo
import pytest
from nbclient import NotebookClient
from py2neo.errors import ClientError

from cikg import notebook
from cikg.errors import ConflictError, InputError, NotFoundError
from cikg.graph import Graph
from cikg.notebook import Entity, Intent, Interest, Item, Notebook, Run, User
from cikg.settings import Settings
from tests import planted_intents

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture
def opened(graph: Graph, settings: Settings, dataset: str) -> Iterator[Notebook]:
    planted_intents.write(graph, dataset)
    planted_intents.write(graph, f"{dataset}-decoy")
    graph.execute(  # what merging may leave: two edges to one intent, each with evidence of its own
        "MATCH (ben:User {uid: $d + ':ben'}), (gardens:Intent {uid: $d + ':gardens'}) "
        "CREATE (ben)-[:POSSESSES {run: $d + ':extraction', round: 2, evidence: ['moby', 'emma']}]->(gardens)",
        d=dataset,
    )
    with notebook.connect(dataset, settings) as connected:
        yield connected


def standing() -> list[str]:
    """The intents that were not merged."""
    return [intent for intent, into in planted_intents.INTENTS.items() if into is None]


def test_users_are_what_the_platform_reads(opened: Notebook, graph: Graph, dataset: str) -> None:
    for identifier in planted_intents.USERS:
        user = opened.get(User, identifier)
        (row,) = [
            row
            for row in graph.many("browse_users", dataset=dataset, text="", by="", skip=0, limit=10)[0]["rows"]
            if row["id"] == identifier
        ]
        assert (user.id, user.name, user.uid) == (identifier, row["name"], f"{dataset}:{identifier}")

        intents = graph.many("intents_of_user", dataset=dataset, user=identifier)
        assert sorted(intent.id for intent in user.intents) == sorted(row["intent"] for row in intents)
        for intent in user.intents:
            (row,) = [row for row in intents if row["intent"] == intent.id]
            assert user.intents.get(intent, "round") == row["round"]
            assert sorted(user.intents.get(intent, "evidence")) == row["evidence"]
            assert sorted(interest.name for interest in intent.interests) == row["interests"]

        interests = graph.many("interests_of_user", dataset=dataset, user=identifier)
        assert [(each.id, user.interests.get(each, "evidence")) for each in user.interests] == [
            (row["interest"], row["evidence"]) for row in interests
        ]
        history = graph.many("user_history", user=user.uid, limit=100)[0]["rows"]
        shown = ("id", "name", "split", "at")
        assert {row[:4] for row in user.history.table().select(shown).rows()} == {
            tuple(row[name] for name in shown) for row in history
        }


def test_items_and_entities_are_what_the_platform_reads(opened: Notebook, graph: Graph, dataset: str) -> None:
    for identifier in planted_intents.ITEMS:
        item = opened.get(Item, identifier)
        rows = graph.many("intents_of_item", dataset=dataset, item=identifier)
        assert sorted((each.id, item.intents.get(each, "round")) for each in item.intents) == sorted(
            (row["intent"], row["round"]) for row in rows
        )
        readers = graph.many("item_readers", item=item.uid, limit=100)
        assert sorted(user.id for user in item.readers) == sorted(row["id"] for row in readers)
        facts = graph.execute(
            "MATCH (:Item {uid: $uid})-[fact]->(tail:Entity) RETURN fact.relation AS relation, tail.id AS id",
            uid=item.uid,
        )
        assert item.facts().select("relation", "id").rows() == [(fact["relation"], fact["id"]) for fact in facts]
    assert opened.get(Entity, "austen").name == "Jane Austen"
    assert opened.get(Entity, "austen").facts().rows() == []


def test_intents_and_interests_are_what_the_platform_reads(opened: Notebook, graph: Graph, dataset: str) -> None:
    for identifier in standing():
        intent = opened.get(Intent, identifier)
        for others, question, key in (
            (intent.holders, "users_by_intent", "user"),
            (intent.items, "items_by_intent", "item"),
        ):
            rows = graph.many(question, dataset=dataset, intent=identifier, limit=100)
            assert sorted((each.id, others.get(each, "round")) for each in others) == sorted(
                (row[key], row["round"]) for row in rows
            )
    for identifier in planted_intents.INTERESTS:
        interest = opened.get(Interest, identifier)
        for others, question, key in (
            (interest.intents, "intents_of_interest", "intent"),
            (interest.holders, "users_by_interest", "user"),
        ):
            rows = graph.many(question, dataset=dataset, interest=identifier, limit=100)
            assert sorted(each.id for each in others) == sorted(row[key] for row in rows)
    assert opened.get(Intent, "roses").merged_into == f"{dataset}:gardens"


def test_runs_and_searches(opened: Notebook, dataset: str) -> None:
    assert {(run.id, run.name) for run in opened.match(Run)} == {
        ("clustering", "cluster"),
        *((run, job) for run, (job, *_) in planted_intents.RUNS.items()),
    }
    assert [item.id for item in opened.match(Item).where(name="Emma")] == ["emma"], "of this dataset alone"
    assert len(opened.match(User)) == len(planted_intents.USERS)
    with pytest.raises(NotFoundError, match="has no User 'nobody'"):
        opened.get(User, "nobody")


def test_answers_are_tables(opened: Notebook, graph: Graph, dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = graph.many("intents_by_holders", dataset=dataset, limit=100)
    assert opened.ask("intents_by_holders").rows(named=True) == rows
    assert opened.cypher(
        "MATCH (u:User {dataset: $dataset}) WHERE u.id < $before RETURN u.id AS id", before="c"
    ).rows() == [
        ("ann",),
        ("ben",),
    ]
    assert opened.cypher("RETURN 1 AS one LIMIT 0").columns == ["one"]
    assert opened.ask("intents_by_holders", limit=2).rows(named=True) == rows[:2]
    monkeypatch.setattr(notebook, "ROWS", 2)
    for look in (lambda: opened.ask("intents_by_holders"), lambda: opened.cypher("UNWIND [1, 2, 3] AS n RETURN n")):
        with pytest.warns(UserWarning, match="only the first 2 rows"):
            assert len(look()) == 2
    assert "intents_of_user user" in opened.questions()["question"].to_list()
    with pytest.raises(InputError, match="needs user"):
        opened.ask("intents_of_user")
    with pytest.raises(NotFoundError, match="'nobody'"):
        opened.ask("intents_of_user", user="nobody")


def test_nothing_can_be_written(opened: Notebook, graph: Graph, dataset: str) -> None:
    user = opened.get(User, "ann")
    list(user.intents)
    user.name = "Changed"
    for write in (
        lambda: opened.save(user),
        lambda: opened.delete(user),
        lambda: opened.graph.create(py2neo.Node("User", uid=f"{dataset}:new")),
        lambda: opened.graph.run("CREATE (:User {uid: $uid})", uid=f"{dataset}:new"),
        lambda: opened.graph.auto(readonly=False).run("CREATE (:User {uid: $uid})", uid=f"{dataset}:new"),
        lambda: opened.graph.begin(readonly=False).run("MATCH (u:User {dataset: $d}) DETACH DELETE u", d=dataset),
    ):
        with pytest.raises(ClientError, match="read access mode"):
            write()
    with pytest.raises(InputError, match="the statement writes"):
        opened.cypher("MATCH (u:User {dataset: $dataset}) SET u.name = 'Changed'")
    rows = graph.many("browse_users", dataset=dataset, text="", by="", skip=0, limit=10)[0]["rows"]
    assert [row["name"] for row in rows] == ["Ann", "Ben", "Cat", "Dan", "Eve", "Fay"]


def test_a_forked_child_is_told_to_connect_anew(opened: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(ConflictError, match="made before a fork"):
        opened.get(User, "ann")


def test_what_is_missing_is_said(settings: Settings, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFoundError, match="there is no dataset 'no-such'"):
        notebook.connect("no-such", settings)
    with pytest.raises(InputError, match="cannot be the name of a dataset"):
        notebook.connect("x' OR true", settings)
    monkeypatch.setitem(sys.modules, "py2neo", None)
    monkeypatch.delitem(sys.modules, "cikg.notebook")
    with pytest.raises(ImportError, match=re.escape("run `.venv/bin/pip install --editable '.[notebook]'`")):
        importlib.import_module("cikg.notebook")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(
    path: Path, opened: Notebook, environment: dict[str, str], dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are in the repository, but for the name of the dataset; without outputs there."""
    content: Any = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in content.cells)
    named = [cell for cell in content.cells if cell.source == 'DATASET = "demo"']
    assert len(named) == 1
    named[0].source = f"DATASET = {dataset!r}"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    NotebookClient(content, timeout=60, kernel_name="python3").execute()
    shown = "".join(
        output.get("text") or output["data"].get("text/plain", "")
        for cell in content.cells
        for output in cell.get("outputs", [])
    )
    assert "because of" in shown
    for name in ("Gardens", "Sea", "Emma", "Moby-Dick", "user_interests"):
        assert name in shown


def test_the_example_of_the_documentation_runs(
    opened: Notebook, environment: dict[str, str], dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (NOTEBOOKS[0].parents[1] / "notebook.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    shown: dict[str, Any] = {}
    exec(example.replace('"demo"', repr(dataset)), shown)
    assert shown["reader"].id in planted_intents.USERS

"""Every statement of `cypher/` is accepted by the server, reads or writes as it says, and finds nodes by index."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import neo4j
import pytest

from cikg.graph import Graph, Statement, library
from cikg.schema import Label
from cikg.settings import Settings

SCANS = {"AllNodesScan", "NodeByLabelScan", "UnionNodeByLabelsScan", "IntersectionNodeByLabelsScan"}
LABELS = re.compile(r":([A-Za-z|]+)")


def scanned(plan: dict[str, Any]) -> set[str]:
    """Labels that a plan reads from end to end; `*` for all nodes."""
    found: set[str] = set()
    if plan["operatorType"].split("@")[0] in SCANS:
        labels = LABELS.search(plan["args"].get("Details", ""))
        found |= set(labels[1].split("|")) if labels else {"*"}
    for child in plan.get("children", []):
        found |= scanned(child)
    return found


def declared(statement: Statement) -> set[str]:
    """Labels that a statement's comment says it scans: `Scan: Dataset, …`."""
    found = re.search(r"Scan: ([A-Z][A-Za-z]*(?:, [A-Z][A-Za-z]*)*)", statement.help)
    return set(found[1].split(", ")) if found else set()


OF_INDEXES = {"await_indexes", "create_vector_index", "drop_index", "hold_datasets"}
"""Statements that change or wait for indexes: neither reads nor writes of nodes, in the server's words."""
FILLER = "test-plans"


@pytest.fixture(scope="module", autouse=True)
def populated(graph: Graph) -> Iterator[None]:
    """Nodes of every label in many datasets: in an empty database a scan costs nothing, so the planner chooses it."""
    for label in set(Label) - {Label.DATASET, Label.MIGRATION}:
        graph.execute(
            f"UNWIND range(1, 2000) AS i CREATE (n:{label} {{uid: $filler + ':' + i, id: toString(i), "
            "dataset: $filler + (i % 200), run: 'run' + (i % 200), state: 'done', shard: i % 7, kind: 'k' + (i % 5)})",
            filler=FILLER,
        )
    graph.execute("CALL db.prepareForReplanning(120)")
    yield
    for label in set(Label) - {Label.DATASET, Label.MIGRATION}:
        graph.execute(f"MATCH (n:{label}) WHERE n.uid STARTS WITH $filler DETACH DELETE n", filler=FILLER + ":")


@pytest.fixture(scope="module")
def session(graph: Graph, settings: Settings) -> Any:
    assert settings.neo4j_uri and settings.neo4j_password
    credentials = (settings.neo4j_user, settings.neo4j_password.get_secret_value())
    with (
        neo4j.GraphDatabase.driver(settings.neo4j_uri, auth=credentials, notifications_min_severity="OFF") as driver,
        driver.session(database=settings.neo4j_database) as opened,
    ):
        yield opened


@pytest.mark.parametrize("statement", library().values(), ids=lambda statement: statement.name)
def test_statement(session: neo4j.Session, statement: Statement) -> None:
    text = statement.text.replace("CYPHER 25", "CYPHER 25 EXPLAIN", 1)
    summary = session.run(text, dict.fromkeys(statement.parameters)).consume()
    assert summary.plan is not None
    assert scanned(dict(summary.plan)) <= declared(statement), "it scans; use an index, or declare `Scan: Label`"
    assert statement.writes == (summary.query_type in ("w", "rw")) or statement.name in OF_INDEXES


def test_a_scan_is_noticed(session: neo4j.Session) -> None:
    plans = {
        text: session.run(f"CYPHER 25 EXPLAIN {text}").consume().plan
        for text in ("MATCH (n) RETURN n", "MATCH (n:User) RETURN n", "MATCH (n:User|Item) WHERE n.name = 'x' RETURN n")
    }
    assert [scanned(dict(plan)) for plan in plans.values() if plan] == [{"*"}, {"User"}, {"User", "Item"}]


BY_INDEX_OF_RUN = {"written_by_run", "edges_of_run"}
"""Local to a run, but for the interests of a clustering: those are found among the dataset's."""


@pytest.mark.parametrize("statement", [each for each in library().values() if each.section], ids=lambda each: each.name)
def test_a_question_costs_what_it_says(graph: Graph, statement: Statement) -> None:
    """A local question begins at nodes looked up by key, a global one at all nodes of a dataset: both by an index."""
    cost = re.split(r"[,;]", statement.cost)[0]
    assert cost in ("local", "global")
    seeks = [step for step in graph.plan(statement.text, {}) if "IndexSeek" in step.name or "IndexSearch" in step.name]
    by_key = [step for step in seeks if step.name.startswith("NodeUniqueIndexSeek")]
    of_dataset = [step for step in seeks if "(dataset)" in step.details]
    if cost == "global":
        assert of_dataset
    else:
        assert by_key and (not of_dataset or statement.name in BY_INDEX_OF_RUN)

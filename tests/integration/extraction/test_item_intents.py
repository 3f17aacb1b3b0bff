"""Intents of items: in one pool with the users', replaced as a whole, and the planted ones of the demo catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from cikg.datasets.formats import demo
from cikg.datasets.loader import load
from cikg.errors import NotFoundError
from cikg.extraction import ledger
from cikg.extraction.embedding import embed
from cikg.extraction.job import job
from cikg.extraction.merging import merge
from cikg.extraction.runner import Runner
from cikg.graph import Graph
from cikg.schema import Label
from cikg.settings import Settings
from cikg.text.embedders import Lexical

from .conftest import ITEMS_OF_A_TOPIC, TOPICS, Workplace, everything

pytestmark = pytest.mark.timeout(120)
ITEMS = len(TOPICS) * ITEMS_OF_A_TOPIC


def extract(graph: Graph, dataset: str, settings: Settings, name: str = "item_intents") -> dict[str, Any]:
    """Do a job in this process; where its run stands then."""
    plan = ledger.plan(graph, job(name), dataset, "stand-in")
    with Runner(graph, settings) as runner:
        runner.work_all(plan.run.uid, ledger.start(graph, plan))
    return {**ledger.progress(graph, plan.run.uid), "run": plan.run.uid}


def edges(graph: Graph, dataset: str) -> list[dict[str, Any]]:
    return graph.execute(
        "MATCH (i:Item {dataset: $d})-[e:SATISFIES]->(t:Intent) RETURN i.id AS item, t.id AS intent, e.run AS run, "
        "e.round AS round, e.evidence AS evidence, e.completion AS completion, e.merged_from AS merged_from "
        "ORDER BY item, intent",
        d=dataset,
    )


def test_each_item_gets_its_topic_once_and_repeating_asks_and_changes_nothing(place: Workplace) -> None:
    place.planted(4)
    llm = place.standin()
    stands = extract(place.graph, place.dataset, place.settings(llm))
    assert (stands["done"], stands["total"], llm.calls) == (ITEMS, ITEMS, ITEMS)
    found = edges(place.graph, place.dataset)
    assert {(row["item"], row["intent"]) for row in found} == {
        (f"{t}-{i}", topic) for t, topic in enumerate(TOPICS) for i in range(ITEMS_OF_A_TOPIC)
    }
    assert all((row["run"], row["round"]) == (stands["run"], 1) for row in found)
    assert all(row["evidence"] == [row["item"]] and row["merged_from"] is None for row in found)
    asked = place.graph.execute(
        "UNWIND $keys AS key MATCH (c:Completion {uid: key}) RETURN c.prompt AS prompt",
        keys=[row["completion"] for row in found],
    )
    assert [row["prompt"] for row in asked] == ["item_intents"] * ITEMS
    before = everything(place.graph, place.dataset)
    extract(place.graph, place.dataset, place.settings(llm))
    assert (everything(place.graph, place.dataset), llm.calls) == (before, ITEMS)


def test_users_and_items_share_one_pool_and_each_job_replaces_its_own_edges_alone(place: Workplace) -> None:
    place.planted(8)
    graph, dataset, settings = place.graph, place.dataset, place.settings(place.standin())
    graph.execute(
        "MATCH (i:Item {uid: $d + ':0-0'}), (r:Dataset {uid: $d}) MERGE (t:Intent {uid: $d + ':kept'}) "
        "SET t += {dataset: $d, id: 'kept', name: 'kept'} MERGE (i)-[:SATISFIES {run: $d + ':other', round: 2}]->(t)",
        d=dataset,
    )
    extract(graph, dataset, settings, "user_interests")
    extract(graph, dataset, settings)
    shared = graph.execute(
        "MATCH (t:Intent {uid: $d + ':sea voyages'}) RETURN COUNT { (t)<-[:POSSESSES]-() } AS users, "
        "COUNT { (t)<-[:SATISFIES]-() } AS items",
        d=dataset,
    )
    assert shared[0]["items"] == ITEMS_OF_A_TOPIC
    # What is known of the gothic books changes: they alone are asked about again.
    llm = place.standin()
    graph.execute("MATCH (e:Entity {uid: $d + ':topic0'}) SET e.name = 'SEA Voyages'", d=dataset)
    extract(graph, dataset, place.settings(llm))
    assert llm.calls == ITEMS_OF_A_TOPIC
    found = {(row["item"], row["intent"]) for row in edges(graph, dataset)}
    assert {intent for item, intent in found if item == "0-0"} == {"kept", "sea voyages"}
    assert len(found) == ITEMS + 1
    names = graph.execute("MATCH (t:Intent {dataset: $d}) RETURN t.id AS id, t.name AS name", d=dataset)
    assert {row["id"]: row["name"] for row in names}["sea voyages"] == "SEA Voyages", "the least of its spellings"
    nobodys = graph.execute(
        "MATCH (t:Intent {dataset: $d}) WHERE NOT (t)--() RETURN t.id AS id UNION "
        "MATCH (t:Intent {uid: $d + ':gothic horror'}) WHERE NOT (t)<-[:POSSESSES]-() RETURN t.id AS id",
        d=dataset,
    )
    assert nobodys == []


def test_an_intent_that_was_merged_gives_its_items_to_the_one_that_stands(place: Workplace) -> None:
    place.planted(1)
    graph, dataset, settings = place.graph, place.dataset, place.settings(place.standin())
    extract(graph, dataset, settings)
    merge(graph, dataset, "sea voyages", "utopian societies", actor="ann")
    graph.execute("MATCH (i:Item {uid: $d + ':1-3'}) SET i.text = 'Another book.'", d=dataset)
    extract(graph, dataset, settings)
    (row,) = [row for row in edges(graph, dataset) if row["item"] == "1-3"]
    assert (row["intent"], row["merged_from"]) == ("utopian societies", [f"{dataset}:sea voyages"])


@pytest.fixture
def library(graph: Graph, dataset: str) -> Iterator[str]:
    """The demo catalogue in the graph."""
    try:
        load(graph, "demo", None, dataset)
        yield dataset
    finally:
        graph.execute("MATCH (n {dataset: $d}) DETACH DELETE n", d=dataset)


def test_the_planted_intents_of_the_demo_books_are_found_and_related_ones_among_the_readers(
    place: Workplace, library: str
) -> None:
    """Planted in a book are its genres and subjects. A phrase is truly related when it names one of them, whole.

    Names compare without case. In the first round four of five have to be found for every book; in the second, whose
    pool holds the phrases found about the readers too, seven of ten chosen phrases have to be related.
    """
    settings = place.settings(place.standin())
    extract(place.graph, library, settings, "user_interests")
    stands = extract(place.graph, library, settings)
    assert stands["done"] == stands["total"] == len(demo.catalogue())
    embed(place.graph, library, Lexical(64), (Label.ITEM, Label.INTENT))
    exact = intents_of(place.graph, library, 1)
    extract(place.graph, library, settings, "related_item_intents")
    related = intents_of(place.graph, library, 2)
    assert intents_of(place.graph, library, 1) == exact
    chosen = right = 0
    for book in demo.catalogue():
        truth = {name.casefold() for name in (*book.genres, *book.subjects)}
        assert len(truth & exact[book.id]) / len(truth) >= 0.8, book.title
        assert exact[book.id] <= truth, "the stand-in invents none"
        found = related.get(book.id, set())
        assert not found & exact[book.id], "what it has already is not offered"
        chosen += len(found)
        right += sum(any(re.search(rf"\b{re.escape(name)}\b", phrase) for name in truth) for phrase in found)
    assert chosen >= len(demo.catalogue()), "one a book, on average"
    assert right / chosen >= 0.7


def intents_of(graph: Graph, dataset: str, number: int) -> dict[str, set[str]]:
    """Item -> its intents of a round."""
    found: dict[str, set[str]] = {}
    for row in edges(graph, dataset):
        if row["round"] == number:
            found.setdefault(row["item"], set()).add(row["intent"])
    return found


def test_related_intents_need_vectors_and_come_from_the_pool_alone(place: Workplace) -> None:
    place.planted(1)
    graph, dataset = place.graph, place.dataset
    llm = place.standin()
    settings = place.settings(llm)
    extract(graph, dataset, settings)
    with pytest.raises(NotFoundError, match="cikg embed items intents"):
        ledger.plan(graph, job("related_item_intents"), dataset, "stand-in")
    graph.execute(
        "MATCH (i:Item {uid: $d + ':0-0'})-[e:SATISFIES]->() UNWIND ['gothic', 'horror', 'cookery'] AS name "
        "MERGE (t:Intent {uid: $d + ':' + name}) SET t += {dataset: $d, id: name, name: name} "
        "MERGE (i)-[o:SATISFIES {run: $d + ':other', round: 2}]->(t) "
        "SET o.pruned_by = CASE name WHEN 'horror' THEN 'ann' END",
        d=dataset,
    )
    embed(graph, dataset, Lexical(8), (Label.ITEM, Label.INTENT))
    asked = llm.calls
    stands = extract(graph, dataset, settings, "related_item_intents")
    assert (stands["done"], llm.calls - asked) == (ITEMS, ITEMS)
    found = [(row["item"], row["intent"]) for row in edges(graph, dataset) if row["run"] == stands["run"]]
    gothic = [f"0-{number}" for number in range(ITEMS_OF_A_TOPIC)]
    assert set(found) == {(item, name) for item in gothic for name in ("gothic", "horror")} - {("0-0", "horror")}
    assert len(found) == len(set(found))
    before = everything(graph, dataset)
    extract(graph, dataset, settings, "related_item_intents")
    assert (everything(graph, dataset), llm.calls - asked) == (before, ITEMS), "its own edges change nothing"

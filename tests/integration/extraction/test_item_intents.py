"""Intents of items: in one pool with the users', and replaced as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from cikg.errors import InputError
from cikg.extraction import ledger
from cikg.extraction.job import job
from cikg.extraction.runner import Runner
from cikg.extraction.steps.merging import merge
from cikg.graph import Graph
from cikg.settings import Settings

from .conftest import ITEMS_OF_A_TOPIC, TOPICS, Workplace, everything

ITEMS = len(TOPICS) * ITEMS_OF_A_TOPIC


def extract(
    graph: Graph, dataset: str, settings: Settings, name: str = "item_intents", limit: int | None = None
) -> dict[str, Any]:
    """Do a job in this process; where its run stands then."""
    plan = ledger.plan(graph, job(name), dataset, "stand-in", limit=limit)
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


def test_related_intents_embed_what_lacks_vectors_and_come_from_the_pool_alone(place: Workplace) -> None:
    place.planted(1)
    graph, dataset = place.graph, place.dataset
    llm = place.standin()
    settings = place.settings(llm)
    with pytest.raises(InputError, match="cikg extract item_intents"):
        ledger.plan(graph, job("related_item_intents"), dataset, "stand-in")
    extract(graph, dataset, settings)
    graph.execute(
        "MATCH (i:Item {uid: $d + ':0-0'})-[e:SATISFIES]->() "
        "UNWIND ['classic gothic horror', 'horror', 'gothic horror tales', 'cookery'] AS name "
        "MERGE (t:Intent {uid: $d + ':' + name}) SET t += {dataset: $d, id: name, name: name} "
        "MERGE (i)-[o:SATISFIES {run: $d + ':other', round: 2}]->(t) "
        "SET o.pruned_by = CASE name WHEN 'gothic horror tales' THEN 'ann' END",
        d=dataset,
    )
    asked = llm.calls
    stands = extract(graph, dataset, settings, "related_item_intents")
    assert (stands["done"], llm.calls - asked) == (ITEMS, ITEMS)
    found = [(row["item"], row["intent"]) for row in edges(graph, dataset) if row["run"] == stands["run"]]
    gothic = [f"0-{number}" for number in range(ITEMS_OF_A_TOPIC)]
    expected = {(item, name) for item in gothic for name in ("classic gothic horror", "gothic horror tales")}
    assert set(found) == expected - {("0-0", "gothic horror tales")}
    assert len(found) == len(set(found))
    before = everything(graph, dataset)
    extract(graph, dataset, settings, "related_item_intents")
    assert (everything(graph, dataset), llm.calls - asked) == (before, ITEMS), "its own edges change nothing"
    graph.execute("MERGE (t:Intent {uid: $d + ':late'}) SET t += {dataset: $d, id: 'late', name: 'late'}", d=dataset)
    ledger.plan(graph, job("related_item_intents"), dataset, "stand-in")
    late = graph.execute(
        "MATCH (t:Intent {uid: $d + ':late'}) RETURN t.embedding_lexical_64 IS NULL AS bare", d=dataset
    )
    assert late == [{"bare": False}], "planning embeds what came after"

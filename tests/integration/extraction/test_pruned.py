"""What was pruned stays pruned, whoever asks again."""

from __future__ import annotations

from typing import Any

from cikg.extraction import ledger
from cikg.extraction.job import job
from cikg.extraction.runner import Runner
from cikg.extraction.steps.interests import cluster_intents
from cikg.graph import Graph
from cikg.settings import Settings

from .conftest import Workplace


def extract(graph: Graph, dataset: str, settings: Settings, name: str) -> None:
    plan = ledger.plan(graph, job(name), dataset, "stand-in")
    with Runner(graph, settings) as runner:
        runner.work_all(plan.run.uid, ledger.start(graph, plan))


def pruned(graph: Graph, dataset: str) -> list[dict[str, Any]]:
    return graph.execute(
        "MATCH (owner {dataset: $d})-[e:POSSESSES|SATISFIES]->(t:Intent) WHERE e.pruned_by IS NOT NULL "
        "RETURN owner.id AS owner, t.id AS intent, e.pruned_by AS by, e.pruned_reason AS reason, "
        "e.evidence AS evidence ORDER BY owner, intent",
        d=dataset,
    )


def test_a_job_that_asks_again_keeps_what_was_pruned(place: Workplace) -> None:
    place.planted(8)
    graph, dataset, settings = place.graph, place.dataset, place.settings(place.standin())
    extract(graph, dataset, settings, "user_interests")
    extract(graph, dataset, settings, "item_intents")
    # Ann rejects what r0 and the book 0-0 are said to be about, and an intent that asking again will not find.
    graph.execute(
        "MATCH (o {dataset: $d})-[e:POSSESSES|SATISFIES]->(:Intent) WHERE o.id IN ['r0', '0-0'] "
        "SET e.pruned_by = 'ann', e.pruned_reason = 'too vague' WITH collect(e) AS edges "
        "MATCH (u:User {uid: $d + ':r0'})-[e:POSSESSES]->() WITH u, e LIMIT 1 "
        "CREATE (t:Intent {uid: $d + ':cookery', id: 'cookery', dataset: $d, name: 'cookery'}) "
        "CREATE (u)-[n:POSSESSES]->(t) SET n = properties(e), n.evidence = ['0-1', 'unread']",
        d=dataset,
    )
    before = pruned(graph, dataset)
    assert len({(row["owner"], row["intent"]) for row in before}) == len(before) >= 3
    # Both are asked about again: the reader has read another book in the place of 0-0, whose text changes.
    graph.execute(
        "MATCH (i:Item {uid: $d + ':0-0'})<-[r:INTERACTED]-(u:User {uid: $d + ':r0'}), (b:Item {uid: $d + ':0-9'}) "
        "MERGE (u)-[n:INTERACTED]->(b) SET n = properties(r), i.text = 'Another book.' DELETE r",
        d=dataset,
    )
    extract(graph, dataset, settings, "user_interests")
    extract(graph, dataset, settings, "item_intents")
    after = {(row["owner"], row["intent"]): row for row in pruned(graph, dataset)}
    assert after.keys() == {(row["owner"], row["intent"]) for row in before}
    assert {(row["by"], row["reason"]) for row in after.values()} == {("ann", "too vague")}
    found = next(row for (owner, intent), row in after.items() if owner == "r0" and intent != "cookery")
    assert "0-9" in found["evidence"], "found again, with what shows it now"
    assert after["r0", "cookery"]["evidence"] == ["0-1"], "not found again: what of its evidence is in train"
    assert graph.one("extraction_leaks", dataset=dataset)["leaks"] == 0
    assert not graph.execute(
        "MATCH (u:User {uid: $d + ':r0'})-[e:POSSESSES]->(t) WITH t, count(e) AS edges WHERE edges > 1 RETURN t",
        d=dataset,
    )
    # Without any evidence left, it goes.
    graph.execute(
        "MATCH (u:User {uid: $d + ':r0'})-[r:INTERACTED]->(:Item {uid: $d + ':0-1'}) SET r.split = 'test'", d=dataset
    )
    extract(graph, dataset, settings, "user_interests")
    assert ("r0", "cookery") not in {(row["owner"], row["intent"]) for row in pruned(graph, dataset)}
    assert graph.one("extraction_leaks", dataset=dataset)["leaks"] == 0


def test_a_rejected_interest_is_not_counted_as_held(place: Workplace) -> None:
    place.planted(8)
    graph, dataset, settings = place.graph, place.dataset, place.settings(place.standin())
    extract(graph, dataset, settings, "user_interests")
    cluster_intents(graph, dataset)
    held = {row["name"]: row["users"] for row in graph.many("held_interests", dataset=dataset)}
    (name, users), *_ = held.items()
    graph.execute(
        "MATCH (:User {dataset: $d})-[e:HAS_INTEREST]->(:Interest {name: $name}) "
        "WITH e LIMIT 1 SET e.pruned_by = 'ann'",
        d=dataset,
        name=name,
    )
    assert {row["name"]: row["users"] for row in graph.many("held_interests", dataset=dataset)}[name] == users - 1

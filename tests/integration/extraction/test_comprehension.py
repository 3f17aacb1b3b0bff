"""CoLaKG's jobs over a planted library, the stand-in answering: whose profiles say what, and what is asked again."""

from __future__ import annotations

from typing import Any

import numpy as np

from cikg.extraction import ledger
from cikg.extraction.job import job
from cikg.extraction.runner import Runner
from cikg.extraction.steps.embedding import embed
from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.schema import Label
from cikg.text.embedders import Lexical

from .conftest import ITEMS_OF_A_TOPIC, TOPICS, Workplace, everything

JOBS = ("item_comprehension", "user_comprehension")


def comprehend(place: Workplace, *names: str) -> dict[str, Any]:
    stands: dict[str, Any] = {}
    settings = place.settings(place.standin())
    with Runner(place.graph, settings) as runner:
        for name in names or JOBS:
            plan = ledger.plan(place.graph, job(name), place.dataset, "stand-in")
            runner.work_all(plan.run.uid, ledger.start(place.graph, plan))
            stands = {**ledger.progress(place.graph, plan.run.uid), "asked": len(plan.pending), "run": plan.run.uid}
    return stands


def profiles(graph: Graph, dataset: str, label: str) -> dict[str, dict[str, Any]]:
    rows = graph.execute(
        f"MATCH (p:Profile {{dataset: $d}})-[e:DESCRIBES]->(n:{label}) "
        "RETURN n.id AS id, p.text AS text, p.source AS source, e.evidence AS evidence, e.run AS run, "
        "e.completion AS completion",
        d=dataset,
    )
    return {row["id"]: row for row in rows}


def test_every_profile_says_the_planted_taste_and_rests_on_training_alone(place: Workplace) -> None:
    truth = place.planted(24)
    graph, dataset = place.graph, place.dataset
    stands = comprehend(place)
    assert (stands["state"], stands["done"]) == ("done", 24)
    readers, books = profiles(graph, dataset, "User"), profiles(graph, dataset, "Item")
    assert len(books) == ITEMS_OF_A_TOPIC * len(TOPICS)
    for reader, taste in truth.items():
        others = [topic for topic in TOPICS if topic != taste]
        assert taste in readers[reader]["text"]
        assert not any(topic in readers[reader]["text"] for topic in others)
    assert all(TOPICS[int(book[0])] in row["text"] for book, row in books.items())
    assert "Others like it share gothic horror" in books["0-0"]["text"]
    tests = graph.execute(
        "MATCH (u:User {dataset: $d})-[r:INTERACTED {split: 'test'}]->(i:Item) RETURN u.id AS user, i.id AS item",
        d=dataset,
    )
    assert all(row["item"] not in readers[row["user"]]["evidence"] for row in tests)
    assert len(readers["r0"]["evidence"]) == 4
    assert graph.one("extraction_leaks", dataset=dataset) == {"edges": 24, "leaks": 0}
    assert {row["source"] for row in (*readers.values(), *books.values())} == {"extracted"}
    kept = graph.execute("MATCH (c:Completion {uid: $c}) RETURN c.prompt AS prompt", c=readers["r0"]["completion"])
    assert kept == [{"prompt": "user_comprehension"}]


def test_what_changed_is_asked_again_and_nothing_else(place: Workplace) -> None:
    place.planted(8)
    graph, dataset = place.graph, place.dataset
    comprehend(place)
    before = everything(graph, dataset)
    assert comprehend(place)["asked"] == 0
    assert everything(graph, dataset) == before
    texts = profiles(graph, dataset, "User")
    graph.execute(
        "MATCH (u:User {uid: $d + ':r1'}), (i:Item {uid: $d + ':2-9'}) "
        "CREATE (u)-[:INTERACTED {split: 'train', at: 50}]->(i)",
        d=dataset,
    )
    assert comprehend(place, "user_comprehension")["asked"] == 1
    assert comprehend(place, "item_comprehension")["asked"] == 0, "an item is comprehended from facts, not from readers"
    after = profiles(graph, dataset, "User")
    assert "2-9" in after.pop("r1")["evidence"]
    assert texts.pop("r1")
    assert after == texts


def test_the_texts_reach_training_as_vectors_in_which_tastes_meet(place: Workplace) -> None:
    truth = place.planted(24)
    comprehend(place)
    embed(place.graph, place.dataset, Lexical(16), [Label.PROFILE])
    snapshot = take(place.graph, place.dataset, place.settings(place.standin()))
    (name,) = snapshot.embeddings["user_profiles"]
    users, items = (snapshot.embedding(kind, name) for kind in ("user_profiles", "item_profiles"))
    cosines = users @ items.T
    topic = np.array([int(item[0]) for item in snapshot.items.ids])
    wanted = np.array([TOPICS.index(truth[user]) for user in snapshot.users.ids])
    assert (topic[cosines.argmax(axis=1)] == wanted).mean() >= 0.95


def test_who_chose_a_shared_book_does_not_matter_to_what_resembles(graph: Graph, dataset: str) -> None:
    graph.execute(
        "CREATE (hub:Item {uid: $d + ':hub', id: 'hub', dataset: $d}), (e:Entity {uid: $d + ':e', dataset: $d}) "
        "WITH hub, e UNWIND ['a', 'b', 'c', 'd'] AS id CREATE (i:Item {uid: $d + ':' + id, id: id, dataset: $d}) "
        "CREATE (i)-[:SUBJECT {relation: 'subject'}]->(e) "
        "WITH hub, i WHERE i.id < 'd' CREATE (i)-[:SEQUEL {relation: 'sequel'}]->(hub)",
        d=dataset,
    )

    def alike() -> list[tuple[str, list[str]]]:
        (row,) = graph.many(
            "resembling_items", items=[f"{dataset}:a"], relations=["SEQUEL", "SUBJECT"], common=3, limit=9
        )
        return [(other["id"], other["through"]) for other in row["others"]]

    assert alike() == [("b", ["hub"]), ("c", ["hub"])], "the subject of four tells nothing"
    graph.execute(
        "MATCH (hub:Item {uid: $d + ':hub'}) UNWIND range(0, 9) AS n CREATE (u:User {uid: $d + ':' + n, dataset: $d}) "
        "CREATE (u)-[:INTERACTED {split: 'test'}]->(hub) CREATE (u)-[:RECOMMENDED {rank: 1}]->(hub)",
        d=dataset,
    )
    assert alike() == [("b", ["hub"]), ("c", ["hub"])]

"""Clustering in the graph: what is written, and that readers never see half of it."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from typing import Any

import pytest

from cikg.datasets.formats import demo
from cikg.datasets.loader import load
from cikg.errors import ConflictError, InputError, NotFoundError
from cikg.extraction import ledger
from cikg.extraction.job import job
from cikg.extraction.runner import Runner
from cikg.extraction.steps import interests
from cikg.extraction.steps.interests import cluster_intents
from cikg.graph import Graph
from cikg.settings import Settings
from cikg.text.clustering import cluster
from cikg.text.lexical import normalise

from .conftest import TOPICS, Workplace, everything


def extract(graph: Graph, dataset: str, settings: Settings) -> None:
    plan = ledger.plan(graph, job("user_interests"), dataset, "stand-in")
    with Runner(graph, settings) as runner:
        runner.work_all(plan.run.uid, ledger.start(graph, plan))


def holders(graph: Graph, dataset: str) -> dict[str, list[str]]:
    rows = graph.execute(
        "MATCH (u:User {dataset: $d})-[h:HAS_INTEREST]->(i:Interest) RETURN u.id AS user, collect(i.name) AS names",
        d=dataset,
    )
    return {row["user"]: row["names"] for row in rows}


def test_every_reader_gets_the_planted_topic_with_evidence_and_repeating_changes_nothing(place: Workplace) -> None:
    graph, dataset = place.graph, place.dataset
    readers = place.planted(40)
    extract(graph, dataset, place.settings(place.standin()))
    made = cluster_intents(graph, dataset, clusters=len(TOPICS))
    assert (made.interests, made.users, made.edges, made.changed) == (len(TOPICS), 40, 40, True)
    for reader, names in holders(graph, dataset).items():
        (name,) = names
        assert readers[reader] in name.casefold()
    edges = graph.execute(
        "MATCH (u:User {dataset: $d})-[h:HAS_INTEREST]->(:Interest {source: 'extracted'}) "
        "MATCH (u)-[p:POSSESSES]->(:Intent)-[m:MEMBER_OF]->(:Interest) "
        "RETURN h.evidence = p.evidence AND h.completion = p.completion AND h.run = $run AND m.run = $run AS whole",
        d=dataset,
        run=made.run,
    )
    assert [row["whole"] for row in edges] == [True] * 40
    assert graph.one("extraction_leaks", dataset=dataset) == {"edges": 80, "leaks": 0}

    before = everything(graph, dataset)
    again = cluster_intents(graph, dataset, clusters=len(TOPICS))
    assert (again.changed, again.run, again.edges) == (False, made.run, made.edges)
    assert everything(graph, dataset) == before


def test_another_number_of_clusters_takes_the_place_of_the_one_before_and_going_back_restores_it(
    place: Workplace,
) -> None:
    graph, dataset = place.graph, place.dataset
    place.planted(40)
    extract(graph, dataset, place.settings(place.standin()))
    four = cluster_intents(graph, dataset, clusters=4)
    first = holders(graph, dataset)
    two = cluster_intents(graph, dataset, clusters=2)
    assert (two.interests, two.run != four.run) == (2, True)
    count = graph.execute("MATCH (i:Interest {dataset: $d}) RETURN count(i) AS n", d=dataset)
    assert count == [{"n": 2}]
    assert cluster_intents(graph, dataset, clusters=4).changed
    assert holders(graph, dataset) == first


def test_imported_interests_stay(place: Workplace) -> None:
    graph, dataset = place.graph, place.dataset
    place.planted(8)
    graph.execute(
        "MATCH (u:User {uid: $u}) MERGE (i:Interest {uid: $i}) "
        "SET i += {dataset: $d, id: '7', name: 'given', source: 'imported'} MERGE (u)-[:HAS_INTEREST]->(i)",
        u=f"{dataset}:r0",
        i=f"{dataset}:7",
        d=dataset,
    )
    extract(graph, dataset, place.settings(place.standin()))
    cluster_intents(graph, dataset, clusters=4)
    cluster_intents(graph, dataset, clusters=2)
    assert "given" in holders(graph, dataset)["r0"]


def test_a_clustering_takes_the_place_of_the_one_before_in_one_transaction(place: Workplace) -> None:
    graph, dataset = place.graph, place.dataset
    place.planted(40)
    extract(graph, dataset, place.settings(place.standin()))
    cluster_intents(graph, dataset, clusters=4)
    seen: list[Any] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            row = graph.execute(
                # The write makes it wait for a clustering's commit: Neo4j shows a plain reader half of one.
                "MATCH (d:Dataset {uid: $d}) SET d.version = d.version WITH d "
                "MATCH (:User {dataset: $d})-[h:HAS_INTEREST]->(i:Interest) "
                "RETURN count(h) AS edges, count(DISTINCT h.run) AS runs, count(DISTINCT i) AS interests",
                d=dataset,
            )[0]
            seen.append((row["edges"], row["runs"], row["interests"]))

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(10):
        cluster_intents(graph, dataset, clusters=4 if turn % 2 else 2)
    stop.set()
    reader.join()
    assert set(seen) == {(40, 1, 4), (40, 1, 2)}


def test_without_intents_or_without_the_dataset_it_says_what_to_do(place: Workplace) -> None:
    place.planted(2)
    with pytest.raises(InputError, match="cikg extract"):
        cluster_intents(place.graph, place.dataset)
    with pytest.raises(NotFoundError, match="cikg import"):
        cluster_intents(place.graph, "no-such-dataset")


def test_what_is_dropped_while_it_clusters_leaves_nothing(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, dataset = place.graph, place.dataset
    place.planted(8)
    extract(graph, dataset, place.settings(place.standin()))
    changes = iter(
        [
            "MATCH (d:Dataset {uid: $d}) SET d.version = d.version + 1, d.state = 'dropping'",
            "MATCH (n {dataset: $d}) DETACH DELETE n",
        ]
    )

    def meanwhile(names: Any, **options: Any) -> Any:
        graph.execute(next(changes), d=dataset)
        return cluster(names, **options)

    monkeypatch.setattr(interests, "cluster", meanwhile)
    with pytest.raises(NotFoundError):
        cluster_intents(graph, dataset)
    assert next(changes, None) is None, "half dropped, it was tried again"
    assert graph.execute("MATCH (n:Interest|Run {dataset: $d}) RETURN n", d=dataset) == []
    place.planted(8)
    extract(graph, dataset, place.settings(place.standin()))
    changes = itertools.repeat("MATCH (d:Dataset {uid: $d}) SET d.version = coalesce(d.version, 0) + 1")
    with pytest.raises(ConflictError, match="changed whenever"):
        cluster_intents(graph, dataset)


def test_the_command_prints_what_it_made(place: Workplace) -> None:
    place.planted(12)
    settings = place.settings(place.standin())
    extract(place.graph, place.dataset, settings)
    ended = place.cikg(settings, "cluster", "--dataset", place.dataset, "--clusters", "4").result()
    assert ended.code == 0
    assert (ended.data["interests"], ended.data["users"]) == (4, 12)
    assert sum(count for _, count in ended.data["largest"]) == 12


def test_four_of_five_readers_of_the_demo_catalogue_have_their_planted_main_taste(place: Workplace) -> None:
    graph, dataset = place.graph, place.dataset
    try:
        load(graph, "demo", None, dataset)
        extract(graph, dataset, place.settings(place.standin()))
        cluster_intents(graph, dataset)
        truth = demo.planted()
        found = holders(graph, dataset)
        hits = Counter(
            any(_words(taste.main) <= _words(name) for name in found[reader]) for reader, taste in truth.items()
        )
        assert set(found) == set(truth)
        assert hits[True] / len(truth) >= 0.8
        assert graph.one("extraction_leaks", dataset=dataset)["leaks"] == 0
    finally:
        graph.execute("MATCH (n {dataset: $d}) DETACH DELETE n", d=dataset)


def _words(phrase: str) -> set[str]:
    return set(normalise(phrase).split())

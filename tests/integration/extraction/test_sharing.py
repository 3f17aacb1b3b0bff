"""What changed is asked about and nothing else; workers share a run."""

from __future__ import annotations

from pathlib import Path

from cikg.extraction import ledger
from cikg.extraction.job import job
from cikg.extraction.runner import Runner
from cikg.graph import Graph
from cikg.settings import Settings
from tests.integration.extraction.conftest import Workplace
from tests.workplace import plant_readers

JOB = "user_interests"


def work(graph: Graph, settings: Settings, dataset: str) -> int:
    """Do what is pending in this process; how many subjects that were."""
    plan = ledger.plan(graph, job(JOB), dataset, "stand-in")
    with Runner(graph, settings) as runner:
        runner.work_all(plan.run.uid, ledger.start(graph, plan))
    return len(plan.pending)


def edges(graph: Graph, dataset: str) -> dict[str, list[object]]:
    """Every reader's intent edges with all their properties, byte for byte."""
    rows = graph.execute(
        "MATCH (u:User {dataset: $d})-[e:POSSESSES]->(i:Intent) WITH u, e, i ORDER BY i.uid, e.run "
        "RETURN u.id AS user, collect([elementId(e), i.uid, i.name, properties(e)]) AS edges",
        d=dataset,
    )
    return {row["user"]: row["edges"] for row in rows}


def test_history_appended_for_ten_of_a_thousand_asks_about_ten_and_leaves_the_others_edges(place: Workplace) -> None:
    place.planted(0)
    readers = plant_readers(place.graph, place.dataset, 1_000)
    llm = place.standin()
    settings = place.settings(llm, llm_concurrency=64, lease_seconds=60.0)
    assert work(place.graph, settings, place.dataset) == llm.calls == 1_000
    before = edges(place.graph, place.dataset)
    assert set(before) == set(readers)

    changed = [f"r{number}" for number in range(0, 1_000, 100)]
    place.graph.execute(
        "UNWIND $users AS uid MATCH (u:User {uid: uid}), (b:Item {uid: $d + ':1-59'}) "
        "MERGE (u)-[r:INTERACTED]->(b) SET r += {split: 'train', at: 99}",
        users=[f"{place.dataset}:{reader}" for reader in changed],
        d=place.dataset,
    )
    assert work(place.graph, settings, place.dataset) == 10
    assert llm.calls == 1_010
    after = edges(place.graph, place.dataset)
    for reader in readers:
        assert (after[reader] == before[reader]) is (reader not in changed), reader
    assert work(place.graph, settings, place.dataset) == 0
    assert (llm.calls, edges(place.graph, place.dataset)) == (1_010, after)


def test_two_workers_share_a_run_without_a_repeated_question(place: Workplace, tmp_path: Path) -> None:
    place.planted(0)
    plant_readers(place.graph, place.dataset, 4 * ledger.SHARD)
    llm = place.standin(latency_ms=200)
    settings = place.settings(llm, llm_concurrency=16)
    for _ in range(2):
        place.worker(settings)
    ended = place.cikg(settings, "extract", JOB, "--dataset", place.dataset).result()
    assert (ended.code, ended.data["done"], llm.calls) == (0, 4 * ledger.SHARD, 4 * ledger.SHARD), ended.errors
    for number in range(2):
        assert "a shard ended" in (tmp_path / f"worker-{number}.log").read_text(), "each of them has a part"

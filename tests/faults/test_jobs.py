"""LLM jobs when the provider misbehaves or workers are killed: bounded, explained, and the same graph in the end."""

from __future__ import annotations

import time
from typing import NamedTuple

from cikg.extraction import ledger
from cikg.extraction.job import job
from cikg.schema import State
from tests.integration.extraction.conftest import Workplace, found
from tests.workplace import kill_workers, wait_for

RETRIES = 1
TIMEOUT = 5.0


class Misbehaviour(NamedTuple):
    """What the provider does about one reader, and what must come of it."""

    fault: str
    state: str
    calls: int
    cause: str


MISBEHAVIOURS = (
    Misbehaviour("rate-limit:4", "failed", 3, "more requests than it allows"),
    Misbehaviour("server-error", "failed", 1 + RETRIES, "failed: The server had an error"),
    Misbehaviour("reset", "failed", 1 + RETRIES, "does not answer"),
    Misbehaviour("hang", "failed", 1 + RETRIES, "did not answer in time"),
    Misbehaviour("drip:50", "failed", 1 + RETRIES, "did not answer in time"),
    Misbehaviour("truncated", "quarantined", 1, "cut off"),
    Misbehaviour("not-json", "quarantined", 2, "does not follow the schema"),
    Misbehaviour("wrong-schema", "quarantined", 2, "does not follow the schema"),
    Misbehaviour("nan", "quarantined", 2, "does not follow the schema"),
    Misbehaviour("unknown", "quarantined", 1, "no phrase cites a line"),
    Misbehaviour("refusal", "quarantined", 1, "refused"),
    Misbehaviour("huge", "quarantined", 1, "characters"),
)
"""One a reader; `unknown` is an answer of the right form about what was not asked."""


def test_each_misbehaviour_costs_its_own_subject_a_bounded_number_of_calls_and_nothing_else(place: Workplace) -> None:
    readers = place.planted(96)
    # The readers of the first turns: each is the only one whose latest book is this one.
    hit = {f"r{number}": each for number, each in enumerate(MISBEHAVIOURS)}
    for reader in hit:
        place.graph.execute(
            "MATCH (u:User {uid: $u}) MERGE (b:Item {uid: $b}) SET b += {dataset: $d, id: $id, name: $name} "
            "MERGE (u)-[r:INTERACTED]->(b) SET r += {split: 'train', at: 50}",
            u=f"{place.dataset}:{reader}",
            b=f"{place.dataset}:mark-{reader}",
            d=place.dataset,
            id=f"mark-{reader}",
            name=f"Mark of {reader}!",
        )
    llm = place.standin(fault=";".join(f"{each.fault}@Mark of {reader}!" for reader, each in hit.items()))
    settings = place.settings(llm, llm_timeout=TIMEOUT, llm_retries=RETRIES)
    place.worker(settings)
    ended = place.cikg(settings, "extract", "--dataset", place.dataset).result()
    assert (ended.code, ended.data["done"]) == (1, len(readers) - len(hit)), ended.errors

    rows = place.graph.execute(
        "MATCH (s:Subject {run: $run}) OPTIONAL MATCH (c:Completion {uid: s.completion}) "
        "RETURN s.id AS id, s.state AS state, s.error AS error, s.calls AS calls, c.status AS status, c.text AS text",
        run=ended.data["run"],
    )
    assert {row["id"] for row in rows if row["state"] != "done"} == set(hit)
    for row in rows:
        if row["id"] not in hit:
            assert row["calls"] == 1, "nobody else was asked about twice"
            continue
        each = hit[row["id"]]
        assert (row["state"], each.cause in row["error"]) == (each.state, True), (each, row)
        assert row["calls"] <= each.calls, each
        if each.state == "quarantined":
            assert row["status"] == "quarantined", "it is kept to be looked at, and not used again"
            assert row["text"], each
    assert llm.calls == sum(row["calls"] for row in rows), "every call is in the ledger"
    assert not {row["user"] for row in found(place.graph, place.dataset)} & set(hit), "nothing of theirs was written"

    llm = place.standin()
    retry = ("jobs", "retry", "user_interests", "--quarantined", "--wait", "--dataset", place.dataset)
    again = place.cikg(settings, *retry).result()
    assert (again.data["state"], again.data["done"]) == ("done", len(readers))
    assert llm.calls == len(hit)


def test_a_provider_that_wants_ten_minutes_rest_gets_it_and_a_worker_finds_the_run_again(place: Workplace) -> None:
    place.planted(8)
    llm = place.standin(fault="rate-limit:600*1")
    settings = place.settings(llm, sweep_seconds=0.5)
    resting = place.worker(settings)
    plan = ledger.plan(place.graph, job("user_interests"), place.dataset, "stand-in")
    ledger.start(place.graph, plan)
    run = plan.run.uid
    wait_for(lambda: bool(ledger.progress(place.graph, run)["resume_at"]), "the rest")
    wait_for(lambda: ledger.progress(place.graph, run)["running"] == 0, "the subjects' being given back")
    asked = llm.calls
    assert asked <= 8
    time.sleep(1.2)  # the sweeper looks twice
    assert llm.calls == asked
    place.graph.execute("MATCH (r:Run {uid: $run}) SET r.resume_at = timestamp()", run=run)
    wait_for(lambda: (ledger.progress(place.graph, run)["resume_at"] or 0) / 1000 > time.time() + 500, "its insisting")
    assert llm.calls == asked, "what a provider asked for is kept to, and holds no slot"
    resting.kill()
    llm.control({"fault": ""})
    place.graph.execute("MATCH (r:Run {uid: $run}) SET r.resume_at = timestamp()", run=run)
    place.worker(settings)
    wait_for(lambda: ledger.progress(place.graph, run)["state"] == State.DONE, "the end")
    assert llm.calls == 8, "the count began again when it was told to behave"


def test_killed_workers_leave_the_graph_of_an_undisturbed_run(place: Workplace) -> None:
    calm, stormy = f"{place.dataset}-calm", place.dataset
    for dataset in (calm, stormy):
        place.planted(96, dataset)
    llm = place.standin(latency_ms=250)
    settings = place.settings(llm, llm_concurrency=8, lease_seconds=1.0, sweep_seconds=0.3)
    storm = kill_workers(place.graph, settings, stormy, calm, lambda: llm.calls, kills=3, seed=1)
    assert storm.kills == 3
    assert storm.hash == storm.calm_hash
    assert storm.extra_calls <= storm.under_way
    assert storm.under_way > 0, "they were killed while they worked"

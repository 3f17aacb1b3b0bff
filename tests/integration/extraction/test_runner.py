"""The runner by itself, without a queue: faults of the LLM, leases, and what is committed."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from cikg.extraction import control, ledger
from cikg.extraction.budget import Budget, Unit
from cikg.extraction.job import Job, Subject, UnusableAnswerError, Work, job
from cikg.extraction.runner import Runner
from cikg.schema import State
from cikg.settings import Settings
from tests.workplace import wait_for

from .conftest import Workplace, everything, found, go_on, two_turns


def extract(place: Workplace, settings: Settings, **options: Any) -> dict[str, Any]:
    """Plan, start and work in this process; where the run stands then."""
    plan = ledger.plan(place.graph, job("user_interests"), place.dataset, "stand-in", **options)
    shards = ledger.start(place.graph, plan)
    with Runner(place.graph, settings) as runner:
        runner.work_all(plan.run.uid, shards)
    return {**ledger.progress(place.graph, plan.run.uid), "run": plan.run.uid}


@pytest.mark.parametrize(
    ("fault", "state", "calls", "cause"),
    [
        ("wrong-schema", "quarantined", 2, "does not follow the schema UserInterests"),
        ("not-json", "quarantined", 2, "does not follow the schema UserInterests"),
        ("truncated", "quarantined", 1, "cut off"),
        ("refusal", "quarantined", 1, "refused"),
        ("huge:400000", "quarantined", 1, "characters"),
        ("server-error", "failed", 1, "failed: The server had an error"),
        ("rate-limit:3", "failed", 2, "more requests than it allows"),  # it waits once, as long as it may
        ("rate-limit:0", "failed", 3, "more requests than it allows"),  # told to come at once, it waits all the same
        ("reset", "failed", 1, "127.0.0.1"),
        ("hang", "failed", 1, "in time"),
        ("drip:50", "failed", 1, "in time"),
    ],
)
def test_a_fault_costs_one_subject_names_its_cause_writes_nothing_and_the_rest_finishes(
    place: Workplace, fault: str, state: str, calls: int, cause: str
) -> None:
    place.planted(9)
    llm = place.standin(fault=f"{fault}@Volume 2-0")
    # Only the readers r2 (turn 0) hold volume 2-0 among these nine.
    settings = place.settings(llm, llm_timeout=5.0, llm_retries=0)
    stands = extract(place, settings)
    assert (stands["done"], stands[state], stands["total"]) == (8, 1, 9)
    (error,) = ledger.errors(place.graph, stands["run"])
    assert (error["state"], error["example"]) == (state, "r2")
    assert cause in error["error"]
    assert llm.calls == 8 + calls
    assert "r2" not in {row["user"] for row in found(place.graph, place.dataset)}
    kept = place.graph.execute(
        "MATCH (s:Subject {uid: $s}) OPTIONAL MATCH (c:Completion {uid: s.completion}) "
        "RETURN c.status AS status, c.text AS text",
        s=f"{stands['run']}/r2",
    )
    if state == "quarantined":
        assert kept[0]["status"] == "quarantined"
        assert kept[0]["text"]
    else:
        assert kept == [{"status": None, "text": None}]


def test_a_failed_subject_is_tried_again_and_a_quarantined_one_only_when_asked_for(place: Workplace) -> None:
    place.planted(8)
    bad = place.standin(fault="server-error@Volume 2-0;refusal@Volume 3-0")
    first = extract(place, place.settings(bad, llm_retries=0))
    assert (first["done"], first["failed"], first["quarantined"], first["state"]) == (6, 1, 1, "failed")
    good = place.standin()
    second = extract(place, place.settings(good))
    assert (second["done"], second["quarantined"], second["state"], good.calls) == (7, 1, "done", 1)
    third = extract(place, place.settings(good), quarantined=True)
    assert (third["done"], third["quarantined"], good.calls) == (8, 0, 2)


def test_a_repair_that_succeeds_is_used(place: Workplace) -> None:
    place.planted(4)
    llm = place.standin(unreadable_at_first="Volume 2-0")
    stands = extract(place, place.settings(llm))
    assert (stands["done"], stands["calls"], llm.calls) == (4, 5, 5)


def test_a_server_without_json_schemas_is_asked_in_json_mode_with_the_same_result(place: Workplace) -> None:
    place.planted(12)
    extract(place, place.settings(place.standin()))
    expected = found(place.graph, place.dataset)
    place.graph.execute("MATCH (n:Run|Subject|Completion|Intent {dataset: $d}) DETACH DELETE n", d=place.dataset)
    llm = place.standin(json_mode_only=True)
    stands = extract(place, place.settings(llm, llm_concurrency=1))
    assert (stands["done"], llm.calls) == (12, 13)  # the server is asked once whether it knows schemas
    assert found(place.graph, place.dataset) == expected


def test_a_refused_key_stops_the_run_at_once(place: Workplace) -> None:
    place.planted(60)
    llm = place.standin(locked=True)
    stands = extract(place, place.settings(llm, llm_concurrency=4))
    assert stands["state"] == "failed"
    assert "OPENAI_API_KEY" in stands["error"]
    assert llm.calls <= 4
    assert stands["done"] == 0


def test_two_deliveries_of_a_shard_ask_once(place: Workplace) -> None:
    place.planted(24)
    llm = place.standin(latency_ms=200)
    settings = place.settings(llm)
    plan = ledger.plan(place.graph, job("user_interests"), place.dataset, "stand-in")
    ledger.start(place.graph, plan)
    with (
        Runner(place.graph, settings) as one,
        Runner(place.graph, settings) as other,
        ThreadPoolExecutor(6) as pool,
    ):
        works = [pool.submit(runner.work_shard, plan.run.uid, 0) for runner in (one, other, one, other, one, other)]
        for work in works:
            work.result()
    assert ledger.progress(place.graph, plan.run.uid)["done"] == 24
    assert llm.calls == 24


def test_answers_do_not_pile_up_before_a_graph_that_takes_its_time(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.planted(40)
    llm = place.standin()
    plan = ledger.plan(place.graph, job("user_interests"), place.dataset, "stand-in")
    (shard,) = ledger.start(place.graph, plan)
    free, commit = threading.Event(), ledger.commit

    def slow(*given: Any) -> None:
        free.wait(60)
        commit(*given)

    monkeypatch.setattr(ledger, "commit", slow)
    with Runner(place.graph, place.settings(llm, llm_concurrency=4)) as runner, ThreadPoolExecutor(1) as pool:
        work = pool.submit(runner.work_shard, plan.run.uid, shard)
        wait_for(lambda: llm.calls >= 12, "three questions a slot")
        time.sleep(0.5)  # any more would come at once
        asked = llm.calls
        free.set()
        work.result()
    assert asked == 12
    assert ledger.progress(place.graph, plan.run.uid)["done"] == llm.calls == 40


def test_a_subject_that_loses_its_worker_too_often_is_tried_alone_and_fails_without_the_others(
    place: Workplace,
) -> None:
    place.planted(3)
    llm = place.standin()
    plan = ledger.plan(place.graph, job("user_interests"), place.dataset, "stand-in")
    (shard,) = ledger.start(place.graph, plan)
    for attempt in range(ledger.SUSPICIOUS):
        leased, more = ledger.lease(place.graph, plan.run.uid, shard, f"worker {attempt}", 0.001)
        assert (len(leased), more) == (3, False)
        time.sleep(0.01)
    for attempt in range(3 * (ledger.MOST_ATTEMPTS - ledger.SUSPICIOUS) - 1):  # each in turn, the least tried first
        expected = ["r0", "r1", "r2"][attempt % 3]
        assert ledger.lease(place.graph, plan.run.uid, shard, f"one worker {attempt}", 0.001)[0] == [expected]
        time.sleep(0.01)
    with Runner(place.graph, place.settings(llm)) as runner:
        runner.work_shard(plan.run.uid, shard)
    stands = ledger.progress(place.graph, plan.run.uid)
    assert (stands["done"], stands["failed"], stands["running"], stands["planned"]) == (1, 2, 0, 0)
    assert "its worker died" in ledger.errors(place.graph, plan.run.uid)[0]["error"]


def test_what_was_only_near_a_killer_is_done_one_by_one(place: Workplace) -> None:
    place.planted(6)
    plan = ledger.plan(place.graph, job("user_interests"), place.dataset, "stand-in")
    (shard,) = ledger.start(place.graph, plan)
    for attempt in range(ledger.SUSPICIOUS):
        ledger.lease(place.graph, plan.run.uid, shard, f"worker {attempt}", 0.001)
        time.sleep(0.01)
    with Runner(place.graph, place.settings(place.standin())) as runner:
        runner.work_shard(plan.run.uid, shard)
    assert ledger.progress(place.graph, plan.run.uid)["done"] == 6


def test_a_worker_that_lost_its_lease_closes_nothing(place: Workplace) -> None:
    place.planted(3)
    plan = ledger.plan(place.graph, job("user_interests"), place.dataset, "stand-in")
    (shard,) = ledger.start(place.graph, plan)
    ledger.lease(place.graph, plan.run.uid, shard, "slow", 0.001)
    time.sleep(0.01)
    ledger.lease(place.graph, plan.run.uid, shard, "quick", 60)
    uid = f"{plan.run.uid}/r0"
    row = {"uid": uid, "state": "done", "error": None, "completion": "c", "input_hash": "h"}
    cost = {"calls": 1, "prompt_tokens": 1, "completion_tokens": 1}
    intent = {"uid": f"{place.dataset}:x", "id": "x", "name": "x", "evidence": ["0-0"]}
    result = {"subject": uid, "target": f"{place.dataset}:r0", "completion": "c", "intents": [intent]}
    ledger.commit(place.graph, plan.run, "slow", [{**row, **cost, "found": result}])
    assert found(place.graph, place.dataset) == []
    assert ledger.progress(place.graph, plan.run.uid)["running"] == 3
    ledger.commit(place.graph, plan.run, "quick", [{**row, **cost, "found": result}])
    assert [row["intent"] for row in found(place.graph, place.dataset)] == ["x"]


def test_another_model_takes_over_and_going_back_costs_no_call(place: Workplace) -> None:
    place.planted(8)
    llm = place.standin()
    settings = place.settings(llm)
    first = extract(place, settings)
    before = found(place.graph, place.dataset)
    other = ledger.plan(place.graph, job("user_interests"), place.dataset, "no-such-model")
    assert len(other.pending) == 8
    # What another model's run found for one reader replaces what the first one's had.
    (shard,) = ledger.start(place.graph, other)
    ledger.lease(place.graph, other.run.uid, shard, "t", 60)
    uid = f"{other.run.uid}/r0"
    row = {"uid": uid, "state": "done", "error": None, "completion": "c", "input_hash": "h", "calls": 1}
    intent = {"uid": f"{place.dataset}:x", "id": "x", "name": "x", "evidence": ["0-0"]}
    result = {"subject": uid, "target": f"{place.dataset}:r0", "completion": "c", "intents": [intent]}
    tokens = {"prompt_tokens": 0, "completion_tokens": 0}
    ledger.commit(place.graph, other.run, "t", [{**row, **tokens, "found": result}])
    now = found(place.graph, place.dataset)
    assert [row["intent"] for row in now if row["user"] == "r0"] == ["x"]
    assert [row for row in now if row["user"] != "r0"] == [row for row in before if row["user"] != "r0"]

    again = extract(place, settings)
    assert (again["run"], again["done"], llm.calls) == (first["run"], 8, 8)
    assert found(place.graph, place.dataset) == before


def test_only_the_latest_training_items_are_shown_and_never_valid_or_test(place: Workplace) -> None:
    place.planted(1)
    place.graph.execute(
        "MATCH (u:User {uid: $u}) UNWIND range(0, 39) AS n "
        "MERGE (b:Item {uid: $d + ':x' + n}) SET b += {dataset: $d, id: 'x' + n, name: 'X' + n} "
        "MERGE (u)-[r:INTERACTED]->(b) SET r += {at: 100 + n, split: CASE n % 8 WHEN 0 THEN 'valid' ELSE 'train' END}",
        u=f"{place.dataset}:r0",
        d=place.dataset,
    )
    (subject,) = ledger.plan(place.graph, job("user_interests"), place.dataset, "stand-in").pending
    train = [f"x{n}" for n in range(39, -1, -1) if n % 8]
    assert subject.input["items"] == train[:30]


def test_a_poisoned_edge_is_counted_as_a_leak(place: Workplace) -> None:
    place.planted(8)
    extract(place, place.settings(place.standin()))
    assert place.graph.one("extraction_leaks", dataset=place.dataset) == {"edges": 8, "leaks": 0}
    held_back = place.graph.execute(
        "MATCH (u:User {uid: $u})-[:INTERACTED {split: 'test'}]->(b:Item) RETURN b.id AS id", u=f"{place.dataset}:r0"
    )[0]["id"]
    place.graph.execute(
        "MATCH (u:User {uid: $u})-[e:POSSESSES]->() SET e.evidence = e.evidence + $id",
        u=f"{place.dataset}:r0",
        id=held_back,
    )
    assert place.graph.one("extraction_leaks", dataset=place.dataset)["leaks"] == 1


def test_a_limit_takes_the_first_readers_and_the_whole_goes_on_from_there(place: Workplace) -> None:
    place.planted(12)
    llm = place.standin()
    assert extract(place, place.settings(llm), limit=5)["done"] == 5
    assert {row["user"] for row in found(place.graph, place.dataset)} == {"r0", "r1", "r10", "r11", "r2"}
    before = everything(place.graph, place.dataset)
    extract(place, place.settings(llm), limit=5)
    assert everything(place.graph, place.dataset) == before
    assert extract(place, place.settings(llm))["done"] == 12
    assert llm.calls == 12


def begin(place: Workplace, wanted: Job, monkeypatch: pytest.MonkeyPatch, budget: Budget | None = None) -> str:
    """Plan and open the run of a job that is not one of ours; its uid."""
    monkeypatch.setattr(ledger, "job", lambda _name: wanted)
    plan = ledger.plan(place.graph, wanted, place.dataset, "stand-in")
    ledger.start(place.graph, plan, budget)
    return plan.run.uid


def test_an_answer_that_cannot_be_used_is_asked_for_anew_and_the_good_one_before_it_is_not(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.planted(1)
    llm, once, picky = place.standin(), job("user_interests"), True

    def apply(*given: Any) -> dict[str, Any]:
        if picky:
            raise UnusableAnswerError("not good enough")
        return once.apply(*given)

    def answers() -> list[Any]:
        rows = place.graph.execute(
            "MATCH (s:Subject {run: $run}) UNWIND s.completions AS uid OPTIONAL MATCH (c:Completion {uid: uid}) "
            "RETURN c.uid AS uid, c.status AS status",
            run=run,
        )
        return [(row["uid"], row["status"]) for row in rows]

    run = begin(place, replace(once, work=two_turns, apply=apply), monkeypatch)
    settings = place.settings(llm)
    assert go_on(place, settings, run)["quarantined"] == 1
    (first, good), (last, bad) = answers()
    assert (good, bad, llm.calls) == ("valid", "quarantined", 2)
    # The last answer as a batch would have kept it, and the first one forgotten.
    place.graph.execute("MATCH (c:Completion {uid: $uid}) SET c.status = 'valid'", uid=last)
    place.graph.execute("MATCH (c:Completion {uid: $uid}) DELETE c", uid=first)
    control.retry(place.graph, settings, run, quarantined=True)
    assert go_on(place, settings, run)["quarantined"] == 1
    assert (answers(), llm.calls) == ([(first, "valid"), (last, "quarantined")], 3)
    picky = False
    control.retry(place.graph, settings, run, quarantined=True)
    assert (go_on(place, settings, run)["done"], llm.calls) == (1, 4)
    assert answers() == [(first, "valid"), (last, "valid")]


def test_what_nobody_foresaw_about_a_subject_costs_no_other(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    place.planted(9)
    once = job("user_interests")

    def work(subject: Subject) -> Work:
        if subject.id == "r3":
            raise ZeroDivisionError("nothing to ask")
        return (yield from once.work(subject))

    def apply(subject: Subject, *given: Any) -> dict[str, Any]:
        if subject.id == "r2":
            raise KeyError("nowhere")
        return once.apply(subject, *given)

    run = begin(place, replace(once, work=work, apply=apply), monkeypatch)
    stands = go_on(place, place.settings(place.standin()), run)
    assert (stands["done"], stands["failed"], stands["state"]) == (7, 2, "failed")
    errors = {row["example"]: row["error"] for row in ledger.errors(place.graph, run)}
    assert errors == {"r2": "KeyError: 'nowhere'", "r3": "ZeroDivisionError: nothing to ask"}


def test_what_a_conversation_spent_before_it_was_given_back_is_in_the_ledger(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.planted(1)
    llm = place.standin()
    settings = place.settings(llm)
    run = begin(place, replace(job("user_interests"), work=two_turns), monkeypatch, Budget(1, Unit.CALLS))
    stands = go_on(place, settings, run)
    assert (stands["state"], stands["planned"], stands["calls"], llm.calls) == (State.PAUSED, 1, 1, 1)
    assert stands["prompt_tokens"] > 0
    control.resume(place.graph, settings, run, unlimited=True)
    stands = go_on(place, settings, run)
    assert (stands["done"], stands["calls"], llm.calls) == (1, 2, 2)


def test_what_another_process_took_or_did_since_a_plan_was_made_stays(place: Workplace) -> None:
    place.planted(4)
    plan = ledger.plan(place.graph, job("user_interests"), place.dataset, "stand-in")
    (shard,) = ledger.start(place.graph, plan)
    ledger.lease(place.graph, plan.run.uid, shard, "another", 60)
    same, changed = plan.rewrite[1]["input_hash"], "of another input"
    for number, (state, input_hash) in {1: ("done", same), 2: ("done", changed), 3: ("quarantined", "")}.items():
        place.graph.execute(
            "MATCH (s:Subject {uid: $uid}) SET s.state = $state, s.input_hash = $input_hash, s.lease = null",
            uid=plan.rewrite[number]["uid"],
            state=state,
            input_hash=input_hash,
        )
    ledger.start(place.graph, plan)
    rows = place.graph.execute(
        "MATCH (s:Subject {run: $run}) RETURN s.state AS state, s.lease AS lease ORDER BY s.uid", run=plan.run.uid
    )
    assert [tuple(row.values()) for row in rows] == [
        ("running", "another"),
        ("done", None),
        ("planned", None),
        ("planned", None),
    ]


def test_a_shard_that_ends_late_does_not_stop_a_run_that_was_resumed_meanwhile(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.planted(6)
    llm = place.standin()
    settings = place.settings(llm)
    run = begin(place, job("user_interests"), monkeypatch, Budget(2, Unit.CALLS))
    stop = ledger.stop

    def stop_late(*given: Any) -> None:
        monkeypatch.setattr(ledger, "stop", stop)
        ledger.reopen(place.graph, run)
        stop(*given)

    monkeypatch.setattr(ledger, "stop", stop_late)
    stands = go_on(place, settings, run)
    assert (stands["state"], stands["done"], stands["planned"]) == (State.RUNNING, 2, 4)
    stands = go_on(place, settings, run)
    assert (stands["state"], stands["done"], llm.calls) == (State.DONE, 6, 6)

"""The whole way through the queue: the command, Redis, a worker process, the stand-in, Neo4j."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from cikg.extraction import ledger, queue
from cikg.extraction.job import job
from cikg.schema import State
from tests.workplace import free_port, wait_for

from .conftest import Workplace, environment, everything, found


def run_uid(dataset: str) -> str:
    return ledger.describe(job("user_interests"), dataset, "stand-in")[0].uid


def test_extraction_finds_what_was_planted_repeats_nothing_and_redoes_what_changed(place: Workplace) -> None:
    graph, dataset, llm = place.graph, place.dataset, place.standin()
    readers = place.planted(70)
    settings = place.settings(llm)
    place.worker(settings)

    expected = place.cikg(settings, "extract", "--dataset", dataset, "--dry-run").result().data
    assert (expected["model"], expected["calls"], llm.calls) == ("stand-in", 70, 0)
    first = place.cikg(settings, "extract", "--dataset", dataset).result()
    assert first.code == 0, first.errors
    assert {name: first.data[name] for name in ("state", "total", "done", "failed", "quarantined", "calls")} == {
        "state": "done",
        "total": 70,
        "done": 70,
        "failed": 0,
        "quarantined": 0,
        "calls": 70,
    }
    assert llm.calls == 70
    promised = expected["prompt_tokens"] + expected["completion_tokens"]
    assert promised == pytest.approx(first.data["tokens"], rel=0.15)

    rows = found(graph, dataset)
    assert {row["user"] for row in rows} == set(readers)
    assert all(readers[row["user"]] in row["intent"] for row in rows)
    assert graph.one("extraction_leaks", dataset=dataset)["leaks"] == 0

    before = everything(graph, dataset)
    second = place.cikg(settings, "extract", "--dataset", dataset).result()
    assert (second.code, second.data["calls"], second.data["tokens"]) == (0, 0, 0)
    assert llm.calls == 70
    assert everything(graph, dataset) == before

    graph.execute(
        "MATCH (u:User {uid: $u}), (b:Item {uid: $b}) MERGE (u)-[r:INTERACTED]->(b) SET r += {split: 'train', at: 50}",
        u=f"{dataset}:r4",
        b=f"{dataset}:1-3",
    )
    third = place.cikg(settings, "extract", "--dataset", dataset).result()
    assert (third.code, third.data["calls"], llm.calls) == (0, 1, 71)
    after = found(graph, dataset)
    assert [row for row in after if row["user"] != "r4"] == [row for row in rows if row["user"] != "r4"]
    assert [row for row in after if row["user"] == "r4"] != [row for row in rows if row["user"] == "r4"]


def test_a_killed_worker_costs_no_result_and_only_the_calls_under_way(place: Workplace) -> None:
    graph, dataset, undisturbed, readers = place.graph, place.dataset, f"{place.dataset}-u", 90
    place.planted(readers)
    place.planted(readers, undisturbed)
    llm = place.standin(latency_ms=600)
    settings = place.settings(llm, llm_concurrency=8, lease_seconds=4.0)

    victim = place.worker(settings)
    command = place.cikg(settings, "extract", "--dataset", dataset)
    wait_for(lambda: llm.calls > 0, "the first call")  # before it there may be no run to ask after
    wait_for(lambda: ledger.progress(graph, run_uid(dataset))["done"] > 0, "the first commit")
    victim.kill()
    called, done = llm.calls, ledger.progress(graph, run_uid(dataset))["done"]
    assert 0 < done < readers
    place.worker(settings)
    ended = command.result()
    assert ended.code == 0, (ended.data, ended.errors)
    assert ended.data["done"] == readers
    # What was committed is not asked again: only calls under way and answers not yet committed are repeated.
    assert llm.calls - called <= readers - done

    other = place.cikg(settings, "extract", "--dataset", undisturbed).result()
    assert other.code == 0
    assert found(graph, dataset) == found(graph, undisturbed)


def test_work_that_no_message_announces_is_found(place: Workplace) -> None:
    """What an emptied Redis or a lost message leaves in the ledger is done all the same, once it has rested."""
    place.planted(70)
    settings = place.settings(place.standin(), sweep_seconds=0.5)
    plan = ledger.plan(place.graph, job("user_interests"), place.dataset, "stand-in")
    assert ledger.start(place.graph, plan) == [0]
    ledger.postpone(place.graph, plan.run.uid, 600, "the provider wants a rest")
    place.worker(settings)
    time.sleep(1.5)
    assert ledger.progress(place.graph, plan.run.uid)["planned"] == 70
    place.graph.execute("MATCH (r:Run {uid: $run}) SET r.resume_at = timestamp()", run=plan.run.uid)
    wait_for(lambda: ledger.progress(place.graph, plan.run.uid)["state"] == "done", "the end of the run")
    assert ledger.progress(place.graph, plan.run.uid)["done"] == 70


def test_a_run_is_not_closed_while_it_is_planned(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever a sweeper comes by."""
    place.planted(3)
    plan = ledger.plan(place.graph, job("user_interests"), place.dataset, "stand-in")
    written = {name: getattr(place.graph, name) for name in ("write", "write_rows")}

    def swept(name: str, *given: Any, **named: Any) -> Any:
        answer = written[name](*given, **named)
        written["write"]("finish_run", run=plan.run.uid)
        return answer

    for name in written:
        monkeypatch.setattr(place.graph, name, partial(swept, name))
    assert ledger.start(place.graph, plan) == [0]
    stands = ledger.progress(place.graph, plan.run.uid)
    assert (stands["state"], stands["planned"]) == ("running", 3)


def test_nothing_is_queued_while_messages_wait(place: Workplace) -> None:
    place.planted(3)
    settings = place.settings(place.standin(), redis_url=unused_database(place))
    app = queue.create_app(settings)
    plan = ledger.plan(place.graph, job("user_interests"), place.dataset, "stand-in")
    ledger.start(place.graph, plan)
    try:
        assert queue.sweep(place.graph, app, settings) >= 1
        assert queue.waiting(app) >= 1
        assert queue.sweep(place.graph, app, settings) == 0
    finally:
        app.control.purge()
        ledger.stop(place.graph, plan.run.uid, State.CANCELLED, None)


def test_a_run_is_left_to_workers_whose_llm_has_its_model(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sets of workers on one graph, each with an LLM of its own: none takes up what only the other can do."""
    place.planted(3)
    theirs = place.settings(place.standin(), redis_url=unused_database(place))
    plan = ledger.plan(place.graph, job("user_interests"), place.dataset, "another")
    ledger.start(place.graph, plan)
    sent: list[str] = []
    monkeypatch.setattr(queue, "enqueue", lambda app, run, shards: sent.append(run))
    silent = "http://127.0.0.1:9/v1"  # it says nothing about its models
    for change, does in (
        ({}, False),
        ({"openai_base_url": None}, False),
        ({"openai_model": "another"}, True),
        ({"openai_base_url": silent}, True),
    ):
        sent.clear()
        queue.sweep(place.graph, queue.create_app(theirs), theirs.model_copy(update=change))
        assert (plan.run.uid in sent) == does, change
    ledger.stop(place.graph, plan.run.uid, State.CANCELLED, None)


def unused_database(place: Workplace) -> SecretStr:
    """A database of Redis that no worker reads."""
    address = place.settings("none").redis_url
    assert address is not None
    return SecretStr(address.get_secret_value().rpartition("/")[0] + "/8")


def test_an_interrupted_command_stops_the_run_and_the_next_one_finishes_it(place: Workplace) -> None:
    graph, dataset, readers = place.graph, place.dataset, 60
    place.planted(readers)
    llm = place.standin(latency_ms=500)
    settings = place.settings(llm, llm_concurrency=4, lease_seconds=5.0)
    place.worker(settings)
    command = subprocess.Popen(
        [Path(sys.executable).with_name("cikg"), "extract", "--dataset", dataset, "--json"],
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for(lambda: llm.calls >= 10, "the first calls", 60)
    command.send_signal(signal.SIGINT)
    output, _ = command.communicate(timeout=20)
    assert command.returncode == 130, output
    assert "Traceback" not in output
    run = run_uid(dataset)
    wait_for(lambda: ledger.progress(graph, run)["running"] == 0, "the workers' stopping")
    stopped = ledger.progress(graph, run)
    assert stopped["state"] == "cancelled"
    assert 0 < stopped["done"] < readers
    assert stopped["done"] == llm.calls

    ended = place.cikg(settings, "extract", "--dataset", dataset).result()
    assert (ended.code, ended.data["done"], llm.calls) == (0, readers, readers), ended.errors


def test_without_a_worker_or_a_queue_it_says_so_and_writes_nothing(place: Workplace) -> None:
    dataset, nowhere = place.dataset, "http://127.0.0.1:1/v1"
    place.planted(5)
    before = everything(place.graph, dataset)
    for settings, said in (
        (place.settings(nowhere), "no worker answers"),
        (place.settings(nowhere, redis_url=SecretStr("redis://127.0.0.1:1/0")), "Redis does not answer"),
    ):
        ended = place.cikg(settings, "extract", "--dataset", dataset).result()
        assert ended.code == 2
        assert said in ended.data["message"]
        assert "Traceback" not in ended.errors
    assert everything(place.graph, dataset) == before


def test_a_dead_llm_stops_the_run_early_and_it_resumes_when_the_llm_is_back(place: Workplace) -> None:
    dataset, readers, port = place.dataset, 92, free_port()
    place.planted(readers)
    url = f"http://127.0.0.1:{port}/v1"
    settings = place.settings(url, llm_retries=0)
    place.worker(settings)
    ended = place.cikg(settings, "extract", "--dataset", dataset).result()
    assert ended.code == 1
    assert ended.data["state"] == "failed"
    assert 0 < ended.data["failed"] < readers
    assert ended.data["done"] == 0
    assert url in ended.data["message"]
    assert all(url in row["error"] for row in ledger.errors(place.graph, run_uid(dataset)))
    assert found(place.graph, dataset) == []

    llm = place.own_standin(port)
    resumed = place.cikg(settings, "extract", "--dataset", dataset).result()
    assert (resumed.code, resumed.data["done"], llm.calls) == (0, readers, readers), resumed.errors

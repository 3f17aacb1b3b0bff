"""Workers that die, are told to end, run out of time, meet what nobody foresaw, or lose the dataset they work on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cikg.datasets.drop import drop, held
from cikg.embedded.supervisor import environment
from cikg.errors import ConflictError, NotFoundError, ServiceError
from cikg.extraction import ledger, queue
from cikg.extraction.asking import Asker
from cikg.extraction.job import Request, job
from cikg.extraction.runner import Runner
from cikg.graph import connect
from cikg.settings import Settings, load_settings
from tests.integration.extraction.conftest import Workplace, found
from tests.relay import Relay
from tests.workplace import plant_readers, start_worker, wait_for

JOB = job("user_interests")
KILLER = "Kills whoever asks about it"
LEASE = 0.4
IMPATIENT = "import functools, cikg.graph as g; g.connect = functools.partial(g.connect, retry_seconds=1.0)"
"""Has a worker try a statement again for a second while Neo4j is away, as for half a minute otherwise."""


def begin(place: Workplace, dataset: str | None = None) -> tuple[str, list[int]]:
    """Plan and open the run of a dataset; its uid and shards."""
    plan = ledger.plan(place.graph, JOB, dataset or place.dataset, "stand-in")
    return plan.run.uid, ledger.start(place.graph, plan)


def die(*_given: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_of_a_question() -> None:
    """End this process when it is about to ask about the killer."""
    ask = Asker.ask

    async def deadly(asker: Asker, request: Request, *rest: Any) -> Any:
        if KILLER in request.prompt.messages[-1][1]:
            die()
        return await ask(asker, request, *rest)

    setattr(Asker, "ask", deadly)  # noqa: B010 - its type is wider


def die_before_a_commit() -> None:
    """End this process when its answers are kept and nothing is made of them yet."""
    setattr(ledger, "commit", die)  # noqa: B010


def _work(variables: dict[str, str], run: str, shards: list[int], deadly: Callable[[], None]) -> None:
    os.environ.update(variables)
    deadly()
    settings = load_settings()
    with connect(settings) as graph, Runner(graph, settings) as runner:
        runner.work_all(run, shards)


@pytest.fixture(scope="module")
def forks() -> ForkServerContext:
    """Where processes come from that have all modules loaded."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "cikg.llm.client"])
    return context


def dies(forks: ForkServerContext, settings: Settings, run: str, shards: list[int], of: Callable[[], None]) -> bool:
    """Whether a process that works on shards is killed by it."""
    process = forks.Process(target=_work, args=(environment(settings), run, shards, of))
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def test_a_subject_that_kills_its_workers_fails_within_the_bound_and_alone(
    place: Workplace, forks: ForkServerContext
) -> None:
    readers = place.planted(8)
    place.graph.execute(
        "MATCH (u:User {uid: $d + ':r5'}) MERGE (b:Item {uid: $d + ':killer'}) "
        "SET b += {dataset: $d, id: 'killer', name: $name} "
        "MERGE (u)-[r:INTERACTED]->(b) SET r += {split: 'train', at: 50}",
        d=place.dataset,
        name=KILLER,
    )
    settings = place.settings(place.standin(latency_ms=300), lease_seconds=LEASE)
    run, _ = begin(place)
    deaths = 0
    while ledger.progress(place.graph, run)["state"] == "running":
        deaths += dies(forks, settings, run, ledger.open_shards(place.graph, run), die_of_a_question)
        assert deaths <= ledger.MOST_ATTEMPTS
        time.sleep(1.5 * LEASE)
    assert deaths == ledger.MOST_ATTEMPTS
    stands = ledger.progress(place.graph, run)
    assert (stands["state"], stands["done"], stands["failed"]) == ("failed", len(readers) - 1, 1)
    (error,) = ledger.errors(place.graph, run)
    assert (error["example"], "its worker died" in error["error"]) == ("r5", True)
    assert {row["user"] for row in found(place.graph, place.dataset)} == set(readers) - {"r5"}


def test_an_answer_that_is_kept_is_used_whatever_the_model_would_say_now(
    place: Workplace, forks: ForkServerContext
) -> None:
    calm = f"{place.dataset}-calm"
    for dataset in (place.dataset, calm):
        place.planted(6, dataset)
    llm = place.standin()
    settings = place.settings(llm, lease_seconds=LEASE)
    with Runner(place.graph, settings) as runner:
        runner.work_all(*begin(place, calm))
    llm = place.standin()
    run, shards = begin(place)
    assert dies(forks, settings, run, shards, die_before_a_commit)
    assert (llm.calls, found(place.graph, place.dataset)) == (6, []), "all was answered, and nothing made of it"
    llm = place.standin(fault="refusal")
    time.sleep(1.5 * LEASE)
    with Runner(place.graph, settings) as runner:
        runner.work_all(run, ledger.open_shards(place.graph, run))
    assert llm.calls == 0
    assert found(place.graph, place.dataset) == found(place.graph, calm) != []


def test_a_worker_that_is_told_to_end_loses_none_of_two_hundred_messages(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.planted(0)
    plant_readers(place.graph, place.dataset, 200)
    monkeypatch.setattr(ledger, "SHARD", 1)
    llm = place.standin(latency_ms=500)
    settings = place.settings(llm)
    app = queue.create_app(settings)
    run, shards = begin(place)
    assert len(shards) == 200
    queue.enqueue(app, run, shards)
    worker = place.worker(settings)
    wait_for(lambda: llm.calls > 0, "the first call")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    stands = ledger.progress(place.graph, run)
    assert stands["running"] == 0, "what it had in hand is finished or given back"
    assert stands["done"] == llm.calls > 0
    waiting = queue.waiting(app)
    app.control.purge()
    assert waiting == len(ledger.open_shards(place.graph, run)) == 200 - stands["done"] > 100


def test_a_shard_that_takes_too_long_is_given_back_and_leaves_nothing_open(place: Workplace) -> None:
    place.planted(8)
    llm = place.standin(fault="hang@Volume 2-0")
    run, shards = begin(place)
    settings = place.settings(llm, llm_timeout=60.0, task_time_limit=15.0)
    with Runner(place.graph, settings) as runner, pytest.raises(ServiceError, match="took longer than 15 s"):
        runner.work_shard(run, shards[0])
    stands = ledger.progress(place.graph, run)
    assert (stands["done"], stands["planned"], stands["running"]) == (7, 1, 0)
    open_now = place.graph.execute("SHOW TRANSACTIONS YIELD currentQuery RETURN currentQuery AS query")
    assert [row["query"] for row in open_now if "SHOW TRANSACTIONS" not in row["query"]] == []
    place.standin()
    with Runner(place.graph, place.settings(llm)) as runner:
        runner.work_shard(run, shards[0])
    assert ledger.progress(place.graph, run)["done"] == 8


def test_a_shard_is_tried_again_while_neo4j_is_away(place: Workplace, tmp_path: Path) -> None:
    place.planted(8)
    llm = place.standin(latency_ms=1_000)
    log = tmp_path / "worker-0.log"
    address = urlsplit(place.settings(llm).neo4j_uri or "")
    assert address.hostname is not None and address.port is not None
    with Relay((address.hostname, address.port)) as relay:
        settings = place.settings(llm, neo4j_uri=f"bolt://127.0.0.1:{relay.port}", lease_seconds=LEASE)  # no sweeper
        worker = start_worker(settings, log, first=IMPATIENT)
        try:
            run, shards = begin(place)
            queue.enqueue(queue.create_app(settings), run, shards)
            wait_for(lambda: llm.calls > 0, "the first call")
            relay.cut()
            wait_for(lambda: "retry: Retry in" in log.read_text(), "the next try", 60)
            time.sleep(2 * LEASE)
            relay.mend()
            wait_for(lambda: ledger.progress(place.graph, run)["state"] == "done", "the end of the run", 60)
        finally:
            worker.stop()
    assert ledger.progress(place.graph, run)["done"] == 8


def test_a_sweeper_that_meets_what_nobody_foresaw_says_so_and_goes_on(place: Workplace, tmp_path: Any) -> None:
    place.planted(4)
    settings = place.settings(place.standin(), sweep_seconds=0.3)
    run, _ = begin(place)  # nothing announces it
    place.graph.execute(
        "CREATE (:Run {uid: $d + ':broken', dataset: $d, kind: 'extract', state: 'running', parameters: '{}'})",
        d=place.dataset,
    )
    place.worker(settings)
    log = tmp_path / "worker-0.log"
    wait_for(lambda: log.read_text().count("cannot look for lost work") > 1, "the second look")
    assert "KeyError" in log.read_text(), "with what a person needs to find the cause"
    assert ledger.progress(place.graph, run)["done"] == 0
    place.graph.execute("MATCH (r:Run {uid: $d + ':broken'}) DELETE r", d=place.dataset)
    wait_for(lambda: ledger.progress(place.graph, run)["state"] == "done", "the end of the run")


def test_a_dataset_that_is_dropped_while_it_is_worked_on_is_gone(place: Workplace, tmp_path: Any) -> None:
    place.planted(60)
    llm = place.standin(latency_ms=300)
    settings = place.settings(llm, llm_concurrency=4, lease_seconds=1.0, sweep_seconds=0.3)
    worker = place.worker(settings)
    command = place.cikg(settings, "extract", "--dataset", place.dataset)
    wait_for(lambda: llm.calls > 0, "the first call")
    run = ledger.describe(JOB, place.dataset, "stand-in")[0].uid
    wait_for(lambda: ledger.progress(place.graph, run)["done"] > 0, "the first commit")
    drop(place.graph, place.dataset)
    ended = command.result()
    assert (ended.code, ended.data["error"]) == (2, "NotFoundError")
    assert "has no run" in ended.data["message"] and "dropped" in ended.data["cure"]
    wait_for(lambda: "a shard ended" in (tmp_path / "worker-0.log").read_text(), "the worker's noticing")
    asked = llm.calls
    time.sleep(1.0)
    assert llm.calls == asked, "nobody asks about it any more"
    assert worker.poll() is None
    assert "Traceback" not in (tmp_path / "worker-0.log").read_text()
    left = "MATCH (n {dataset: $d}) WHERE NOT n:Completion RETURN labels(n) AS labels"
    assert (held(place.graph, place.dataset), place.graph.execute(left, d=place.dataset)) == (0, [])


def test_what_was_planned_before_a_drop_is_not_begun_after_it(place: Workplace) -> None:
    place.planted(3)
    plan = ledger.plan(place.graph, JOB, place.dataset, "stand-in")
    drop(place.graph, place.dataset)
    with pytest.raises(ConflictError, match="was dropped meanwhile"):
        ledger.start(place.graph, plan)
    assert held(place.graph, place.dataset) == 0
    with pytest.raises(NotFoundError, match="has no run"):
        ledger.progress(place.graph, plan.run.uid)

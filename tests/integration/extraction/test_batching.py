"""Questions that go in batches, to a real stand-in: what comes of them, and what happens when things go wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import openai
import pytest

from cikg.access import tokens
from cikg.access.accounts import Scope
from cikg.errors import UnreachableError
from cikg.extraction import batching, control, ledger
from cikg.extraction.batching import Sent
from cikg.extraction.budget import parse
from cikg.extraction.job import Job, Subject, UnusableAnswerError, Work, job
from cikg.graph import Graph
from cikg.llm.batches import Batches
from cikg.schema import State
from cikg.settings import Price, Settings
from tests.conftest import CIKG
from tests.dashboard import form_token
from tests.workplace import free_port, wait_for

from .conftest import StandIn, Workplace, environment, found, go_on, site, two_turns


@pytest.fixture
def llm(place: Workplace) -> StandIn:
    """A stand-in that behaves."""
    return place.standin()


def sent(llm: StandIn) -> list[Any]:
    """The batches that the stand-in was ever sent, the newest first."""
    with openai.OpenAI(base_url=llm.url, api_key="none", max_retries=0) as client:
        return list(client.batches.list())


def begin(place: Workplace, budget: str = "", settings: Settings | None = None, wanted: Job | None = None) -> str:
    """Plan a run whose questions go in batches; its uid."""
    plan = ledger.plan(place.graph, wanted or job("user_interests"), place.dataset, "stand-in")
    limit = parse(budget, settings, "stand-in") if settings and budget else None
    ledger.start(place.graph, plan, limit, batching.SUBMIT)
    return plan.run.uid


def settle(place: Workplace, settings: Settings, run: str) -> Sent:
    """Advance until nothing is with the provider."""
    state = batching.advance(place.graph, settings, run)
    deadline = time.monotonic() + 30
    while state.waiting:
        assert time.monotonic() < deadline, state
        time.sleep(0.02)
        state = batching.advance(place.graph, settings, run)
    return state


def test_a_run_in_batches_ends_as_a_direct_one_at_half_the_price_without_asking_twice(place: Workplace) -> None:
    place.planted(40)
    llm = place.standin()
    prices = {"stand-in": Price(input=1.0, output=2.0, batch=0.5)}
    settings = place.settings(llm, llm_prices=prices, sweep_seconds=0.2)
    place.worker(settings)
    direct = place.cikg(settings, "extract", "--dataset", place.dataset).result()
    expected = found(place.graph, place.dataset)
    place.graph.execute("MATCH (n:Run|Subject|Completion|Intent {dataset: $d}) DETACH DELETE n", d=place.dataset)
    llm = place.standin()
    before = len(sent(llm))
    dry = ("extract", "--dry-run", "--dataset", place.dataset)
    estimate, half = place.cikg(settings, *dry).result(), place.cikg(settings, *dry, "--batch").result()
    batched = place.cikg(settings, "extract", "--batch", "--dataset", place.dataset).result()
    assert (batched.code, batched.data["done"], batched.data["calls"]) == (0, 40, 40)
    assert found(place.graph, place.dataset) == expected
    assert llm.calls == 0, "every answer came in a batch"
    assert len(sent(llm)) == before + 1
    assert batched.data["tokens"] == direct.data["tokens"]
    assert batched.data["cost"] == pytest.approx(direct.data["cost"] / 2)
    assert half.data["cost"] == pytest.approx(estimate.data["cost"] / 2)
    assert place.graph.many("completion_size", dataset=place.dataset, prompt="user_interests")[0]["seconds"] is None
    again = place.cikg(settings, "extract", "--batch", "--dataset", place.dataset).result()
    assert (again.data["calls"], again.data["done"], len(sent(llm))) == (0, 40, before + 1)
    shown = place.cikg(settings, "jobs", "show", "user_interests", "--dataset", place.dataset).result()
    (batch,) = shown.data["batches"]
    assert shown.data["model"] == "stand-in"
    assert (batch["state"], batch["questions"], batch["answered"], batch["error"]) == ("done", 40, 40, None)


def test_batches_are_left_to_workers_whose_llm_has_the_model(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another provider knows nothing of them, and would be sent them once more."""
    place.planted(3)
    own = place.settings(place.standin())
    plan = ledger.plan(place.graph, job("user_interests"), place.dataset, "another")
    ledger.start(place.graph, plan, batch=batching.SUBMIT)
    tended: list[str] = []
    monkeypatch.setattr(batching, "advance", lambda graph, settings, run: tended.append(run))
    for settings, does in ((own, False), (own.model_copy(update={"openai_model": "another"}), True)):
        batching.tend(place.graph, settings)
        assert (plan.run.uid in tended) == does
    ledger.stop(place.graph, plan.run.uid, State.CANCELLED, None)


def test_one_runs_trouble_is_not_anothers(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = place.settings(place.standin())
    begun = []
    for number in range(2):
        name = f"{place.dataset}-{number}"
        place.planted(1, name)
        plan = ledger.plan(place.graph, job("user_interests"), name, "stand-in")
        ledger.start(place.graph, plan, batch=batching.SUBMIT)
        begun.append(plan.run.uid)
    tended: list[str] = []

    def advance(graph: Graph, settings: Settings, run: str) -> None:
        tended.append(run)
        if run == begun[0]:
            raise ZeroDivisionError

    monkeypatch.setattr(batching, "advance", advance)
    with pytest.raises(ZeroDivisionError):
        batching.tend(place.graph, settings)
    assert set(begun) <= set(tended)
    for run in begun:
        ledger.stop(place.graph, run, State.CANCELLED, None)


def test_an_answer_that_a_job_cannot_use_is_left_to_the_workers(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.planted(8)
    llm, once = place.standin(), job("user_interests")

    def strict(subject: Subject) -> Work:
        answer = yield from once.work(subject)
        if subject.id == "r2":
            raise UnusableAnswerError("not good enough")
        return answer

    wanted = replace(once, work=strict)
    monkeypatch.setattr(ledger, "job", lambda _name: wanted)
    run = begin(place, wanted=wanted)
    settings = place.settings(llm)
    settle(place, settings, run)
    stands = go_on(place, settings, run)
    assert (stands["state"], stands["done"], stands["quarantined"], llm.calls) == ("done", 7, 1, 0)


def test_workers_are_not_given_what_is_with_the_provider_and_their_sweeper_goes_on_by_itself(place: Workplace) -> None:
    place.planted(24)
    llm = place.standin(latency_ms=1500)
    settings = place.settings(llm, sweep_seconds=0.2)
    place.worker(settings)
    queued = place.cikg(settings, "extract", "--batch", "--no-wait", "--dataset", place.dataset).result()
    run = queued.data["run"]
    assert (queued.data["state"], queued.data["pending"]) == ("running", 24)
    control.resume(place.graph, settings, run)  # a person who is impatient
    assert ledger.lease(place.graph, run, 0, "an eager worker", 5) == ([], False)
    wait_for(lambda: ledger.progress(place.graph, run)["state"] == State.DONE, "the end of the run", 90)
    assert llm.calls == 0
    assert {row["user"] for row in found(place.graph, place.dataset)} == {f"r{reader}" for reader in range(24)}


@pytest.mark.parametrize("moment", ["before it was sent", "after it was sent"])
def test_whoever_dies_while_sending_leaves_one_batch(
    place: Workplace, llm: StandIn, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.planted(8)
    settings = place.settings(llm)
    before = len(sent(llm))
    run = begin(place)
    submit = Batches.submit

    def die(self: Batches, *arguments: Any) -> str:
        if moment == "after it was sent":
            submit(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(Batches, "submit", die)
        with pytest.raises(KeyboardInterrupt):
            batching.advance(place.graph, settings, run)
    assert [batch["state"] for batch in batching.listed(place.graph, run)] == ["submitting"]
    settle(place, settings, run)
    assert go_on(place, settings, run)["done"] == 8
    assert (len(sent(llm)), llm.calls) == (before + 1, 0)


def test_a_killed_command_is_taken_up_again(place: Workplace) -> None:
    place.planted(8)
    llm = place.standin(latency_ms=1000)
    settings = place.settings(llm, sweep_seconds=0.2, lease_seconds=0.1)
    place.worker(place.settings(llm))  # it sweeps once an hour: this is about the command
    before = len(sent(llm))
    command = [*CIKG, "extract", "--batch", "--dataset", place.dataset, "--json"]
    process = subprocess.Popen(command, env=environment(settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: len(sent(llm)) > before, "the batch")
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    again = place.cikg(settings, "extract", "--batch", "--dataset", place.dataset).result()
    assert (again.code, again.data["done"], again.data["calls"]) == (0, 8, 8)
    assert (len(sent(llm)), llm.calls) == (before + 1, 0)


def test_processes_take_turns(place: Workplace, llm: StandIn) -> None:
    place.planted(8)
    settings = place.settings(llm)
    run = begin(place)
    claim = {"run": run, "lease": "another process", "milliseconds": 60_000}
    assert place.graph.write("claim_batching", **claim) == [{"batch": "submit"}]
    before = len(sent(llm))
    assert batching.advance(place.graph, settings, run) == Sent(waiting=True)
    assert len(sent(llm)) == before
    place.graph.write("release_batching", run=run, lease="another process")
    assert batching.advance(place.graph, settings, run) == Sent(waiting=True, batches=1, questions=8)


@pytest.mark.parametrize(
    ("fault", "paid", "cause", "fate"),
    [
        ("server-error", 7, "1 × The server had an error", "done"),
        ("lose", 7, "1 × it came back in no file", "done"),
        ("wrong-schema", 8, "does not follow the schema UserInterests", "done"),
        ("truncated", 8, "1 × the answer was cut off at the model's limit", "done"),
        ("refusal", 8, "1 × the model refused to answer", "quarantined"),
    ],
)
def test_a_line_that_comes_to_nothing_is_asked_directly_and_named(
    place: Workplace, fault: str, paid: int, cause: str, fate: str
) -> None:
    place.planted(8)
    settings = place.settings(place.standin(fault=f"{fault}@Volume 2-0"))
    run = begin(place)
    settle(place, settings, run)
    (batch,) = batching.listed(place.graph, run)
    assert (batch["state"], batch["answered"]) == ("done", 7)
    assert cause in batch["error"]
    assert ledger.progress(place.graph, run)["calls"] == paid, "what was answered was paid for, whatever it was"
    llm = place.standin(fault="refusal@Volume 2-0" if fate == "quarantined" else "")
    stands = go_on(place, place.settings(llm), run)
    assert (stands["state"], stands[fate], llm.calls) == ("done", 1 if fate == "quarantined" else 8, 1)


def test_what_a_batch_did_not_come_to_goes_into_the_next(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "FEW", 2)
    place.planted(24)
    settings = place.settings(place.standin(fault="expire*1@Volume 2-"))
    run = begin(place)
    settle(place, settings, run)
    batches = [(batch["questions"], batch["answered"]) for batch in batching.listed(place.graph, run)]
    assert batches == [(24, 18), (6, 6)]
    llm = place.standin()
    assert go_on(place, settings, run)["done"] == 24
    assert llm.calls == 0


@pytest.mark.parametrize(
    ("fault", "cause"),
    [("reject@Volume 0-0", "The enqueued token limit is reached"), ("server-error", "30 × The server had an error")],
)
def test_a_batch_that_fails_stops_the_run_instead_of_asking_everything_directly(
    place: Workplace, fault: str, cause: str
) -> None:
    place.planted(30)
    settings = place.settings(place.standin(fault=fault))
    run = begin(place)
    settle(place, settings, run)
    stands = ledger.progress(place.graph, run)
    assert (stands["state"], stands["planned"], stands["calls"]) == ("failed", 30, 0)
    assert f"the batches left 30 questions open: {cause}" in stands["error"]
    llm = place.standin()
    assert begin(place) == run, "the same command begins anew"
    settle(place, settings, run)
    assert (go_on(place, settings, run)["done"], llm.calls) == (30, 0)


def test_a_budget_is_kept_before_anything_is_sent(place: Workplace, llm: StandIn) -> None:
    place.planted(30)
    settings = place.settings(llm)
    run = begin(place, "12 calls", settings)
    settle(place, settings, run)
    stands = ledger.progress(place.graph, run)
    assert (stands["state"], stands["calls"]) == ("paused", 12)
    assert "the budget of 12 calls is spent" in stands["error"]
    assert [batch["questions"] for batch in batching.listed(place.graph, run)] == [12]
    control.resume(place.graph, settings, run, unlimited=True)
    settle(place, settings, run)
    assert (go_on(place, settings, run)["done"], ledger.progress(place.graph, run)["calls"]) == (30, 30)
    assert llm.calls == 0


def cancel_by_command(place: Workplace, settings: Settings, run: str) -> None:
    ended = place.cikg(settings, "jobs", "cancel", run, "--dataset", place.dataset).result()
    assert ended.data["state"] == "cancelled"


def cancel_by_page(place: Workplace, settings: Settings, run: str) -> None:
    with site(settings) as client:
        path = f"/d/{place.dataset}/jobs/{run}"
        csrf = form_token(client.get(path).text)
        assert client.post(f"{path}/cancel", data={"csrf_token": csrf}).status_code == 303


def cancel_by_api(place: Workplace, settings: Settings, run: str) -> None:
    _, token = tokens.create(place.graph, None, "a test", list(Scope), actor="a test")
    with site(settings) as client:
        path = f"/api/v1/datasets/{place.dataset}/jobs/{run}/cancel"
        answer = client.post(path, headers={"Authorization": f"Bearer {token}"})
        assert answer.json["state"] == "cancelled"


@pytest.mark.parametrize("cancel", [cancel_by_command, cancel_by_page, cancel_by_api])
def test_cancelling_stops_the_batch_and_what_was_answered_is_not_asked_again(
    place: Workplace, cancel: Callable[[Workplace, Settings, str], None]
) -> None:
    place.planted(8)
    llm = place.standin(latency_ms=60_000)
    settings = place.settings(llm)
    run = begin(place)
    assert batching.advance(place.graph, settings, run).waiting
    cancel(place, settings, run.partition(":")[2])
    assert sent(llm)[0].status in ("cancelling", "cancelled")
    assert not batching.advance(place.graph, settings, run).waiting
    before = len(sent(llm))
    begin(place)
    settle(place, settings, run)
    assert len(sent(llm)) == before, "all had been answered when it was cancelled"
    assert (go_on(place, settings, run)["done"], llm.calls) == (8, 0)


def test_a_provider_that_did_not_hear_of_a_cancelling_is_told_again(place: Workplace) -> None:
    place.planted(4)
    llm = place.standin(latency_ms=60_000)
    settings = place.settings(llm)
    run = begin(place)
    batching.advance(place.graph, settings, run)
    with pytest.raises(UnreachableError):
        control.stop(place.graph, place.settings(f"http://127.0.0.1:{free_port()}/v1"), run, State.CANCELLED)
    assert ledger.progress(place.graph, run)["state"] == State.CANCELLED
    assert sent(llm)[0].status == "in_progress"
    control.stop(place.graph, settings, run, State.CANCELLED)
    assert sent(llm)[0].status in ("cancelling", "cancelled")


def test_cancelling_while_a_batch_is_being_sent_stops_it(
    place: Workplace, llm: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.planted(4)
    llm.control({"latency_ms": 60_000})
    settings = place.settings(llm)
    run = begin(place)
    submit = Batches.submit

    def slowly(self: Batches, *given: Any) -> str:
        control.stop(place.graph, settings, run, State.CANCELLED)
        return submit(self, *given)

    monkeypatch.setattr(Batches, "submit", slowly)
    before = len(sent(llm))
    assert not batching.advance(place.graph, settings, run).waiting
    assert [batch.status in ("cancelling", "cancelled") for batch in sent(llm)[: len(sent(llm)) - before]] == [True]


def test_a_batch_that_another_process_sent_meanwhile_is_not_left_twice(
    place: Workplace, llm: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.planted(4)
    llm.control({"latency_ms": 60_000})
    settings = place.settings(llm)
    run = begin(place)
    submit = Batches.submit

    def too_slowly(self: Batches, *given: Any) -> str:
        monkeypatch.setattr(Batches, "submit", submit)
        place.graph.execute("MATCH (r:Run {uid: $run}) SET r.batch_leased_until = 0", run=run)
        assert batching.advance(place.graph, settings, run).batches == 1
        return submit(self, *given)

    monkeypatch.setattr(Batches, "submit", too_slowly)
    before = len(sent(llm))
    batching.advance(place.graph, settings, run)
    states = [batch.status for batch in sent(llm)[: len(sent(llm)) - before]]
    assert (len(states), states.count("in_progress")) == (2, 1), "one of both goes on"
    ((known, state),) = [(batch["batch"], batch["state"]) for batch in batching.listed(place.graph, run)]
    assert (known, state) == (next(each.id for each in sent(llm) if each.status == "in_progress"), "open")
    control.stop(place.graph, settings, run, State.CANCELLED)


def test_each_turn_of_a_conversation_is_a_batch(
    place: Workplace, llm: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "FEW", 2)
    place.planted(24)
    settings = place.settings(llm)
    patient = replace(job("user_interests"), work=two_turns)
    monkeypatch.setattr(ledger, "job", lambda _name: patient)
    run = begin(place, wanted=patient)
    settle(place, settings, run)
    assert [(batch["round"], batch["questions"]) for batch in batching.listed(place.graph, run)] == [(1, 24), (2, 24)]
    stands = go_on(place, settings, run)
    assert (stands["done"], stands["calls"], llm.calls) == (24, 48, 0)


def test_equal_questions_are_sent_once(place: Workplace, llm: StandIn) -> None:
    place.planted(96 + 8)  # the last eight read what the first eight did
    settings = place.settings(llm)
    run = begin(place)
    settle(place, settings, run)
    assert [batch["questions"] for batch in batching.listed(place.graph, run)] == [96]
    assert (go_on(place, settings, run)["done"], llm.calls) == (104, 0)


def test_a_provider_without_batches_is_named(place: Workplace, llm: StandIn) -> None:
    place.planted(4)
    place.worker(place.settings(llm))
    settings = place.settings(llm.url.removesuffix("/v1") + "/nowhere")
    ended = place.cikg(settings, "extract", "--batch", "--dataset", place.dataset).result()
    assert ended.code == 2
    assert "does not offer batches. Ask without --batch" in ended.data["message"] + ". " + ended.data["cure"]


def test_a_run_is_collected_before_it_is_asked_directly_again(place: Workplace) -> None:
    place.planted(8)
    llm = place.standin(latency_ms=500)
    settings = place.settings(llm, sweep_seconds=0.2)
    place.worker(settings)
    run = begin(place)
    batching.advance(place.graph, settings, run)
    place.graph.execute("MATCH (s:Subject {uid: $s}) DETACH DELETE s", s=f"{run}/r7")  # one that the batch knows of
    ended = place.cikg(settings, "extract", "--no-batch", "--dataset", place.dataset).result()
    assert (ended.data["done"], llm.calls) == (8, 0)

"""What a run may spend, how fast it may ask, and what it does when the provider is busy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from pydantic import SecretStr

from cikg.errors import UnreachableError
from cikg.extraction import ledger
from cikg.extraction.budget import Budget, Unit
from cikg.extraction.estimate import estimate
from cikg.extraction.job import job
from cikg.extraction.runner import Runner
from cikg.llm.traffic import Traffic
from cikg.schema import State
from cikg.settings import Price, Settings
from tests.integration.extraction.conftest import Workplace
from tests.relay import Relay
from tests.workplace import wait_for

JOB = job("user_interests")
MODEL = "stand-in"
Result = TypeVar("Result")


def in_a_loop(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine in a thread of its own: where a browser was driven before, this one has a loop already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


def work(place: Workplace, settings: Settings, budget: Budget | None = None) -> tuple[str, dict[str, object]]:
    """Do what is left of the run in this process."""
    plan = ledger.plan(place.graph, JOB, place.dataset, MODEL)
    shards = ledger.start(place.graph, plan, budget)
    with Runner(place.graph, settings) as runner:
        runner.work_all(plan.run.uid, shards)
    return plan.run.uid, ledger.progress(place.graph, plan.run.uid)


def test_a_budget_of_calls_pauses_the_run_and_resuming_repeats_none(place: Workplace) -> None:
    place.planted(60)
    llm = place.standin()
    settings = place.settings(llm)
    _, stands = work(place, settings, Budget(20, Unit.CALLS))
    assert (stands["state"], stands["calls"], stands["done"]) == (State.PAUSED, 20, 20)
    assert "budget of 20 calls is spent" in str(stands["error"])
    assert (stands["planned"], stands["running"]) == (40, 0), "the rest is given back"
    assert llm.calls == 20
    _, stands = work(place, settings, Budget(15, Unit.CALLS))
    assert (stands["state"], llm.calls) == (State.PAUSED, 35), "a new budget counts from its start"
    _, stands = work(place, settings)
    assert (stands["state"], stands["done"], llm.calls) == (State.DONE, 60, 60)


@pytest.mark.parametrize("unit", [Unit.TOKENS, Unit.MONEY])
def test_a_budget_of_tokens_or_money_is_kept_to_within_what_is_under_way(place: Workplace, unit: Unit) -> None:
    place.planted(60)
    price = Price(input=1000, output=4000)
    settings = place.settings(place.standin(), llm_prices={MODEL: price}, llm_concurrency=4)
    expected = estimate(place.graph, ledger.plan(place.graph, JOB, place.dataset, MODEL), settings)
    assert expected.cost is not None
    total = expected.prompt_tokens + expected.completion_tokens if unit is Unit.TOKENS else expected.cost
    _, stands = work(place, settings, Budget(total / 3, unit, "USD"))
    assert stands["state"] == State.PAUSED
    spent = _spent(stands, unit)
    one = total / 60
    assert total / 3 - 5 * one < spent < total / 3 + 4 * one
    _, stands = work(place, settings)
    assert stands["done"] == 60
    assert stands["cost"] == pytest.approx(
        price.cost(int(str(stands["prompt_tokens"])), int(str(stands["completion_tokens"])))
    )


def _spent(stands: dict[str, object], unit: Unit) -> float:
    if unit is Unit.MONEY:
        return float(str(stands["cost"]))
    return float(str(stands["prompt_tokens"])) + float(str(stands["completion_tokens"]))


def test_what_is_spent_is_read_from_the_ledger_where_redis_forgot(place: Workplace) -> None:
    place.planted(12)
    settings = place.settings(place.standin())
    run, _ = work(place, settings, Budget(5, Unit.CALLS))
    found = ledger.open_run(place.graph, run)
    assert ledger.spent(place.graph, found) == 5
    assert found.allowance is not None
    _forget(settings, f"cikg:spent:{run}/{found.allowance.id}")

    async def spend() -> list[bool | None]:
        traffic = Traffic(settings)
        key = f"{run}/{found.allowance.id if found.allowance else ''}"
        answers = [await traffic.spend(key, 1, 5), await traffic.spend(key, 1, 5, 5.0), await traffic.spend(key, 1, 6)]
        await traffic.close()
        return answers

    assert in_a_loop(spend) == [None, False, True]


def _forget(settings: Settings, key: str) -> None:
    import redis  # noqa: PLC0415

    assert settings.redis_url is not None
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as server:
        assert server.delete(key) == 1


def test_equal_questions_are_asked_once(place: Workplace) -> None:
    place.planted(8)
    place.graph.execute(
        "MATCH (:User {dataset: $d})-[r:INTERACTED]->() DELETE r WITH count(*) AS gone "
        "MATCH (u:User {dataset: $d}) MATCH (i:Item {dataset: $d}) WITH u, i ORDER BY i.id LIMIT 24 "
        "MERGE (u)-[:INTERACTED {split: 'train'}]->(i)",
        d=place.dataset,
    )
    llm = place.standin(latency_ms=50)
    plan = ledger.plan(place.graph, JOB, place.dataset, MODEL)
    hashes = {subject.input_hash for subject in plan.pending}
    _, stands = work(place, place.settings(llm))
    assert stands["done"] == len(plan.pending)
    assert llm.calls == len(hashes)


def test_a_provider_that_wants_a_long_rest_gets_it_and_frees_the_worker(place: Workplace) -> None:
    place.planted(6)
    llm = place.standin(fault="rate-limit:600*1")
    settings = place.settings(llm)
    began = time.time()
    run, stands = work(place, settings)
    assert (stands["state"], stands["planned"], stands["running"], stands["done"]) == (State.RUNNING, 6, 0, 0)
    assert began + 590 < int(str(stands["resume_at"])) / 1000 < time.time() + 601
    assert "left alone for 600 s" in str(stands["error"])
    assert ledger.lease(place.graph, run, 0, "token", 10) == ([], False), "nobody works on it before that"
    asked = llm.calls
    assert asked <= 6
    place.graph.execute("MATCH (r:Run {uid: $run}) SET r.resume_at = timestamp() - 1", run=run)
    llm.control({"fault": ""})
    with Runner(place.graph, settings) as runner:
        runner.work_all(run, ledger.open_shards(place.graph, run))
    assert ledger.progress(place.graph, run)["done"] == 6


def test_a_busy_provider_is_asked_again_when_it_says_and_less_at_once(place: Workplace) -> None:
    place.planted(20)
    llm = place.standin(fault="rate-limit:1*1")
    _, stands = work(place, place.settings(llm))
    assert (stands["state"], stands["done"]) == (State.DONE, 20)
    assert llm.calls == 40, "each question once refused, once answered"


def test_rates_are_shared_through_redis(settings: Settings, dataset: str) -> None:
    limited = settings.model_copy(
        update={"llm_requests_per_minute": 60, "llm_tokens_per_minute": 60_000, "openai_base_url": dataset}
    )

    async def take() -> tuple[int, int]:
        first, second = Traffic(limited), Traffic(limited)
        admitted = 0
        for number in range(20):  # two workers in turns
            admitted += (await (first, second)[number % 2]._take("m", 10)) == 0
        heavy = 0
        for _ in range(20):
            heavy += (await first._take("other", 3_000)) == 0
        await first.close()
        await second.close()
        return admitted, heavy

    admitted, heavy = in_a_loop(take)
    assert admitted in (7, 8), "six seconds' worth of one a second at once, and the one that passes it"
    assert heavy in (3, 4), "six seconds' worth of 1,000 tokens a second, in thousands of three"


def test_without_redis_rates_are_refused_with_the_setting(settings: Settings) -> None:
    alone = settings.model_copy(update={"redis_url": None, "llm_requests_per_minute": 60})

    async def admit() -> None:
        await Traffic(alone).admit("m", 1, lambda: True)

    with pytest.raises(UnreachableError, match="CIKG_REDIS_URL"):
        in_a_loop(admit)


def test_a_redis_that_is_away_costs_no_answer_and_lets_the_run_rest(place: Workplace) -> None:
    place.planted(6)
    address = place.settings("none").redis_url
    assert address is not None
    place_of, _, database = address.get_secret_value().rpartition("/")
    port = int(place_of.rpartition(":")[2])
    llm = place.standin(latency_ms=2000)
    with Relay(("127.0.0.1", port)) as relay:
        settings = place.settings(
            llm,
            redis_url=SecretStr(place_of.replace(f":{port}", f":{relay.port}") + f"/{database}"),
            llm_tokens_per_minute=1_000_000,
            llm_concurrency=4,
        )
        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(work, place, settings, Budget(6, Unit.CALLS))
            wait_for(lambda: llm.calls == 4, "the first questions")
            relay.cut()
            run, stands = working.result()
        assert (stands["state"], stands["done"], stands["failed"], stands["planned"]) == (State.RUNNING, 4, 0, 2)
        assert llm.calls == 4, "nothing is asked that cannot be counted"
        assert "Redis" in str(stands["error"])
        assert int(str(stands["resume_at"])) / 1000 < time.time() + 16
        relay.mend()
        place.graph.execute("MATCH (r:Run {uid: $run}) SET r.resume_at = timestamp()", run=run)
        with Runner(place.graph, settings) as runner:
            runner.work_all(run, ledger.open_shards(place.graph, run))
        assert (ledger.progress(place.graph, run)["state"], llm.calls) == (State.DONE, 6)

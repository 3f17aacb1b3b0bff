"""What workers count, over processes, and what their logs say."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from cikg import metrics
from cikg.extraction import ledger
from cikg.extraction.job import job
from cikg.extraction.runner import Runner
from cikg.llm.answers import Usage
from cikg.settings import Price, Settings
from tests.integration.extraction.conftest import Workplace

JOB = "user_interests"


def samples(graph: Any, url: str | None) -> dict[tuple[str, ...], float]:
    """What was exposed: (name, values of its labels in the order of their names …) -> value."""
    text = metrics.exposition(graph, url).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def counted_apart(settings: Settings) -> str:
    """The address of the tests' Redis, with nothing counted in it."""
    assert settings.redis_url is not None
    url = settings.redis_url.get_secret_value()
    with redis.Redis.from_url(url) as server:
        server.delete(metrics.KEY)
    return url


def test_what_two_processes_did_is_added_up(place: Workplace) -> None:
    place.planted(12)
    llm = place.standin(fault="refusal@Volume 2-0", unreadable_at_first="Volume 3-0")
    base = str(place.settings(llm).redis_url.get_secret_value()).rpartition("/")[0]  # type: ignore[union-attr]
    prices = {"stand-in": Price(input=1000, output=1000)}
    settings = place.settings(llm, redis_url=SecretStr(f"{base}/7"), llm_prices=prices)
    url = counted_apart(settings)
    plan = ledger.plan(place.graph, job(JOB), place.dataset, "stand-in", limit=6)
    with Runner(place.graph, settings) as runner:
        runner.work_all(plan.run.uid, ledger.start(place.graph, plan))
    rest = ledger.plan(place.graph, job(JOB), place.dataset, "stand-in")
    shards = ledger.start(place.graph, rest)
    assert samples(place.graph, url)["cikg_open_subjects", place.dataset, JOB, "planned"] == 6
    with Runner(place.graph, settings) as runner:
        runner.work_all(plan.run.uid, shards)

    stands, found = ledger.progress(place.graph, plan.run.uid), samples(place.graph, url)
    assert (stands["done"], stands["quarantined"]) == (11, 1)
    assert found["cikg_llm_calls_total", JOB, "stand-in"] == stands["calls"] == llm.calls == 13
    assert found["cikg_llm_retries_total", JOB, "stand-in"] == 1, "the repair"
    assert found["cikg_llm_tokens_total", JOB, "prompt", "stand-in"] == stands["prompt_tokens"]
    assert found["cikg_llm_cost_total", JOB, "stand-in"] == pytest.approx(stands["cost"])
    assert found["cikg_subjects_total", JOB, "done"] == 11
    assert found["cikg_subjects_total", JOB, "quarantined"] == 1
    assert found["cikg_llm_latency_seconds_count", JOB, "stand-in"] == 12
    assert found["cikg_llm_latency_seconds_bucket", JOB, "120.0", "stand-in"] == 12
    assert found["cikg_up", "redis"] == found["cikg_up", "neo4j"] == 1


def test_messages_that_wait_are_counted(settings: Settings) -> None:
    assert settings.redis_url is not None
    url = settings.redis_url.get_secret_value().rpartition("/")[0] + "/7"
    with redis.Redis.from_url(url) as server:
        server.delete("training")
        server.lpush("training", "one", "two")
        assert samples(None, url)["cikg_queue_depth", "training"] == 2
        server.delete("training")


def test_counting_waits_for_redis_and_the_page_says_that_it_is_away() -> None:
    away = "redis://127.0.0.1:1/0"
    counts = metrics.Counts(away)
    counts.asked(JOB, "m", Usage(calls=2))
    began = time.monotonic()
    counts.flush(now=True)
    assert time.monotonic() - began < 5
    assert counts._counts["cikg_llm_calls", JOB, "m"] == 2, "they are kept"
    assert samples(None, away) == {("cikg_up", "redis"): 0, ("cikg_up", "neo4j"): 0}
    assert samples(None, None)["cikg_up", "redis"] == 0


def test_a_workers_log_is_json_with_run_and_task_and_without_secrets(place: Workplace, tmp_path: Path) -> None:
    place.planted(5)
    llm = place.standin(fault="refusal@Volume 2-0")
    settings = place.settings(llm, openai_api_key=SecretStr("a-canary-that-must-not-sing"))
    place.worker(settings)
    ended = place.cikg(settings, "extract", JOB, "--dataset", place.dataset).result()
    assert ended.data["done"] == 4
    text = (tmp_path / "worker-0.log").read_text()
    assert "canary" not in text
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    (shard,) = [line for line in lines if line["event"] == "a shard ended"]
    assert (shard["run"], shard["closed"], shard["left"], shard["calls"]) == (ended.data["run"], 5, 0, 5)
    (bad,) = [line for line in lines if line["event"] == "a subject did not end well"]
    assert bad["task"] == shard["task"]
    assert (bad["level"], bad["state"]) == ("warning", "quarantined")
    assert "refused" in bad["error"]

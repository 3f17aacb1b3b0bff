from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from cikg import metrics
from cikg.errors import SettingsError, UnreachableError
from cikg.extraction.commands import COMMANDS
from cikg.extraction.queue import LLM_QUEUE, MOST_COMMANDS, QUEUES, create_app, enqueue, room
from cikg.settings import Settings


def settings(tmp_path: Path, **values: object) -> Settings:
    redis = SecretStr("redis://127.0.0.1:1/0")
    return Settings(home=tmp_path, redis_url=redis).model_copy(update=values)


def test_a_task_may_not_outlast_the_time_after_which_redis_hands_it_out_again(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="1800") as caught:
        create_app(settings(tmp_path, queue_visibility_timeout=1800))
    assert "CIKG_TASK_TIME_LIMIT" in str(caught.value)


def test_a_subject_may_not_wait_longer_than_its_task_lasts(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="2400 s") as caught:
        create_app(settings(tmp_path, llm_timeout=400.0))
    assert "CIKG_LLM_TIMEOUT" in str(caught.value)


def test_messages_are_acknowledged_late_one_at_a_time_and_as_json_alone(tmp_path: Path) -> None:
    conf = create_app(settings(tmp_path)).conf
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1
    assert conf.accept_content == ["json"]


def test_without_redis_it_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="CIKG_REDIS_URL"):
        create_app(settings(tmp_path, redis_url=None))
    with pytest.raises(UnreachableError, match="Redis does not answer"):
        enqueue(create_app(settings(tmp_path)), "run", [0])


def test_a_worker_takes_from_every_queue_that_there_is(tmp_path: Path) -> None:
    app = create_app(settings(tmp_path))
    assert {each.name for each in app.conf.task_queues} == set(QUEUES) == set(metrics.QUEUES)
    assert set(COMMANDS.values()) < set(QUEUES)


def test_commands_leave_threads_to_the_shards_that_they_wait_for(tmp_path: Path) -> None:
    threads = create_app(settings(tmp_path)).conf.worker_concurrency
    assert 1 < room(threads, QUEUES) < threads, "by default, too, one is left to shards"
    assert [room(number, QUEUES) for number in (2, 3, 4, 100)] == [1, 2, 3, MOST_COMMANDS]
    assert room(1, ["training"]) == 1
    assert room(6, set(QUEUES) - {LLM_QUEUE}) == 6, "none of its threads is any shard's"

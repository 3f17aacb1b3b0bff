"""Redis at its worst: messages that nobody of ours sent, a server that hangs, dies, forgets, is full, or only reads."""

from __future__ import annotations

import pickle
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from cikg.access import tokens
from cikg.access.accounts import Scope
from cikg.embedded import redis
from cikg.embedded.supervisor import environment
from cikg.errors import AuthenticationError, ServiceError, UnreachableError
from cikg.extraction import commands, control, ledger, queue
from cikg.extraction.job import job
from cikg.settings import Settings
from tests.integration.extraction.conftest import Workplace, site
from tests.workplace import end, free_port, start_worker, wait_for

SILENCE, FROZEN = 0.5, 3.0
"""What a worker and a command take for silence in these tests, and how long it lasts: as 10 s and a minute."""


class Canary:
    """Leaves a file wherever it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.trace,)


def send(settings: Settings, body: bytes | str, content_type: str, task: str) -> None:
    """Put a message into the queue of commands as it stands."""
    with queue.create_app(settings).connection_for_write() as connection:
        connection.Producer().publish(
            body,
            routing_key="graph",
            content_type=content_type,
            content_encoding="binary" if isinstance(body, bytes) else "utf-8",
            headers={"task": task, "id": "0", "lang": "py", "argsrepr": "()", "kwargsrepr": "{}"},
        )


def test_what_is_no_message_of_ours_is_refused_and_the_worker_goes_on(
    place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.planted(8)
    settings = place.settings("http://127.0.0.1:9/v1", home=tmp_path / "home", sweep_seconds=0.5)
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    trace = tmp_path / "trace"
    pickle.loads(pickle.dumps(Canary(trace)))
    assert trace.exists(), "it does what it says where anybody listens to it"
    trace.unlink()
    worker = place.worker(settings)
    arguments = "[{}, {{}}, {{}}]"
    send(settings, pickle.dumps(([Canary(trace)], {}, {})), "application/x-python-serialize", queue.CARRY_OUT)
    send(settings, pickle.dumps(Canary(trace)), "application/x-python-serialize", "os.system")
    send(settings, arguments.format('["touch"]'), "application/json", "os.system")
    send(settings, arguments.format("[]"), "application/json", queue.CARRY_OUT)
    send(settings, arguments.format('["no run"]'), "application/json", queue.CARRY_OUT)
    send(settings, arguments.format('["no run", -1]'), "application/json", queue.WORK_SHARD)
    send(settings, "[" * 100_000, "application/json", queue.CARRY_OUT)
    commands.enqueue(place.graph, settings, ["snapshot", "--dataset", place.dataset])
    wait_for(lambda: control.commands(place.graph, place.dataset)[0]["state"] == "done", "the command's end", 90)
    assert worker.poll() is None
    assert not trace.exists()


def _answers(port: int) -> bool:
    with Redis(port=port) as client:
        try:
            return bool(client.ping())
        except RedisConnectionError:
            return False


def _start_redis(port: int, folder: Path) -> subprocess.Popen[bytes]:
    """Start a Redis that keeps nothing; returns once it answers."""
    command = [str(redis.binary(Settings())), "--port", str(port), "--dir", str(folder), "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_for(lambda: _answers(port), "Redis", 20)
    return process


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Redis that can be frozen; its address and process."""
    port = free_port()
    process = _start_redis(port, tmp_path)
    yield f"redis://127.0.0.1:{port}/0", process
    process.send_signal(signal.SIGCONT)
    end(process)


def test_a_redis_that_hangs_is_told_and_work_goes_on_once_it_answers(
    place: Workplace, own_redis: tuple[str, subprocess.Popen[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, process = own_redis
    place.planted(8)
    changes = {"home": tmp_path / "home", "redis_url": SecretStr(address), "sweep_seconds": 0.5}
    settings = place.settings("http://127.0.0.1:9/v1", **changes)
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    impatient = f"from cikg.extraction import queue; queue.SILENCE = {SILENCE}"
    worker = start_worker(settings, tmp_path / "worker.log", first=impatient)
    process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(queue, "SILENCE", SILENCE)
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="Redis does not answer"):  # while it is still stopped
        commands.enqueue(place.graph, settings, ["snapshot", "--dataset", place.dataset])
    time.sleep(max(0.0, began + FROZEN - time.monotonic()))
    process.send_signal(signal.SIGCONT)  # the command stands in the graph: the worker's sweeper finds it
    try:
        wait_for(lambda: control.commands(place.graph, place.dataset)[0]["state"] == "done", "the command's end", 90)
        assert "Connection to broker lost" in worker.log.read_text(), "the worker noticed, too"
    finally:
        worker.stop()


def test_a_redis_that_forgets_or_dies_costs_no_work(
    place: Workplace, own_redis: tuple[str, subprocess.Popen[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, process = own_redis
    readers = len(place.planted(60))
    monkeypatch.setattr(ledger, "SHARD", 6)
    llm = place.standin(latency_ms=500)
    changes = {"home": tmp_path / "home", "redis_url": SecretStr(address), "sweep_seconds": 0.5}
    settings = place.settings(llm, llm_concurrency=4, **changes)
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    worker = place.worker(settings)
    plan = ledger.plan(place.graph, job("user_interests"), place.dataset, "stand-in")
    run, shards = plan.run.uid, ledger.start(place.graph, plan)
    queue.enqueue(queue.create_app(settings), run, shards)
    commands.enqueue(place.graph, settings, ["snapshot", "--dataset", place.dataset])

    def done() -> int:
        return int(ledger.progress(place.graph, run)["done"])

    wait_for(lambda: done() > 0, "the first commit")
    with Redis.from_url(address) as client:
        assert client.llen(queue.LLM_QUEUE) > 0, "some wait while others are under way"
        client.flushall()
    before = done()
    wait_for(lambda: done() > before + 30, "work that was found again")
    process.kill()
    process.wait()
    again = _start_redis(int(address.rpartition(":")[2].partition("/")[0]), tmp_path)
    try:
        wait_for(lambda: ledger.progress(place.graph, run)["state"] == "done", "the end of the run", 60)
        assert done() == llm.calls == readers, "nothing is left, and nothing was asked twice"
        wait_for(lambda: control.commands(place.graph, place.dataset)[0]["state"] == "done", "the command's end", 60)
        assert worker.poll() is None
    finally:
        end(worker)
        end(again)


def test_a_redis_that_is_full_or_only_reads_is_told_and_work_goes_on_once_it_writes(
    place: Workplace, own_redis: tuple[str, subprocess.Popen[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _ = own_redis
    place.planted(8)
    changes = {"home": tmp_path / "home", "redis_url": SecretStr(address), "sweep_seconds": 0.5}
    settings = place.settings("http://127.0.0.1:9/v1", **changes)
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    words = ["snapshot", "--dataset", place.dataset]
    place.worker(settings)
    log = (tmp_path / "worker-0.log").read_text()
    with Redis.from_url(address, decode_responses=True) as client:
        assert client.pubsub_channels("*celeryev*") == [] and "mingle" not in log, "workers tell each other nothing"
        client.replicaof("127.0.0.1", "1")
        with pytest.raises(ServiceError, match="Redis is a replica"):
            commands.enqueue(place.graph, settings, words)
        client.replicaof("NO", "ONE")
        client.config_set("maxmemory", 1)
        with pytest.raises(ServiceError, match="Redis is full"):
            commands.enqueue(place.graph, settings, words)
        secret = tokens.create(place.graph, None, "tests", [Scope.WRITE], actor="tests")[1]
        with site(settings) as browser:
            bearer = {"Authorization": f"Bearer {secret}"}
            answer = browser.post(f"/api/v1/datasets/{place.dataset}/interests", json={}, headers=bearer)
            assert (answer.status_code, answer.json["detail"][:13]) == (503, "Redis is full"), answer.text
            assert browser.get("/health").status_code in (200, 503)
        waiting = [each["state"] for each in control.commands(place.graph, place.dataset)]
        assert waiting == ["planned"] * 3, "the ledger has what no message announces"
        client.config_set("maxmemory", 0)
    ended = {"done", "failed"}  # there is nothing to cluster
    wait_for(lambda: {each["state"] for each in control.commands(place.graph, place.dataset)} <= ended, "all ends", 90)


def test_a_redis_that_fails_within_a_message_is_told(
    own_redis: tuple[str, subprocess.Popen[bytes]], place: Workplace
) -> None:
    settings = place.settings("http://127.0.0.1:9/v1", redis_url=SecretStr(own_redis[0]))
    app, over = queue.create_app(settings), threading.Event()

    def disturb() -> None:
        with Redis.from_url(own_redis[0]) as client:
            while not over.wait(0.01):
                client.config_set("maxmemory", 1)
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                client.config_set("maxmemory", 0)

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    told: Counter[str] = Counter()
    deadline = time.monotonic() + 60
    try:
        while not (told["sent"] and len(told) > 1) and time.monotonic() < deadline:
            try:
                queue.enqueue_command(app, "run", queue.LLM_QUEUE)
                told["sent"] += 1
            except ServiceError as error:
                told[type(error).__name__] += 1
    finally:
        over.set()
        disturbing.join()
    assert told["sent"] and len(told) > 1, told


def test_a_wrong_password_of_redis_is_named(own_redis: tuple[str, subprocess.Popen[bytes]], place: Workplace) -> None:
    with Redis.from_url(own_redis[0]) as client:
        client.config_set("requirepass", "right")
    settings = place.settings("http://127.0.0.1:9/v1", redis_url=SecretStr(own_redis[0].replace("//", "//:wrong@")))
    with pytest.raises(AuthenticationError, match="Redis refuses the password"):
        queue.enqueue(queue.create_app(settings), "run", [0])

"""Redis at its worst: messages that nobody of ours sent, and a server that hangs without closing a connection."""

from __future__ import annotations

import pickle
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from cikg.embedded import redis
from cikg.embedded.supervisor import environment
from cikg.errors import UnreachableError
from cikg.extraction import commands, control, queue
from cikg.settings import Settings
from tests.integration.extraction.conftest import Workplace
from tests.workplace import end, free_port, wait_for

pytestmark = pytest.mark.timeout(180)
FROZEN = 3.0


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


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Redis that can be frozen; its address and process."""
    port = free_port()
    command = [str(redis.binary()), "--port", str(port), "--dir", str(tmp_path), "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
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
    place.worker(settings)
    process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(queue, "SILENCE", FROZEN / 3)
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="Redis does not answer"):  # while it is still stopped
        commands.enqueue(place.graph, settings, ["snapshot", "--dataset", place.dataset])
    time.sleep(max(0.0, began + FROZEN - time.monotonic()))
    process.send_signal(signal.SIGCONT)  # the command stands in the graph: the worker's sweeper finds it
    wait_for(lambda: control.commands(place.graph, place.dataset)[0]["state"] == "done", "the command's end", 90)

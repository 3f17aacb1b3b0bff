"""Messages that nobody of ours sent: whoever can write to Redis cannot have a worker run code, nor stop it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cikg.embedded.supervisor import environment
from cikg.extraction import commands, control, queue
from cikg.settings import Settings
from tests.integration.extraction.conftest import Workplace
from tests.workplace import wait_for

pytestmark = pytest.mark.timeout(180)


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

"""The Celery app: `celery --app workers.app worker`."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from celery.signals import (
    celeryd_after_setup,
    setup_logging,
    worker_process_init,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from celery.worker.consumer import Consumer

from cikg import logs
from cikg.errors import CikgError
from cikg.extraction import batching
from cikg.extraction.queue import MOST_COMMANDS, create_app, room, sweep
from cikg.extraction.runner import Runner
from cikg.graph import connect
from cikg.settings import load_settings

settings = load_settings()
app = create_app(settings)
app.conf.imports = ("workers.tasks",)
app.conf.worker_consumer = "workers.app:QuietConsumer"

_log = logging.getLogger(__name__)
leaving = threading.Event()
"""Set once this process is told to end: it waits for its tasks, and a command could take hours."""
turned_away = threading.Event()
"""Set once a command found no room here: it is announced again when another one ends."""
_room = threading.Semaphore(MOST_COMMANDS)
_ended = threading.Event()
_lock = threading.Lock()
_runners: list[Runner] = []


class QuietConsumer(Consumer):  # type: ignore[misc] # Celery has no types
    """A worker that tells other workers nothing, however it was started: the ledger holds what they have to know.

    Celery's would ask all others at each start, and each new connection to Redis, which tasks they revoked, and wait a
    second for answers (mingle); keep three more connections; and send each other a sign of life every two seconds
    (gossip, heartbeats), which nothing here listens to. Whether a worker lives is asked with a ping, which stays. That
    Redis fell silent is found by the transport, see `create_app`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        quiet = dict.fromkeys(("without_mingle", "without_gossip", "without_heartbeat"), True)
        super().__init__(*arguments, **{**options, **quiet})


def runner() -> Runner:
    """This process's runner: one connection to the graph, one event loop. Made at the first task, after any fork."""
    with _lock:
        if not _runners:
            _runners.append(Runner(connect(settings), settings))
            # What is there by now stays. Looking through it, and through what is under way at every 700 objects, took
            # a sixth of a busy worker's time.
            gc.freeze()
            gc.set_threshold(20_000)
        return _runners[0]


@setup_logging.connect  # type: ignore[untyped-decorator]
def _log_structured(loglevel: int = logging.INFO, **_signal: object) -> None:
    """Celery's own lines take the same form as ours."""
    logs.configure(logging.getLevelName(loglevel))


@celeryd_after_setup.connect  # type: ignore[untyped-decorator]
def _make_room(instance: Any, **_signal: object) -> None:
    """Leave threads to the shards that commands wait for, however many threads and queues the worker was given."""
    global _room  # noqa: PLW0603
    _room = threading.Semaphore(room(instance.concurrency, app.amqp.queues.consume_from))


@contextmanager
def place_for_command() -> Iterator[bool]:
    """A command's place among those that are carried out here at once; False where none is free."""
    free = _room.acquire(blocking=False)
    try:
        yield free
    finally:
        if free:
            _room.release()
    if not free:
        turned_away.set()
    elif turned_away.is_set() and not leaving.is_set():
        turned_away.clear()
        look_for_work()


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _forget(**_signal: object) -> None:
    """A forked child must not use its parent's connections."""
    _runners.clear()


@worker_ready.connect  # type: ignore[untyped-decorator]
def _sweep_from_now_on(**_signal: object) -> None:
    """Every worker looks for lost work: a clock in a process of its own would outlive a killed worker, and sweep on."""
    threading.Thread(target=_sweep, name="sweeper", daemon=True).start()


def _sweep() -> None:
    _look(runner)  # made by the time that the first task comes
    while not _ended.wait(settings.sweep_seconds):
        _look(lambda: batching.tend(runner().graph, settings))
        look_for_work()


def look_for_work() -> None:
    """Announce what is to be done and no message announces."""
    _look(lambda: sweep(runner().graph, app, settings))


def _look(look: Callable[[], object]) -> None:
    """Do what the sweeper does; whatever comes of it, the sweeper goes on, or lost work would stay lost."""
    try:
        look()
    except CikgError as error:  # a server is away; the next look finds it, or says so again
        _log.warning("cannot look for lost work: %s", error)
    except Exception:  # noqa: BLE001 - what nobody foresaw is logged with its traceback
        _log.exception("cannot look for lost work")


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _leave(**_signal: object) -> None:
    """Have commands give themselves back."""
    leaving.set()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def _close(**_signal: object) -> None:
    """Give leased subjects back before the process ends."""
    _ended.set()
    with _lock:
        while _runners:
            _runners.pop().close()

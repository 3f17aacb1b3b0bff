"""Whether each component answers, asked side by side and with a deadline, so that a dead one holds up nothing else."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import redis
from celery import Celery

from cikg.errors import CikgError
from cikg.graph import connect
from cikg.graph.migrations import refuse
from cikg.graph.schema_files import available
from cikg.graph.schema_state import inspect
from cikg.settings import Settings

DEADLINE = 2.0
FIRST, COUNTING = 0.7, 0.2
"""Seconds to wait for the first worker, and then for all that are there."""
LATEST = 4.0
"""Seconds after which a component counts as away, whatever it is busy with."""
COMPONENTS = ("Neo4j", "Redis", "Workers", "LLM")
"""What the platform is made of, as people call it."""


@dataclass(frozen=True)
class Component:
    """One part of the platform.

    Attributes:
        name: what people call it.
        ok: whether it answers.
        detail: how fast it answered, or what is wrong and how to mend it.
    """

    name: str
    ok: bool
    detail: str


class _NotAnsweringError(Exception):
    """A component is away; the text says what to do."""


def check(settings: Settings, names: Iterable[str] = COMPONENTS) -> tuple[Component, ...]:
    """Ask some components, each at the same time."""
    asked = {name: _asked(name, settings) for name in names}
    latest = time.monotonic() + LATEST
    return tuple(_heard(name, answer, latest) for name, answer in asked.items())


def readiness(settings: Settings) -> tuple[Component, ...]:
    """Ask what this process cannot serve without."""
    return check(settings, ("Neo4j", "schema", "Redis"))


def _asked(name: str, settings: Settings) -> Future[Component]:
    """The answer to come, by a thread that nobody has to wait for."""
    answer: Future[Component] = Future()

    def ask() -> None:
        try:
            answer.set_result(Component(name, True, _CHECKS[name](settings)))
        except (_NotAnsweringError, CikgError) as error:
            answer.set_result(Component(name, False, str(error)))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    return answer


def _heard(name: str, answer: Future[Component], latest: float) -> Component:
    try:
        return answer.result(max(latest - time.monotonic(), 0))
    except TimeoutError:
        return Component(name, False, f"does not answer within {LATEST:.0f} seconds. See `cikg status`")


class _Unmoved(urllib.request.HTTPRedirectHandler):
    """Goes nowhere that a server sends it: the key is for this address alone."""

    def redirect_request(self, *_sent: Any, **_named: Any) -> None:
        """Nothing, so that the status counts as an error."""


def _neo4j(settings: Settings) -> str:
    start = time.perf_counter()
    with connect(settings) as graph:
        graph.many("dataset_names")
    return f"answers in {_milliseconds(start)}"


def _schema(settings: Settings) -> str:
    with connect(settings) as graph:
        state = inspect(graph, available())
    refuse(state)
    if any(file["state"] == "pending" for file in state.files):
        raise _NotAnsweringError("lacks files of cypher/schema. Run `cikg schema migrate`")
    return "is up to date"


def _redis(settings: Settings) -> str:
    start = time.perf_counter()
    try:
        with redis.Redis.from_url(
            _broker(settings), socket_timeout=DEADLINE, socket_connect_timeout=DEADLINE
        ) as client:
            client.ping()
    except redis.RedisError as error:
        raise _NotAnsweringError("does not answer. Start it with `cikg up`, or correct CIKG_REDIS_URL") from error
    return f"answers in {_milliseconds(start)}"


def _workers(settings: Settings) -> str:
    with Celery(broker=_broker(settings), set_as_current=False) as app:
        app.conf.broker_connection_retry = False
        app.conf.broker_transport_options = {"socket_timeout": DEADLINE, "socket_connect_timeout": DEADLINE}
        try:  # the first answer says that there is one; more come soon after it, or are not counted
            first = app.control.ping(timeout=FIRST, limit=1)
            answers = first and (app.control.ping(timeout=COUNTING) or first)
        except (OSError, app.connection_for_read().connection_errors) as error:
            raise _NotAnsweringError("cannot be checked while Redis is down") from error
    if not answers:
        raise _NotAnsweringError(
            "none answers: jobs wait. Start one with `cikg up` or `celery --app workers.app worker`"
        )
    return f"{len(answers)} ready"


def _llm(settings: Settings) -> str:
    if settings.openai_base_url is None:
        raise _NotAnsweringError("has no address. Start the stand-in with `cikg up`, or set OPENAI_BASE_URL")
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else "none"
    address = f"{settings.openai_base_url.rstrip('/')}/models"
    if not address.startswith(("http://", "https://")):
        raise _NotAnsweringError("has an address that is not HTTP. Correct OPENAI_BASE_URL")
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {key}"})  # noqa: S310
    start = time.perf_counter()
    try:
        with urllib.request.build_opener(_Unmoved).open(request, timeout=DEADLINE):
            return f"{settings.openai_model or 'stand-in'} answers in {_milliseconds(start)}"
    except urllib.error.HTTPError as error:
        raise _NotAnsweringError(f"answers {error.code}. Check OPENAI_BASE_URL and OPENAI_API_KEY") from error
    except OSError as error:
        raise _NotAnsweringError("does not answer. Start it with `cikg up`, or correct OPENAI_BASE_URL") from error


def _broker(settings: Settings) -> str:
    if settings.redis_url is None:
        raise _NotAnsweringError("has no address. Start it with `cikg up`, or set CIKG_REDIS_URL")
    return settings.redis_url.get_secret_value()


def _milliseconds(start: float) -> str:
    return f"{(time.perf_counter() - start) * 1000:.0f} ms"


_CHECKS: dict[str, Callable[[Settings], str]] = {
    "Neo4j": _neo4j,
    "schema": _schema,
    "Redis": _redis,
    "Workers": _workers,
    "LLM": _llm,
}

"""The queue between the command line and the workers: one Celery configuration for both ends.

Redis carries messages and nothing else. What has to be done stands in the ledger before a message is sent, so that a
lost message costs time and no work.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from celery import Celery
from kombu import exceptions as queue_errors
from kombu.entity import Queue
from redis import exceptions as redis_errors

from cikg.errors import AuthenticationError, ServiceError, SettingsError, UnreachableError
from cikg.extraction import ledger
from cikg.files import identity
from cikg.graph import Graph
from cikg.llm.provider import lacks
from cikg.settings import Settings

LLM_QUEUE = "llm"
QUEUES = (LLM_QUEUE, "graph", "training")
"""What workers take from: shards of LLM jobs, and commands by what they are hard on."""
CARRY_OUT = "cikg.carry_out"
WORK_SHARD = "cikg.work_shard"
"""The name of the task that `workers.tasks` defines: the sending end does not import it."""
MOST_COMMANDS = 4
"""Commands at once of a worker that also works on shards: each has a process of its own, which may be a training."""
SILENCE = 10.0
"""Seconds after which a Redis that says nothing counts as away."""
_MOST_CALLS = 2  # of one subject's request: the answer and its one repair


def create_app(settings: Settings) -> Celery:
    """Make the Celery app of a worker or of someone who sends to one.

    Raises:
        UnreachableError: no Redis is known.
        SettingsError: time limits contradict each other, so that tasks would be done twice.
    """
    if settings.redis_url is None:
        raise UnreachableError(
            "Redis is not running and CIKG_REDIS_URL is not set",
            cure="Start the embedded services with `cikg up`, or set CIKG_REDIS_URL",
        )
    check_limits(settings)
    app = Celery("cikg", broker=settings.redis_url.get_secret_value(), set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_backend=None,
        task_ignore_result=True,  # the ledger knows what became of every subject
        task_default_queue=LLM_QUEUE,
        task_queues=[Queue(name) for name in QUEUES],  # type: ignore[no-untyped-call] # what a worker takes from, unless `--queues` names some
        task_acks_late=True,
        task_reject_on_worker_lost=True,  # bounded by the ledger: `MOST_ATTEMPTS` leases of a subject
        worker_prefetch_multiplier=1,
        worker_pool="threads",
        # A thread waits for its shard, or for a command. Beside the shards that fill the slots, one is read and one is
        # committed. More threads hold more messages when Redis dies, and Celery's worker ends with it.
        worker_concurrency=3 + math.ceil(settings.llm_concurrency / ledger.SHARD),
        worker_soft_shutdown_timeout=10.0,
        worker_cancel_long_running_tasks_on_connection_loss=False,  # a thread cannot be cancelled; leases guard it
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_channel_error_retry=True,  # a Redis that is full, or a replica for a while, ends no worker
        broker_connection_timeout=5,
        broker_transport_options={
            "visibility_timeout": settings.queue_visibility_timeout,
            "socket_connect_timeout": 5,
            "socket_timeout": SILENCE,  # one that hangs is one that does not answer
            "socket_keepalive": True,
            "health_check_interval": SILENCE,  # a worker's connections that nobody closed are made anew after 2 to 4
        },
    )
    return app


def room(threads: int, queues: Collection[str]) -> int:
    """How many commands a worker carries out at once.

    A command such as `cikg extract` waits for shards. Were it to hold the last thread of the worker that has to work on
    them, both would wait for ever.

    Args:
        threads: that the worker has.
        queues: that it takes from.
    """
    return max(1, min(MOST_COMMANDS, threads - 1)) if LLM_QUEUE in queues else threads


_MARGIN = 30.0
"""Seconds in which a task that has reached its limit, which the runner keeps, gives back what it holds."""


def check_limits(settings: Settings) -> None:
    """Refuse limits under which a task is still running when Redis gives it to a second worker, or never ends in time.

    Raises:
        SettingsError: names the two settings.
    """
    if settings.task_time_limit + _MARGIN >= settings.queue_visibility_timeout:
        raise SettingsError(
            f"a task may take {settings.task_time_limit:g} s (and {_MARGIN:g} s to end), but Redis hands it to "
            f"another worker after {settings.queue_visibility_timeout} s",
            cure="Lower CIKG_TASK_TIME_LIMIT or raise CIKG_QUEUE_VISIBILITY_TIMEOUT",
        )
    longest = settings.llm_timeout * (settings.llm_retries + 1) * _MOST_CALLS
    if longest >= settings.task_time_limit:
        raise SettingsError(
            f"one subject may wait {longest:g} s for the LLM, but its task is stopped after "
            f"{settings.task_time_limit:g} s",
            cure="Lower CIKG_LLM_TIMEOUT or CIKG_LLM_RETRIES, or raise CIKG_TASK_TIME_LIMIT",
        )


def enqueue(app: Celery, run: str, shards: Sequence[int]) -> None:
    """Send one task a shard. Sending a shard twice is harmless.

    What is not sent is the sweeper's. Celery would try again by itself, on a channel that it has closed meanwhile.

    Raises:
        UnreachableError: Redis does not answer.
    """
    with _translated(), app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=5)
        with app.amqp.Producer(connection) as producer:
            for shard in shards:
                app.send_task(WORK_SHARD, args=(run, shard), producer=producer, retry=False)


def enqueue_command(app: Celery, run: str, name: str) -> None:
    """Send a command that stands in the graph as a run. Sending it twice is harmless.

    Raises:
        UnreachableError: Redis does not answer.
    """
    with _translated(), app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=5)
        with app.amqp.Producer(connection) as producer:
            app.send_task(CARRY_OUT, args=(run,), queue=name, producer=producer, retry=False)


def workers(app: Celery, names: Sequence[str] | None = None, timeout: float = 3.0) -> int:
    """How many workers answer, of all or of those of some names; returns with the first.

    Raises:
        UnreachableError: Redis does not answer.
    """
    with _translated(), app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=5)
        return len(app.control.ping(names, timeout, limit=1, connection=connection) or [])


def waiting(app: Celery, name: str = LLM_QUEUE) -> int:
    """How many messages wait in a queue.

    Raises:
        UnreachableError: Redis does not answer.
    """
    with _translated(), app.connection_for_read() as connection:
        connection.ensure_connection(max_retries=1, timeout=5)
        return int(connection.default_channel.client.llen(name))  # Redis keeps a queue as a list of its name


def sweep(graph: Graph, app: Celery, settings: Settings) -> int:
    """Queue again what the ledger wants done and no message announces: lost ones, and runs that have rested.

    While messages wait, nothing is queued: what seems lost may be among them. Commands of another home are left to its
    workers, and runs whose model this worker's LLM has not to those whose LLM has it.

    Args:
        graph: the graph.
        app: the queue.
        settings: whose files this worker sees, and which LLM it asks.

    Returns:
        How many shards and commands were queued.

    Raises:
        UnreachableError: Redis does not answer.
    """
    queued = 0
    lost = graph.write("open_commands", home=identity(settings.home))
    silent = {name for name in {row["queue"] for row in lost} if not waiting(app, name)}
    for row in lost:
        if row["queue"] in silent:
            enqueue_command(app, row["run"], row["queue"])
            queued += 1
    runs = {row["run"]: json.loads(row["parameters"])["model"] for row in graph.many("running_extractions")}
    if not runs or waiting(app):
        return queued
    foreign = {model for model in set(runs.values()) if lacks(settings, model)}
    for run in [run for run, model in runs.items() if model not in foreign]:
        shards = ledger.open_shards(graph, run)
        enqueue(app, run, shards)
        queued += len(shards)
        if not shards:
            ledger.finish(graph, run)  # its last worker died between its last commit and this
    return queued


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (queue_errors.OperationalError, redis_errors.RedisError, OSError) as error:
        raise _refused(error) from error


def _refused(error: Exception) -> ServiceError:
    """Why Redis takes no message: it is away, or it answers and will not."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, redis_errors.RedisError):
        found = found.__cause__ or found.__context__
    if isinstance(found, redis_errors.AuthenticationError):
        return AuthenticationError(
            "Redis refuses the password, so that no work can be queued",
            cure="Write it into CIKG_REDIS_URL: redis://:password@host:port/0",
        )
    if isinstance(found, redis_errors.ResponseError):  # within a script or a pipeline the kind is in the words alone
        said = str(found)
        if "maxmemory" in said or "MISCONF" in said:
            return ServiceError("Redis is full, so that no work can be queued", cure="Give it more memory or disk")
        if "READONLY" in said or "read only replica" in said:
            return ServiceError(
                "Redis is a replica, which takes no work", cure="Let CIKG_REDIS_URL name the one that it follows"
            )
        return ServiceError(f"Redis takes no work: {said.rstrip('.')}", cure="Correct CIKG_REDIS_URL, or see its log")
    return UnreachableError(
        "Redis does not answer, so that no work can be queued",
        cure="Start it with `cikg up`, or correct CIKG_REDIS_URL",
    )

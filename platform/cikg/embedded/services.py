"""The embedded services, one entry each in `SERVICES`: adding a service adds an entry here and nothing elsewhere."""

from __future__ import annotations

import hashlib
import http.client
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cikg.embedded import redis as redis_server
from cikg.embedded.home import Secrets
from cikg.errors import AuthenticationError, ServiceError, UnreachableError
from cikg.settings import Settings, in_address

if TYPE_CHECKING:
    from redis import Redis

# Clients are imported where they are used: together they take seconds, and `cikg status` needs none of them.
# ruff: noqa: PLC0415

_LOOPBACK = "127.0.0.1"
_PROBE_SECONDS = 5.0

Values = dict[str, str | int]
"""Settings that a running service provides, as `services.json` keeps them."""


@dataclass(frozen=True)
class Service:
    """One service that the supervisor can run.

    Args:
        name: what commands call it.
        title: what people call it.
        needs: services that have to answer before it starts.
        provides: from its port and the home's secrets, the settings by which others find it.
        command: the process, from settings in which every address is known.
        probe: raises a `ServiceError` while it does not answer.
        address: where it listens, without passwords, or None while that is not known.
        stop_seconds: how long it may take to end.
        settled_by: the setting that names a server of the user's own, in whose place this one runs.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    provides: Callable[[int, Secrets], Values]
    command: Callable[[Settings], list[str]]
    probe: Callable[[Settings], None]
    address: Callable[[Settings], str | None]
    stop_seconds: int = 30
    settled_by: str | None = None


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


def _port(address: str | None) -> int:
    return urlsplit(address or "").port or 0


def probe_neo4j(settings: Settings) -> None:
    """Prove that Neo4j answers and takes our password."""
    from cikg.graph import connect

    connect(settings).close()


def probe_redis(settings: Settings) -> None:
    """Prove that Redis answers and takes our password."""
    from redis.exceptions import AuthenticationError as RefusedPassword
    from redis.exceptions import RedisError

    address = redis_address(settings)
    try:
        with open_redis(settings) as client:
            client.ping()
    except RefusedPassword as error:
        raise AuthenticationError(
            f"Redis at {address} refuses the password",
            cure="Write it into CIKG_REDIS_URL: redis://:password@host:port/0",
        ) from error
    except (RedisError, OSError) as error:
        raise UnreachableError(
            f"Redis at {address} does not answer", cure="Start it with `cikg up`, or correct CIKG_REDIS_URL"
        ) from error


def open_redis(settings: Settings) -> Redis:
    """A client of the configured Redis that waits no longer than a probe should."""
    from redis import Redis

    if settings.redis_url is None:
        raise UnreachableError(
            "Redis is not running and CIKG_REDIS_URL is not set",
            cure="Start the embedded services with `cikg up`, or set CIKG_REDIS_URL",
        )
    try:
        return Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_connect_timeout=_PROBE_SECONDS,
            socket_timeout=_PROBE_SECONDS,
            decode_responses=True,
        )
    except ValueError as error:
        raise UnreachableError(
            "CIKG_REDIS_URL is not a Redis address", cure="Write it like redis://:password@host:6379/0"
        ) from error


def get(url: str, *, key: str | None = None) -> tuple[int, bytes]:
    """Status and body of one HTTP request.

    Raises:
        UnreachableError: nothing answers there.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=_PROBE_SECONDS)
        try:
            connection.request("GET", parts.path or "/", headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise UnreachableError(f"{url} does not answer", cure="`cikg status` shows which service is down") from error


def _probe_stand_in(settings: Settings) -> None:
    get(f"{settings.openai_base_url}/models")


def _probe_web(settings: Settings) -> None:
    status, _ = get(str(settings.web_address))
    if status >= http.client.INTERNAL_SERVER_ERROR:
        raise ServiceError(
            f"the dashboard at {settings.web_address} answers with status {status}",
            cure=f"Look at {settings.logs / 'web.log'}",
        )


def worker_name(settings: Settings) -> str:
    """The worker's name among all workers of one Redis; each home has its own."""
    digest = hashlib.sha256(os.fsencode(settings.home.absolute())).hexdigest()[:8]
    return f"cikg-{digest}@localhost"


def probe_worker(settings: Settings, *, any_worker: bool = False) -> None:
    """Prove that the worker of this home (or any worker of this Redis) answers."""
    from cikg.extraction import queue

    with queue.create_app(settings) as app:
        if not queue.workers(app, None if any_worker else [worker_name(settings)], timeout=1.0):
            raise UnreachableError(
                "no worker answers", cure="Start one with `cikg up`, or with `celery --app workers.app worker`"
            )


def redis_address(settings: Settings) -> str | None:
    """Address of Redis without its password."""
    if settings.redis_url is None:
        return None
    parts = urlsplit(settings.redis_url.get_secret_value())
    try:
        return f"{parts.scheme}://{in_address(parts.hostname or '')}:{parts.port or 6379}{parts.path}"
    except ValueError:
        return None


def _redis_command(settings: Settings) -> list[str]:
    port = _port(redis_address(settings))
    configuration = redis_server.configure(settings, port, Secrets.of(settings).redis_password)
    return [str(redis_server.binary(settings)), str(configuration)]


SERVICES: dict[str, Service] = {
    service.name: service
    for service in (
        Service(
            name="neo4j",
            title="Neo4j",
            needs=(),
            provides=lambda port, secrets: {
                "neo4j_uri": f"bolt://{_LOOPBACK}:{port}",
                "neo4j_user": "neo4j",
                "neo4j_password": secrets.neo4j_password,
                "neo4j_database": "neo4j",
            },
            command=lambda settings: _module("cikg.embedded.neo4j", str(_port(settings.neo4j_uri))),
            probe=probe_neo4j,
            address=lambda settings: settings.neo4j_uri,
            stop_seconds=60,
            settled_by="neo4j_uri",
        ),
        Service(
            name="redis",
            title="Redis",
            needs=(),
            provides=lambda port, secrets: {"redis_url": f"redis://:{secrets.redis_password}@{_LOOPBACK}:{port}/0"},
            command=_redis_command,
            probe=probe_redis,
            address=redis_address,
            settled_by="redis_url",
        ),
        Service(
            name="stand-in",
            title="stand-in LLM",
            needs=(),
            provides=lambda port, secrets: {
                "openai_base_url": f"http://{_LOOPBACK}:{port}/v1",
                "openai_api_key": secrets.openai_api_key,
                "openai_model": "stand-in",
            },
            command=lambda settings: _module(
                "cikg.llm.standin", "--host", _LOOPBACK, "--port", str(_port(settings.openai_base_url))
            ),
            probe=_probe_stand_in,
            address=lambda settings: settings.openai_base_url,
            settled_by="openai_base_url",
        ),
        Service(
            name="worker",
            title="worker",
            needs=("neo4j", "redis", "stand-in"),
            provides=lambda port, secrets: {},
            command=lambda settings: _module(
                *("celery", "--app", "workers.app:app", "worker"),
                *("--hostname", worker_name(settings), "--loglevel", settings.log_level),
            ),
            probe=probe_worker,
            address=worker_name,
            stop_seconds=60,
        ),
        Service(
            name="web",
            title="dashboard",
            needs=("neo4j", "redis"),
            provides=lambda port, secrets: {"web_port": port, "secret_key": secrets.secret_key},
            command=lambda settings: _module(
                *("granian", "--interface", "wsgi", "--no-ws", "--factory", "--blocking-threads", "8"),
                *("--host", settings.web_host, "--port", str(settings.web_port or 0), "web:create_app"),
            ),
            probe=_probe_web,
            address=lambda settings: settings.web_address,
        ),
    )
}
"""In the order in which `status` shows them."""

ALL = tuple(SERVICES)

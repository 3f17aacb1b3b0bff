"""What `cikg doctor` examines: each part of the platform, what is wrong with it, and how to fix it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path

from cikg.embedded import assets, fetch, guard, java, redis
from cikg.embedded.services import SERVICES, get, open_redis, probe_redis, probe_worker, redis_address
from cikg.errors import CikgError, did_you_mean
from cikg.settings import SETTINGS_FILE, Settings, environment_name, setting_sources

# Clients are imported by the checks that need them, so that a broken one spoils its own check alone.
# ruff: noqa: PLC0415

_PYTHON = (3, 11)
_ROOM = 2_000_000_000  # bytes
_NO_SETTINGS = ("CIKG_STANDIN_", "CIKG_TEST_", guard.MARK, guard.PARENT)
"""Variables with other readers than the settings."""
KEY_ALONE = "OPENAI_API_KEY is set, but OPENAI_BASE_URL is not, so the stand-in answers"
KEY_ALONE_CURE = "To use the model that the key is for, set OPENAI_BASE_URL and OPENAI_MODEL"


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Args:
        check: what was examined.
        verdict: how it ended.
        detail: what was found.
        cure: what to do, where there is something.
    """

    check: str
    verdict: Verdict
    detail: str
    cure: str | None = None


class _DoubtError(CikgError):
    """Something works, but not as it should."""


def examine(settings: Settings, embedded: frozenset[str]) -> Iterator[Finding]:
    """Examine everything, one finding a check.

    Args:
        settings: as `load_settings()` reads them.
        embedded: the servers that no setting names, so that this machine has to be able to run them.
    """
    for name, check in _checks(embedded).items():
        try:
            yield Finding(name, Verdict.OK, check(settings))
        except _DoubtError as doubt:
            yield Finding(name, Verdict.WARN, doubt.message, doubt.cure)
        except CikgError as error:
            yield Finding(name, Verdict.FAIL, error.message, error.cure)


def _checks(embedded: frozenset[str]) -> dict[str, Callable[[Settings], str]]:
    checks: dict[str, Callable[[Settings], str]] = {
        "Python": _python,
        "environment": _environment,
        "home": lambda settings: _directory(settings.home, "CIKG_HOME"),
        "cache": lambda settings: _directory(settings.cache, "CIKG_CACHE"),
        "browser libraries": _assets,
    }
    if "neo4j" in embedded:
        checks |= {"Neo4j's jars": _jars, "Java": _java}
    if "redis" in embedded:
        checks |= {"redis-server": lambda settings: str(redis.binary(settings))}
    return checks | {
        "Neo4j": _neo4j,
        "Redis": _redis,
        "LLM": _llm,
        "worker": _worker,
        "dashboard": _dashboard,
        "training device": _device,
    }


def _python(_settings: Settings) -> str:
    if sys.version_info < _PYTHON:
        raise CikgError(f"Python {sys.version.split()[0]} is too old", cure="Install Python 3.11 or newer")
    return sys.version.split()[0]


def _environment(_settings: Settings) -> str:
    known = {environment_name(field) for field in Settings.model_fields}
    ours = [name for name in os.environ if name.startswith("CIKG_")]
    unknown = sorted(name for name in ours if name not in known and not name.startswith(_NO_SETTINGS))
    if unknown:
        raise _DoubtError(
            f"{unknown[0]} is not a setting, and has no effect",
            cure=did_you_mean(unknown[0], known, "The table below lists every setting"),
        )
    return "every CIKG_… variable is a setting"


def _directory(path: Path, setting: str) -> str:
    existing = next(part for part in (path, *path.absolute().parents) if part.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        raise CikgError(f"{path} cannot be written", cure=f"Set {setting} to a folder that you can write to")
    free = shutil.disk_usage(existing).free
    if free < _ROOM:
        raise _DoubtError(f"{path} has only {free / 1e9:.1f} GB free", cure="Free at least 2 GB")
    return f"{path}, {free / 1e9:.0f} GB free"


def _assets(_settings: Settings) -> str:
    missing = assets.missing_assets()
    if missing:
        raise CikgError(f"missing or out of date: {', '.join(missing)}", cure="Run `make setup`")
    return "complete"


def _jars(settings: Settings) -> str:
    unsound = fetch.unsound_jars(settings)
    if unsound:
        raise CikgError(
            f"{len(unsound)} of {len(fetch.lock())} jars are missing or differ from the lock: {unsound[0].name}, …",
            cure="Run `make setup`, or `cikg up`, which fetches them",
        )
    return f"{len(fetch.lock())} jars of Neo4j {fetch.NEO4J.version}, all checksums match"


def _java(settings: Settings) -> str:
    found = java.jvm()
    if not java.cached(settings):
        raise _DoubtError(
            f"{found}, without a start-up cache: Neo4j starts more slowly",
            cure="`python -m cikg.embedded.rehearsal` makes one",
        )
    return f"{found}, with a start-up cache"


def _neo4j(settings: Settings) -> str:
    from cikg.graph import connect
    from cikg.graph.migrations import refuse
    from cikg.graph.schema_files import available
    from cikg.graph.schema_state import inspect

    with connect(settings) as graph:
        server = graph.one("server")
        state = inspect(graph, available())
    refuse(state)
    shown = f"{server['version']} {server['edition']} at {settings.neo4j_uri}"
    pending = [file["version"] for file in state.files if file["state"] == "pending"]
    if pending:
        raise _DoubtError(f"{shown} lacks schema version {pending[-1]}", cure="`cikg schema migrate` applies it")
    return f"{shown}, schema {state.files[-1]['version']}"


def _redis(settings: Settings) -> str:
    from redis.exceptions import RedisError

    probe_redis(settings)
    with open_redis(settings) as client:
        try:
            policy = client.config_get("maxmemory-policy").get("maxmemory-policy")
        except RedisError:
            policy = None  # a managed server may keep its configuration to itself
    if policy not in ("noeviction", None):
        raise _DoubtError(
            f"{redis_address(settings)} drops keys when memory is short (maxmemory-policy {policy})",
            cure="Set maxmemory-policy to noeviction, or queued work can get lost",
        )
    return f"{redis_address(settings)}, {'noeviction' if policy else 'eviction policy unknown'}"


def _llm(settings: Settings) -> str:
    if settings.openai_base_url is None:
        raise CikgError(
            "no LLM is configured and the stand-in is not running",
            cure="Run `cikg up`, or set OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL",
        )
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
    url = settings.openai_base_url.rstrip("/") + "/models"
    status, body = get(url, key=key)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise CikgError(f"{url} refuses the key", cure="Set OPENAI_API_KEY")
    if status != HTTPStatus.OK:
        raise CikgError(f"{url} answers with status {status}", cure="OPENAI_BASE_URL usually ends with /v1")
    try:
        models = [row["id"] for row in json.loads(body)["data"]]
    except (ValueError, KeyError, TypeError):
        raise CikgError(f"{url} does not answer with a list of models", cure="Correct OPENAI_BASE_URL") from None
    if settings.openai_model not in models:
        raise CikgError(
            f"{settings.openai_base_url} has no model {settings.openai_model!r}",
            cure=f"Set OPENAI_MODEL to one of its {len(models)}, such as {models[0]!r}" if models else None,
        )
    sources = setting_sources(settings)
    if sources["openai_base_url"] == "cikg up" and sources["openai_api_key"] in ("environment", SETTINGS_FILE):
        raise _DoubtError(KEY_ALONE, cure=KEY_ALONE_CURE)
    return f"{settings.openai_model} at {settings.openai_base_url}"


def _worker(settings: Settings) -> str:
    probe_worker(settings, any_worker=True)
    return "answers"


def _dashboard(settings: Settings) -> str:
    if settings.web_port is None:
        raise CikgError("it is not running", cure="Run `cikg up`")
    SERVICES["web"].probe(settings)
    return f"{settings.web_address}"


def _device(settings: Settings) -> str:
    from cikg.recommend.engine import pick_device

    return f"{settings.device} is {pick_device(settings.device)}"

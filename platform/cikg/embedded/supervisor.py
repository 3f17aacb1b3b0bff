"""Runs the embedded services of one home under supervisord: `up`, `down`, `status`, and `serving` for tests.

supervisord restarts a service that ends. It is reached through a socket below the home; no file says that it runs, so
none can be stale. `services.json` tells every other process of this home where the services listen.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import time
import xmlrpc.client
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from pydantic import SecretStr

from cikg.embedded import fetch, guard, home, redis, supervisord
from cikg.embedded.services import ALL, SERVICES, Service, Values
from cikg.errors import AuthenticationError, ConflictError, DriftError, InputError, ServiceError, SettingsError
from cikg.files import write_file
from cikg.settings import SERVICES_FILE, Settings, environment_name

_START_SECONDS = 240
_POLL_SECONDS = 0.1
_RESTARTS_ALLOWED = 2  # while starting; a service that ends more often has something wrong with it
_LOG_LINES = 8
_ACCEPTED = {"openai_api_key"}  # many have one in their environment, and the stand-in takes any

_STATES = {
    "STOPPED": "stopped",
    "STARTING": "starting",
    "RUNNING": "running",
    "BACKOFF": "restarting",
    "STOPPING": "stopping",
    "EXITED": "restarting",
    "FATAL": "failed",
    "UNKNOWN": "unknown",
}


@dataclass(frozen=True)
class ServiceStatus:
    """One service as `cikg status` shows it.

    Args:
        name: the service.
        state: running, starting, restarting, stopping, stopped, failed, or `external` for a server of the user's own.
        address: where it listens, without passwords.
        pid: its process.
        uptime: seconds since it was last started.
        restarts: how often it ended by itself and was started again.
        log: its log file.
    """

    name: str
    state: str
    address: str | None = None
    pid: int | None = None
    uptime: int | None = None
    restarts: int | None = None
    log: Path | None = None


Report = Callable[[Service, float], None]
"""Told each service that answers, and the seconds that took."""


def up(
    settings: Settings,
    services: Iterable[str] = ALL,
    *,
    attached: bool = False,
    report: Report = lambda service, seconds: None,
) -> Settings:
    """Start services, and what they need, that neither run nor are configured; wait until they answer.

    Args:
        settings: as `load_settings(with_embedded=False)` reads them.
        services: names of `SERVICES`.
        attached: end them when this process ends, however that happens (Linux).
        report: called for each service that answers.

    Returns:
        The settings with the addresses of all services that run.

    Raises:
        ConflictError: a port is taken, or another `up` or `down` is at work.
        DriftError: the database's schema has to be mended first; Neo4j runs.
        ServiceError: a service does not start; then none that this call started is left.
        CikgError: the home cannot be written, or something to run is missing.
    """
    # The services run in another folder than this process does.
    settings = settings.model_copy(update={"home": settings.home.absolute(), "cache": settings.cache.absolute()})
    wanted = needed(settings, services)
    home.prepare(settings)
    with home.locked(settings):
        running = _running(settings)
        if not running:
            _sweep(settings)
            home.prepare(settings)
        missing = [name for name in wanted if running.get(name) not in ("RUNNING", "STARTING", "BACKOFF")]
        complete = _settle(settings, missing, kept=running)
        if missing:
            try:
                _launch(settings, complete, missing, already=frozenset(running), attached=attached, report=report)
            except DriftError:
                raise  # what runs stays, so that the database can be mended
            except BaseException:
                _retract(settings, missing)
                raise
        return complete


def down(settings: Settings) -> list[str]:
    """Stop everything of this home, also what a killed supervisor left; return the names of what ran."""
    if not settings.home.is_dir():
        return []
    with home.locked(settings):
        states = _running(settings)
        stopped = [
            name for name in ALL if states.get(name, "STOPPED") != "STOPPED" or guard.leftovers(settings.home, [name])
        ]
        _shut_down(settings)
        return stopped


def restart(settings: Settings, name: str) -> None:
    """Kill a running service; the supervisor starts it again. Wait until it answers.

    Raises:
        ConflictError: an `up` or `down` is at work.
        ServiceError: it does not come back.
    """
    with home.locked(settings), supervisord.remote(settings) as server:
        killed = server.getProcessInfo(name)["pid"]
        guard.starts_file(settings.home, name).unlink(missing_ok=True)  # this one is not counted by `status`
        server.signalProcess(name, "KILL")
        begun = time.monotonic()
        while True:
            info = server.getProcessInfo(name)
            _check_alive(settings, info, begun)
            if info["pid"] != killed and info["statename"] == "RUNNING" and _answers(name, settings):
                return
            time.sleep(_POLL_SECONDS)


def status(settings: Settings) -> list[ServiceStatus]:
    """The services as they are now.

    Args:
        settings: as `load_settings()` reads them.
    """
    known = _values(settings)
    infos = supervisord.infos(settings)
    return [_status_of(service, settings, known, infos.get(service.name)) for service in SERVICES.values()]


@contextmanager
def serving(settings: Settings, services: Iterable[str] = ALL) -> Iterator[Settings]:
    """Services for the length of a block; yields the settings that reach them."""
    try:
        yield up(settings, services, attached=True)
    finally:
        down(settings)


def is_running(settings: Settings) -> bool:
    """Whether this home's supervisor answers."""
    return bool(supervisord.infos(settings))


def with_services(settings: Settings) -> Settings:
    """The settings, completed by what this home's running services provide."""
    return _completed(settings, _values(settings))


def environment(settings: Settings) -> dict[str, str]:
    """The environment in which a process reads these settings, wherever they came from."""
    variables = dict(os.environ)
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if value is None:
            variables.pop(environment_name(name), None)
        elif isinstance(value, dict):
            variables[environment_name(name)] = json.dumps(settings.model_dump(mode="json", include={name})[name])
        else:
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            variables[environment_name(name)] = str(plain.absolute() if isinstance(plain, Path) else plain)
    return variables


# What to start


def needed(settings: Settings, services: Iterable[str]) -> list[str]:
    """These services and all that they need, without those in whose place the user runs a server."""
    wanted: set[str] = set()
    open_names = list(services)
    while open_names:
        name = open_names.pop()
        if name not in SERVICES:
            raise InputError(f"there is no service {name!r}", cure=f"Choose one of {', '.join(ALL)}")
        service = SERVICES[name]
        if name in wanted or (service.settled_by and getattr(settings, service.settled_by) is not None):
            continue
        wanted.add(name)
        open_names.extend(service.needs)
    return [name for name in ALL if name in wanted]


def _settle(settings: Settings, missing: list[str], kept: Iterable[str]) -> Settings:
    """Choose ports for the missing services, check what they need, and write `services.json`."""
    known = _values(settings) if kept else {}
    if "web_port" in known and settings.web_port not in (None, known["web_port"]) and "web" not in missing:
        raise ConflictError(
            f"the dashboard already runs on port {known['web_port']}, but CIKG_WEB_PORT asks for {settings.web_port}",
            cure="Run `cikg down` first",
        )
    if "web" in missing and settings.web_port and not home.is_free(settings.web_port, settings.web_host):
        raise ConflictError(
            f"port {settings.web_port}, which CIKG_WEB_PORT asks for, is in use",
            cure="Set another port, or unset CIKG_WEB_PORT to have a free one chosen",
        )
    if "neo4j" in missing:
        fetch.fetch_jars(settings)
    if "redis" in missing:
        redis.ensure(settings)
    secrets = home.Secrets.of(settings)
    for name, port in zip(missing, home.free_ports(len(missing)), strict=True):
        chosen = settings.web_port if name == "web" and settings.web_port else port
        provided = SERVICES[name].provides(chosen, secrets)
        _refuse_contradiction(settings, SERVICES[name], provided)
        # One that had failed keeps its address, for others may know it.
        known = provided | known if provided.keys() <= known.keys() else known | provided
    write_file(settings.home / SERVICES_FILE, json.dumps(known, indent=1).encode())
    return _completed(settings, known)


def _refuse_contradiction(settings: Settings, service: Service, provided: Values) -> None:
    """Refuse, say, a password for a server that no setting names: it is not the embedded one's."""
    for field, value in provided.items():
        given = getattr(settings, field)
        plain = given.get_secret_value() if isinstance(given, SecretStr) else given
        unset = (None, value, Settings.model_fields[field].default)
        if service.settled_by and plain not in unset and field not in _ACCEPTED:
            missing, name = environment_name(service.settled_by), environment_name(field)
            raise SettingsError(
                f"{name} is set and {missing} is not, so the embedded {service.title} would run with other values",
                cure=f"Set {missing} to use a server of your own, or remove {name}",
            )


def _completed(settings: Settings, values: Values) -> Settings:
    """The settings, with `values` where they say nothing."""
    update: dict[str, Any] = {}
    for name, value in values.items():
        if getattr(settings, name) is None:
            is_secret = "SecretStr" in str(Settings.model_fields[name].annotation)
            update[name] = SecretStr(str(value)) if is_secret else value
    return settings.model_copy(update=update)


def _values(settings: Settings) -> Values:
    try:
        values: Values = json.loads((settings.home / SERVICES_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return values


# Starting


def _launch(
    settings: Settings,
    complete: Settings,
    missing: list[str],
    *,
    already: frozenset[str],
    attached: bool,
    report: Report,
) -> None:
    supervisord.add_commands(settings, {name: SERVICES[name].command(complete) for name in missing})
    # A server of the user's own has to answer before anything that needs it starts.
    if "neo4j" not in missing:
        _migrate(complete)
    if complete.redis_url is not None and "redis" not in missing:
        SERVICES["redis"].probe(complete)
    if not already:
        supervisord.start(settings, environment(settings), attached)
    _start_in_order(settings, complete, missing, report)


def _start_in_order(settings: Settings, complete: Settings, missing: list[str], report: Report) -> None:
    waiting, starting = list(missing), dict[str, float]()
    with supervisord.remote(settings) as server:
        while waiting or starting:
            for name in list(waiting):
                if not any(need in waiting or need in starting for need in SERVICES[name].needs):
                    waiting.remove(name)
                    starting[name] = time.monotonic()
                    guard.starts_file(settings.home, name).unlink(missing_ok=True)
                    server.startProcess(name, False)
            for name in list(starting):
                info = server.getProcessInfo(name)
                _check_alive(settings, info, starting[name])
                if info["statename"] == "RUNNING" and _answers(name, complete):
                    if name == "neo4j":
                        _migrate(complete)
                    report(SERVICES[name], time.monotonic() - starting.pop(name))
            time.sleep(_POLL_SECONDS)


def _answers(name: str, settings: Settings) -> bool:
    try:
        SERVICES[name].probe(settings)
    except AuthenticationError as error:
        data = settings.home / name
        raise ServiceError(
            f"{SERVICES[name].title} in {data} has another password than {settings.home / 'secrets.json'}",
            cure=f"Restore that file, or remove {data} to start over without its data",
        ) from error
    except ServiceError:
        return False
    return True


def _check_alive(settings: Settings, info: dict[str, Any], begun: float) -> None:
    name = info["name"]
    late = time.monotonic() - begun > _START_SECONDS
    if info["statename"] == "FATAL" or late or _restarts(settings, name) > _RESTARTS_ALLOWED:
        log = settings.logs / f"{name}.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
        shown = "\n".join(f"  {line}" for line in lines[-_LOG_LINES:])
        what = f"does not answer after {_START_SECONDS} s" if late else "does not start"
        raise ServiceError(
            f"{SERVICES[name].title} {what}", cure=f"Its log {log} ends:\n{shown}" if shown else f"Look at {log}"
        )


def _migrate(settings: Settings) -> None:
    from cikg.graph import connect  # noqa: PLC0415 — the driver takes seconds to import, and `status` needs none
    from cikg.graph.migrations import migrate  # noqa: PLC0415

    if settings.neo4j_uri is not None:
        with connect(settings) as graph:
            migrate(graph)


# Stopping


def _retract(settings: Settings, names: list[str]) -> None:
    """Undo a start that failed: stop what it started, and everything if that was all."""
    others = [name for name, state in _running(settings).items() if state != "STOPPED" and name not in names]
    if not others:
        _shut_down(settings)
        return
    with supervisord.remote(settings) as server:
        for name in names:
            with contextlib.suppress(xmlrpc.client.Fault):  # it was not running
                server.stopProcess(name)
    secrets = home.Secrets.of(settings)
    gone = {field for name in names for field in SERVICES[name].provides(0, secrets)}
    left = {field: value for field, value in _values(settings).items() if field not in gone}
    write_file(settings.home / SERVICES_FILE, json.dumps(left, indent=1).encode())


def _shut_down(settings: Settings) -> None:
    pid = None
    with (
        contextlib.suppress(OSError, xmlrpc.client.Error, http.client.HTTPException),
        supervisord.remote(settings) as server,
    ):
        pid = server.getPID()
        server.shutdown()
    if pid is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            _wait(psutil.Process(pid), sum(service.stop_seconds for service in SERVICES.values()))
    _sweep(settings)


def _wait(process: psutil.Process, seconds: float) -> None:
    """Wait for a process that is perhaps our own child and then has to be reaped."""
    with contextlib.suppress(psutil.TimeoutExpired):
        process.wait(seconds)


def _sweep(settings: Settings) -> None:
    """Remove what a home without a supervisor must not have: processes, run files, addresses."""
    guard.end(guard.leftovers(settings.home, [supervisord.NAME, *ALL]), patience=30)
    (settings.home / SERVICES_FILE).unlink(missing_ok=True)
    shutil.rmtree(home.run_directory(settings), ignore_errors=True)
    socket = home.socket_path(settings)
    if socket.parent != home.run_directory(settings).absolute():
        shutil.rmtree(socket.parent, ignore_errors=True)


# Asking


def _running(settings: Settings) -> dict[str, str]:
    return {name: str(info["statename"]) for name, info in supervisord.infos(settings).items()}


def _restarts(settings: Settings, name: str) -> int:
    try:
        starts = guard.starts_file(settings.home, name).read_text(encoding="utf-8")
    except FileNotFoundError:
        return 0
    return max(0, len(starts.splitlines()) - 1)


def _status_of(service: Service, settings: Settings, known: Values, info: dict[str, Any] | None) -> ServiceStatus:
    mine = info is not None and info["statename"] != "STOPPED"
    setting = service.settled_by
    if not mine and setting and getattr(settings, setting) is not None and setting not in known:
        return ServiceStatus(service.name, "external", service.address(settings))
    if info is None or not mine:
        return ServiceStatus(service.name, "stopped")
    alive = info["pid"] != 0
    return ServiceStatus(
        service.name,
        _STATES[info["statename"]],
        service.address(_completed(settings, known)),
        info["pid"] if alive else None,
        max(0, int(info["now"] - info["start"])) if alive else None,
        _restarts(settings, service.name),
        settings.logs / f"{service.name}.log",
    )

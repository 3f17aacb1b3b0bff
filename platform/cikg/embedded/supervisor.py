"""Runs the embedded services of one home under supervisord: `up`, `down`, `status`, and `serving` for tests.

supervisord restarts a service that ends. It is reached through a socket below the home; no file says that it runs, so
none can be stale. `services.json` tells every other process of this home where the services listen.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shlex
import shutil
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from pydantic import SecretStr
from supervisor.xmlrpc import SupervisorTransport

from cikg.embedded import fetch, guard, home, redis
from cikg.embedded.services import ALL, SERVICES, Service, Values
from cikg.errors import ConflictError, InputError, ServiceError
from cikg.settings import SERVICES_FILE, Settings, environment_name

_START_SECONDS = 240
_POLL_SECONDS = 0.1
_RESTARTS_ALLOWED = 2  # while starting; a service that ends more often has something wrong with it
_LOG_LINES = 8
_SUPERVISOR = "supervisor"
_SAID = "supervisor.out"

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

_SUPERVISORD = """\
[unix_http_server]
file={socket}
chmod=0600

[supervisord]
logfile=%(here)s/../logs/supervisor.log
pidfile=%(here)s/supervisor.pid
directory=%(here)s/..
nodaemon=true
silent=true
umask=077

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

_PROGRAM = """
[program:{name}]
command={command}
priority={priority}
autostart=false
autorestart=true
startsecs=1
startretries=3
stopwaitsecs={stop_seconds}
killasgroup=true
redirect_stderr=true
stdout_logfile=%(here)s/../logs/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""


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
        ServiceError: a service does not start; then none that this call started is left.
        CikgError: the home cannot be written, or something to run is missing.
    """
    wanted = _closure(settings, services)
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
            except BaseException:
                _retract(settings, missing)
                raise
        return complete


def down(settings: Settings) -> list[str]:
    """Stop everything of this home, also what a killed supervisor left; return the names of what ran."""
    if not settings.home.is_dir():
        return []
    with home.locked(settings):
        stopped = [name for name, state in _running(settings).items() if state != "STOPPED"]
        stopped += [name for name in ALL if name not in stopped and guard.leftovers(settings.home, [name])]
        _shut_down(settings)
        return stopped


def status(settings: Settings) -> list[ServiceStatus]:
    """The services as they are now.

    Args:
        settings: as `load_settings()` reads them.
    """
    known = _values(settings)
    infos = _infos(settings)
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
    return bool(_infos(settings))


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
        else:
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            variables[environment_name(name)] = str(plain.absolute() if isinstance(plain, Path) else plain)
    return variables


# What to start


def _closure(settings: Settings, services: Iterable[str]) -> list[str]:
    wanted: set[str] = set()
    open_names = list(services)
    while open_names:
        name = open_names.pop()
        if name not in SERVICES:
            raise InputError(f"there is no service {name!r}", cure=f"Services are {', '.join(ALL)}")
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
            f"the dashboard runs already, on port {known['web_port']}, and CIKG_WEB_PORT asks for {settings.web_port}",
            cure="Run `cikg down` first",
        )
    if "web" in missing and settings.web_port and not home.is_free(settings.web_port, settings.web_host):
        raise ConflictError(
            f"port {settings.web_port}, which CIKG_WEB_PORT names, is taken",
            cure="Name another port there, or none to have a free one found",
        )
    if "neo4j" in missing:
        fetch.fetch_jars(settings)
    if "redis" in missing:
        redis.binary()
    secrets = home.Secrets.of(settings)
    for name, port in zip(missing, home.free_ports(len(missing)), strict=True):
        chosen = settings.web_port if name == "web" and settings.web_port else port
        known |= SERVICES[name].provides(chosen, secrets)
    home.write_private(settings.home / SERVICES_FILE, json.dumps(known, indent=1))
    return _completed(settings, known)


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
    run = home.run_directory(settings)
    commands = _commands(settings)
    commands |= {name: SERVICES[name].command(complete) for name in missing}
    home.write_private(run / "commands.json", json.dumps(commands, indent=1))
    # A server of the user's own has to answer before anything that needs it starts.
    if "neo4j" not in missing:
        _migrate(complete)
    if complete.redis_url is not None and "redis" not in missing:
        SERVICES["redis"].probe(complete)
    if not already:
        _start_supervisord(settings, attached)
    _start_in_order(settings, complete, missing, report)


def _start_in_order(settings: Settings, complete: Settings, missing: list[str], report: Report) -> None:
    waiting, starting, begun = list(missing), dict[str, float](), time.monotonic()
    with _remote(settings) as remote:
        while waiting or starting:
            for name in list(waiting):
                if not any(need in waiting or need in starting for need in SERVICES[name].needs):
                    waiting.remove(name)
                    starting[name] = time.monotonic()
                    guard.starts_file(settings.home, name).unlink(missing_ok=True)
                    remote.supervisor.startProcess(name, False)
            for name in list(starting):
                info: Any = remote.supervisor.getProcessInfo(name)
                _check_alive(settings, info, begun)
                if info["statename"] == "RUNNING" and _answers(name, complete):
                    if name == "neo4j":
                        _migrate(complete)
                    report(SERVICES[name], time.monotonic() - starting.pop(name))
            time.sleep(_POLL_SECONDS)


def _answers(name: str, settings: Settings) -> bool:
    try:
        SERVICES[name].probe(settings)
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


def _start_supervisord(settings: Settings, attached: bool) -> None:
    run = home.run_directory(settings)
    socket = home.socket_path(settings)
    inside = socket.parent == run.absolute()
    text = _SUPERVISORD.format(socket="%(here)s/supervisor.sock" if inside else str(socket).replace("%", "%%"))
    for priority, service in enumerate(SERVICES.values(), 1):
        command = shlex.join([sys.executable, "-m", "cikg.embedded.guard", service.name]).replace("%", "%%")
        text += _PROGRAM.format(
            name=service.name, command=command, priority=priority, stop_seconds=service.stop_seconds
        )
    configuration = home.write_private(run / "supervisord.conf", text)
    command_line = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(configuration)]
    commands = _commands(settings) | {_SUPERVISOR: command_line}
    home.write_private(run / "commands.json", json.dumps(commands, indent=1))
    marked = environment(settings) | {guard.MARK: guard.mark(settings.home, _SUPERVISOR)}
    line = [sys.executable, "-m", "cikg.embedded.guard", _SUPERVISOR] if attached else command_line
    # Not `subprocess`: it wants its children awaited, and this one is to outlive us.
    no_input = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    said = (os.POSIX_SPAWN_OPEN, 1, settings.logs / _SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    errors = (os.POSIX_SPAWN_DUP2, 1, 2)
    pid = os.posix_spawn(line[0], line, marked, file_actions=[no_input, said, errors], setsid=True)
    deadline = time.monotonic() + 20
    while not _infos(settings):
        if os.waitpid(pid, os.WNOHANG) != (0, 0) or time.monotonic() > deadline:
            raise ServiceError("the supervisor does not start", cure=f"Look at {settings.logs / _SAID}")
        time.sleep(_POLL_SECONDS)


def _commands(settings: Settings) -> dict[str, list[str]]:
    path = home.run_directory(settings) / "commands.json"
    commands: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return commands


# Stopping


def _retract(settings: Settings, names: list[str]) -> None:
    """Undo a start that failed: stop what it started, and everything if that was all."""
    others = [name for name, state in _running(settings).items() if state != "STOPPED" and name not in names]
    if not others:
        _shut_down(settings)
        return
    with _remote(settings) as remote:
        for name in names:
            with contextlib.suppress(xmlrpc.client.Fault):  # it was not running
                remote.supervisor.stopProcess(name)
    secrets = home.Secrets.of(settings)
    gone = {field for name in names for field in SERVICES[name].provides(0, secrets)}
    left = {field: value for field, value in _values(settings).items() if field not in gone}
    home.write_private(settings.home / SERVICES_FILE, json.dumps(left, indent=1))


def _shut_down(settings: Settings) -> None:
    pid: Any = None
    with contextlib.suppress(OSError, xmlrpc.client.Error, http.client.HTTPException), _remote(settings) as remote:
        pid = remote.supervisor.getPID()
        remote.supervisor.shutdown()
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
    guard.end(guard.leftovers(settings.home, [_SUPERVISOR, *ALL]), patience=30)
    (settings.home / SERVICES_FILE).unlink(missing_ok=True)
    shutil.rmtree(home.run_directory(settings), ignore_errors=True)
    socket = home.socket_path(settings)
    if socket.parent != home.run_directory(settings).absolute():
        shutil.rmtree(socket.parent, ignore_errors=True)


# Asking the supervisor


@contextmanager
def _remote(settings: Settings) -> Iterator[xmlrpc.client.ServerProxy]:
    transport = SupervisorTransport(serverurl=f"unix://{home.socket_path(settings)}")
    try:
        # The address is a placeholder; the transport knows the socket.
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as remote:
            yield remote
    finally:
        transport.close()


def _infos(settings: Settings) -> dict[str, dict[str, Any]]:
    """What the supervisor says of each service, by name; nothing where it does not run."""
    if not home.run_directory(settings).is_dir():
        return {}
    try:
        with _remote(settings) as remote:
            infos: Any = remote.supervisor.getAllProcessInfo()
            return {info["name"]: info for info in infos}
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return {}


def _running(settings: Settings) -> dict[str, str]:
    return {name: str(info["statename"]) for name, info in _infos(settings).items()}


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

"""supervisord itself: its configuration, its process, and the socket it is asked through."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import sys
import time
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from cikg.embedded import guard, home
from cikg.embedded.services import SERVICES
from cikg.errors import ServiceError
from cikg.files import write_file
from cikg.settings import Settings

NAME = guard.SUPERVISOR

_SAID = "supervisor.out"
_START_SECONDS = 60
_POLL_SECONDS = 0.1

_SUPERVISORD = """\
[unix_http_server]
file={socket}
chmod=0600

[supervisord]
logfile=%(here)s/../logs/supervisor.log
pidfile=%(here)s/supervisor.pid
nodaemon=true
silent=true
umask=077

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

# Python, Celery and granian import from the folder they are started in, before anything that is installed.
_PROGRAM = """
[program:{name}]
command={command}
directory=%(here)s
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


def start(settings: Settings, environment: dict[str, str], attached: bool) -> None:
    """Start supervisord and wait until it answers; no service runs yet.

    Args:
        settings: name the home.
        environment: what the services inherit.
        attached: end it when this process ends.

    Raises:
        ServiceError: it does not start.
    """
    run = home.run_directory(settings)
    socket = home.socket_path(settings)
    inside = socket.parent == run.absolute()
    text = _SUPERVISORD.format(socket="%(here)s/supervisor.sock" if inside else str(socket).replace("%", "%%"))
    for priority, service in enumerate(SERVICES.values(), 1):
        command = shlex.join([sys.executable, "-m", "cikg.embedded.guard", service.name]).replace("%", "%%")
        text += _PROGRAM.format(
            name=service.name, command=command, priority=priority, stop_seconds=service.stop_seconds
        )
    configuration = write_file(run / "supervisord.conf", text.encode())
    command_line = [sys.executable, "-P", "-m", "supervisor.supervisord", "--configuration", str(configuration)]
    add_commands(settings, {NAME: command_line})
    marked = environment | {guard.MARK: guard.mark(settings.home, NAME), guard.PARENT: str(os.getpid())}
    line = [sys.executable, "-P", "-m", "cikg.embedded.guard", NAME] if attached else command_line
    # Not `subprocess`: it wants its children awaited, and this one is to outlive us.
    no_input = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    said = (os.POSIX_SPAWN_OPEN, 1, settings.logs / _SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    errors = (os.POSIX_SPAWN_DUP2, 1, 2)
    pid = os.posix_spawn(line[0], line, marked, file_actions=[no_input, said, errors], setsid=True)
    deadline = time.monotonic() + _START_SECONDS
    while not infos(settings):
        if os.waitpid(pid, os.WNOHANG) != (0, 0) or time.monotonic() > deadline:
            raise ServiceError("the supervisor does not start", cure=f"Look at {settings.logs / _SAID}")
        time.sleep(_POLL_SECONDS)


def add_commands(settings: Settings, commands: dict[str, list[str]]) -> None:
    """Write what `guard` is to run; what it knew already stays."""
    path = home.run_directory(settings) / "commands.json"
    known: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    write_file(path, json.dumps(known | commands, indent=1).encode())


@contextmanager
def remote(settings: Settings) -> Iterator[Any]:
    """The supervisor's XML-RPC interface, methods as attributes.

    Raises:
        OSError: nobody listens.
    """
    transport = SupervisorTransport(serverurl=f"unix://{home.socket_path(settings)}")
    try:
        # The address is a placeholder; the transport knows the socket.
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as server:
            yield server.supervisor
    finally:
        transport.close()


def infos(settings: Settings) -> dict[str, dict[str, Any]]:
    """What the supervisor says of each service, by name; nothing where it does not run."""
    if not home.run_directory(settings).is_dir():
        return {}
    try:
        with remote(settings) as server:
            return {info["name"]: info for info in server.getAllProcessInfo()}
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return {}

"""The embedded Redis: the one that was fetched, or else the system's `redis-server`."""

from __future__ import annotations

import shutil
from pathlib import Path

from cikg.embedded import fetch
from cikg.errors import CikgError
from cikg.files import write_file
from cikg.settings import Settings

_CONFIGURATION = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
dir "{directory}"
daemonize no
# Messages must outlive a crash, and none may be dropped for want of memory.
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""


def binary(settings: Settings) -> Path:
    """The server's executable.

    Raises:
        CikgError: there is none.
    """
    fetched = fetch.redis_executable(settings)
    if fetched.is_file():
        return fetched
    if installed := shutil.which("redis-server"):
        return Path(installed)
    raise CikgError(
        "there is no redis-server: none was fetched, and none is on the PATH",
        cure="Run `make setup`, which fetches one for Linux and macOS; on other systems install Redis, or set "
        "CIKG_REDIS_URL",
    )


def ensure(settings: Settings) -> None:
    """Fetch a Redis where there is none.

    Raises:
        UnreachableError, ServiceError: it cannot be fetched.
        CikgError: there is none for this kind of machine.
    """
    try:
        binary(settings)
    except CikgError:
        fetch.fetch_redis(settings)
        binary(settings)


def configure(settings: Settings, port: int, password: str) -> Path:
    """Write the configuration, which only this user can read, for it holds the password; return it."""
    directory = settings.home / "redis"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    quoted = str(directory).replace("\\", "\\\\").replace('"', '\\"')
    text = _CONFIGURATION.format(port=port, password=password, directory=quoted)
    return write_file(directory / "redis.conf", text.encode())

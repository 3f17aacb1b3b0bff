"""Fetches what an installed package cannot carry: the embedded Neo4j's jars, and the dashboard's browser libraries.

    python -m cikg.embedded.fetch

The jars are named by `neo4j.lock`, one line each: coordinates, SHA-256, size. They come from the Maven repository that
`CIKG_MAVEN_URL` names, or else from the one that jgo knows. A jar gets its name only once its digest is right, so an
interrupted fetch leaves whole jars alone and the next one goes on from there.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import sys
import tempfile
import time
import urllib.error
import urllib.request
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

NEO4J_VERSION = "2026.08.1"
_THREADS = 8
_ATTEMPTS = 3
_CHUNK = 1 << 18  # bytes
_TIMEOUT = 30  # seconds without an answer


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
def lock() -> tuple[Jar, ...]:
    """The jars that the embedded Neo4j is made of."""
    text = resources.files("cikg.embedded").joinpath("neo4j.lock").read_text(encoding="utf-8")
    return tuple(Jar.parse(line) for line in text.splitlines() if line and not line.startswith("#"))


def library(settings: Settings) -> Path:
    """The directory of the jars, shared by every home of this user."""
    return settings.cache / f"neo4j-{NEO4J_VERSION}" / "lib"


def _is_sound(directory: Path, jar: Jar) -> bool:
    path = directory / jar.name
    try:
        if path.stat().st_size != jar.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except OSError:
        return False


def unsound_jars(settings: Settings) -> list[Jar]:
    """The jars that are missing or differ from the lock; every byte is read, which takes about 0.2 s."""
    directory = library(settings)
    with ThreadPoolExecutor(_THREADS) as threads:
        sound = threads.map(lambda jar: _is_sound(directory, jar), lock())
        return [jar for jar, good in zip(lock(), sound, strict=True) if not good]


def fetch_jars(settings: Settings, *, quiet: bool = False) -> Path:
    """Bring the jars to `library(settings)`; one that is there and sound is not fetched again.

    Returns:
        The directory.

    Raises:
        UnreachableError: the repository cannot be reached.
        ServiceError: it answers something else than the locked jar.
        CikgError: the cache cannot be written.
    """
    wanted = unsound_jars(settings)
    directory = library(settings)
    if not wanted:
        return directory
    with _writable(directory):
        directory.mkdir(parents=True, exist_ok=True)
        for stale in directory.glob(".*.part"):
            stale.unlink(missing_ok=True)
        with _bytes_bar(f"Neo4j {NEO4J_VERSION}: {len(wanted)} jars", wanted, quiet) as advance:
            _fetch_all(settings.maven_url or _public_repository(), wanted, directory, advance)
    return directory


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
                    f"Neo4j's jars cannot be fetched from {base} ({getattr(error, 'reason', None) or error})",
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
        fetch_jars(load_settings(with_embedded=False), quiet=quiet)
        assets.fetch_assets(quiet=quiet)
    except CikgError as error:
        print(f"cikg: {error}", file=sys.stderr)  # noqa: T201 — this runs before the command-line tool does
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

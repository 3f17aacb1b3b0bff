"""Fetching by the lock, from a real HTTP server on loopback: whole, verified, resumable."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cikg.embedded import fetch
from cikg.errors import CikgError, ServiceError, UnreachableError
from cikg.settings import Settings

CONTENTS = {f"org/example/part{number}/1.0/part{number}-1.0.jar": b"%d" % number * 1000 for number in range(5)}


class _Requests(SimpleHTTPRequestHandler):
    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.path.lstrip("/"))
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def jars(monkeypatch: pytest.MonkeyPatch) -> tuple[fetch.Jar, ...]:
    """A small lock in place of Neo4j's."""
    lock = tuple(fetch.Jar(path, hashlib.sha256(data).hexdigest(), len(data)) for path, data in CONTENTS.items())
    monkeypatch.setattr(fetch, "lock", lambda: lock)
    monkeypatch.setattr(fetch.time, "sleep", lambda _: None)
    return lock


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The files of a Maven repository."""
    root = tmp_path / "repository"
    for path, data in CONTENTS.items():
        (root / path).parent.mkdir(parents=True)
        (root / path).write_bytes(data)
    return root


@pytest.fixture
def requests(repository: Path) -> list[str]:
    """The paths that were asked for."""
    return []


@pytest.fixture
def settings(tmp_path: Path, repository: Path, requests: list[str]) -> Iterator[Settings]:
    """Settings that name the repository, served on loopback."""
    handler = type("Handler", (_Requests,), {"seen": requests})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(repository))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Settings(cache=tmp_path / "cache", maven_url=f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()


def _found(settings: Settings) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in fetch.library(settings).iterdir()}


WHOLE = {path.rpartition("/")[2]: data for path, data in CONTENTS.items()}


@pytest.mark.usefixtures("jars")
def test_every_jar_comes_whole_and_once(settings: Settings, requests: list[str]) -> None:
    fetch.fetch_jars(settings, quiet=True)
    assert _found(settings) == WHOLE
    assert sorted(requests) == sorted(CONTENTS)
    fetch.fetch_jars(settings, quiet=True)
    assert len(requests) == len(CONTENTS)


@pytest.mark.usefixtures("jars")
def test_only_what_is_missing_or_damaged_is_fetched_again(settings: Settings, requests: list[str]) -> None:
    fetch.fetch_jars(settings, quiet=True)
    requests.clear()
    library = fetch.library(settings)
    (library / "part1-1.0.jar").unlink()
    damaged = library / "part3-1.0.jar"
    damaged.write_bytes(b"X" + damaged.read_bytes()[1:])  # as long as before
    (library / ".part2-1.0.jar.part").write_bytes(b"left by a killed fetch")
    assert {jar.name for jar in fetch.unsound_jars(settings)} == {"part1-1.0.jar", "part3-1.0.jar"}
    fetch.fetch_jars(settings, quiet=True)
    assert _found(settings) == WHOLE
    assert len(requests) == 2


@pytest.mark.usefixtures("jars")
def test_a_jar_that_differs_from_the_lock_is_refused(settings: Settings, repository: Path) -> None:
    altered = next(iter(CONTENTS))
    (repository / altered).write_bytes(b"something else")
    with pytest.raises(ServiceError, match=r"part0-1\.0\.jar does not match its checksum"):
        fetch.fetch_jars(settings, quiet=True)
    assert _found(settings).items() <= WHOLE.items()
    assert "part0-1.0.jar" not in _found(settings)


@pytest.mark.usefixtures("jars")
def test_an_incomplete_repository_is_named(settings: Settings, repository: Path) -> None:
    (repository / next(iter(CONTENTS))).unlink()
    with pytest.raises(ServiceError, match=r"part0-1\.0\.jar answers with status 404"):
        fetch.fetch_jars(settings, quiet=True)


@pytest.mark.usefixtures("jars")
def test_without_network_one_sentence_and_nothing_half_done(settings: Settings) -> None:
    dead = settings.model_copy(update={"maven_url": "http://127.0.0.1:9/maven2"})
    with pytest.raises(UnreachableError, match=r"cannot be fetched from http://127.0.0.1:9/maven2") as caught:
        fetch.fetch_jars(dead, quiet=True)
    assert "CIKG_MAVEN_URL" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert _found(dead) == {}


@pytest.mark.usefixtures("jars")
def test_a_cache_that_cannot_be_written_is_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    blocked = settings.model_copy(update={"cache": tmp_path / "file" / "cache"})
    with pytest.raises(CikgError, match=r"cannot be written.*CIKG_CACHE"):
        fetch.fetch_jars(blocked, quiet=True)


def test_the_lock_names_neo4j_and_each_jar_once() -> None:
    names = [jar.name for jar in fetch.lock()]
    assert len(names) == len(set(names))
    assert f"neo4j-{fetch.NEO4J_VERSION}.jar" in names
    classified = fetch.Jar.parse("io.netty:transport:4.2:linux-x86_64 00 7")
    assert classified.path == "io/netty/transport/4.2/transport-4.2-linux-x86_64.jar"

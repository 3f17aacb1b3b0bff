"""Fetching by the lock, from a real HTTP server on loopback: whole, verified, resumable."""

from __future__ import annotations

import hashlib
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cikg.embedded import fetch, redis
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
    monkeypatch.setattr(fetch, "lock", lambda *_: lock)
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
    assert f"neo4j-{fetch.NEO4J.version}.jar" in names
    classified = fetch.Jar.parse("io.netty:transport:4.2:linux-x86_64 00 7")
    assert classified.path == "io/netty/transport/4.2/transport-4.2-linux-x86_64.jar"


def _executable(system: str, machine: str) -> str:
    return f"redis-server-{fetch.REDIS.version}-{system}-{machine}"


@pytest.fixture
def redis_jar(repository: Path, jars: object, monkeypatch: pytest.MonkeyPatch) -> str:
    """A jar with an executable for two kinds of machine in place of Redis's; its path in the repository."""
    path = "org/example/redis/1.0/redis-1.0.jar"
    (repository / path).parent.mkdir(parents=True)
    with zipfile.ZipFile(repository / path, "w") as archive:
        archive.writestr(_executable("linux", "amd64"), "#!/bin/sh\necho amd64\n")
        archive.writestr(_executable("darwin", "arm64"), "#!/bin/sh\necho arm64\n")
    data = (repository / path).read_bytes()
    lock = (fetch.Jar(path, hashlib.sha256(data).hexdigest(), len(data)),)
    monkeypatch.setattr(fetch, "lock", lambda *_: lock)
    return path


@pytest.mark.parametrize(
    ("system", "machine", "said"),
    [("Linux", "x86_64", "amd64"), ("Darwin", "arm64", "arm64"), ("Linux", "riscv64", "")],
)
def test_the_redis_of_this_kind_of_machine_is_unpacked_once(
    settings: Settings,
    requests: list[str],
    redis_jar: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    system: str,
    machine: str,
    said: str,
) -> None:
    monkeypatch.setattr(fetch.platform, "system", lambda: system)
    monkeypatch.setattr(fetch.platform, "machine", lambda: machine)
    path = fetch.redis_executable(settings)
    fetch.fetch_redis(settings, quiet=True)
    if not said:
        assert not path.exists()
        return
    assert subprocess.run([path], capture_output=True, text=True, check=True).stdout == f"{said}\n"
    first = path.stat().st_ino
    fetch.fetch_redis(settings, quiet=True)
    assert (requests, path.stat().st_ino) == ([redis_jar], first)
    path.write_text("#!/bin/sh\necho altered\n")
    fetch.fetch_redis(settings, quiet=True)
    assert path.read_text() == f"#!/bin/sh\necho {said}\n"
    assert sorted(found.name for found in path.parent.iterdir()) == ["lib", "redis-server"]


@pytest.mark.usefixtures("redis_jar")
def test_a_redis_on_the_path_does_where_none_was_fetched(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(fetch.platform, "machine", lambda: "riscv64")
    with pytest.raises(CikgError, match="there is no redis-server"):
        redis.ensure(settings)
    installed = tmp_path / "redis-server"
    installed.touch(mode=0o755)
    assert redis.binary(settings) == installed
    monkeypatch.undo()
    fetched = fetch.redis_executable(settings)
    fetched.touch(mode=0o755)
    assert redis.binary(settings) == fetched


def test_the_lock_names_the_redis_that_is_fetched() -> None:
    (jar,) = fetch.lock(fetch.REDIS)
    assert jar.name == "embedded-redis-0.9.1.jar"

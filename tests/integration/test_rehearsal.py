"""The cache from which Java starts: made once, used, made again when it does not fit, and never in the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cikg.embedded import fetch, java, rehearsal, supervisor
from cikg.embedded.diagnosis import Verdict, examine
from cikg.errors import CikgError
from cikg.graph import Graph
from cikg.progress import Advance
from cikg.settings import Settings
from tests.conftest import newcomer

CLASS = "org.neo4j.graphdb.RelationshipType"
LOAD = f"""
import jpype
from cikg.embedded import java
from cikg.settings import load_settings
java.start(load_settings())
print(jpype.JClass({CLASS!r}).class_.getName())
"""
"""Starts Java as servers do, and has it load one of Neo4j's classes."""


def load_class(settings: Settings, options: str = "") -> subprocess.CompletedProcess[str]:
    """Run `LOAD` in a process of its own."""
    environment = supervisor.environment(settings) | {"JAVA_TOOL_OPTIONS": options}
    return subprocess.run(
        [sys.executable, "-c", LOAD], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def record_little(settings: Settings, _home: Path, recorded: Path, _advance: Advance) -> None:
    """In a server's place, a start of Java and one class."""
    ended = load_class(settings, java.recording(recorded))
    assert ended.returncode == 0, ended.stderr
    recorded.with_name("taken.txt").write_text("a rehearsal leaves nothing of this")


def own_cache(folder: Path) -> Settings:
    """Settings with a cache folder of its own, in which the archives of the usual one are seen."""
    made = newcomer(folder / "home")
    own = made.model_copy(update={"cache": folder / "cache"})
    fetch.library(own).parent.mkdir(parents=True)
    fetch.library(own).symlink_to(fetch.library(made).absolute())
    return own


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose cache was made by Java from a small recording; tests leave it as it is."""
    own = own_cache(tmp_path_factory.mktemp("rehearsed"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rehearsal, "_record", record_little)
        assert rehearsal.rehearse(own, quiet=True) == java.cached(own)
    return own


@pytest.fixture
def fresh(tmp_path: Path) -> Settings:
    """Settings without a cache."""
    return own_cache(tmp_path)


def folders(settings: Settings) -> set[str]:
    """What lies beside the archives."""
    return {path.name for path in fetch.library(settings).parent.iterdir()} - {"lib"}


def found_in_cache(settings: Settings, log: Path) -> bool:
    """Whether Java, as it is started now, takes Neo4j's class out of the cache instead of its archive."""
    ended = load_class(settings, f"-Xlog:class+load=info:file={log}")
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, CLASS), ended.stderr
    (line,) = [line for line in log.read_text().splitlines() if f" {CLASS} source: " in line]
    return "shared objects file" in line


def test_java_starts_from_the_cache_and_says_nothing_of_it(rehearsed: Settings, tmp_path: Path) -> None:
    assert found_in_cache(rehearsed, tmp_path / "with")
    assert load_class(rehearsed).stdout == f"{CLASS}\n"
    without = own_cache(tmp_path)
    assert not found_in_cache(without, tmp_path / "without")


def test_only_the_cache_is_left_and_others_may_read_it(rehearsed: Settings) -> None:
    made = java.cache(rehearsed)
    assert folders(rehearsed) == {made.parent.name}
    assert {path.name: path.stat().st_mode & 0o777 for path in made.parent.iterdir() if not path.is_symlink()} == {
        "neo4j.aot": 0o644
    }
    assert made.parent.stat().st_mode & 0o777 == 0o755


def test_two_at_once_make_it_once_and_a_later_one_finds_it(fresh: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def write(_settings: Settings, _recorded: Path, path: Path) -> None:
        made.append(path)
        path.write_bytes(b"a cache")

    monkeypatch.setattr(rehearsal, "_record", lambda *_: None)
    monkeypatch.setattr(rehearsal, "_write", write)
    threads = [threading.Thread(target=rehearsal.rehearse, args=(fresh,), kwargs={"quiet": True}) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rehearsal.rehearse(fresh, quiet=True).read_bytes() == b"a cache"
    assert len(made) == 1


@pytest.mark.parametrize("damage", ["truncated", "altered", "another file"])
def test_java_starts_whatever_the_cache_has_become(rehearsed: Settings, fresh: Settings, damage: str) -> None:
    content = bytearray(java.cache(rehearsed).read_bytes())
    middle = len(content) // 2
    for at in range(middle, middle + 64):
        content[at] ^= 0x55
    broken = {"truncated": content[:middle], "altered": content, "another file": b"PK" * 100_000}[damage]
    path = java.cache(fresh)
    path.parent.mkdir()
    path.write_bytes(broken)
    assert java.cached(fresh) == path
    assert not found_in_cache(fresh, fresh.cache / "log")


def test_its_name_says_for_which_archives_and_options_it_is(
    rehearsed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = newcomer(tmp_path / "home").model_copy(update={"cache": tmp_path / "cache"})
    fetch.library(own).mkdir(parents=True)
    jar = fetch.library(own) / "some.jar"
    jar.write_bytes(b"archive")
    names = [java.cache(own)]
    os.utime(jar, (1_000_000_000, 1_000_000_000))
    names.append(java.cache(own))
    (fetch.library(own) / "another.jar").write_bytes(b"archive")
    names.append(java.cache(own))
    assert len(set(names)) == len(names)
    assert java.cached(rehearsed) is not None
    monkeypatch.setattr(java, "_OPTIONS", (*java._OPTIONS, "-Xss2m"))
    assert java.cached(rehearsed) is None


def test_what_fits_no_more_is_removed_and_other_environments_keep_theirs(
    fresh: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "libjvm.so"
    elsewhere.touch()
    links = {"outdated": java.jvm(), "other": elsewhere, "gone": tmp_path / "nothing"}
    beside = fetch.library(fresh).parent
    for name, target in links.items():
        (beside / f"start-{name}").mkdir()
        (beside / f"start-{name}" / "java").symlink_to(target)
    (beside / ".start-killed").mkdir()
    monkeypatch.setattr(rehearsal, "_record", lambda *_: None)
    monkeypatch.setattr(rehearsal, "_write", lambda _settings, _recorded, path: path.touch())
    made = rehearsal.rehearse(fresh, quiet=True)
    assert folders(fresh) == {made.parent.name, "start-other"}


def remark(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What a set-up that cannot make the cache says; proves that it goes on, and leaves nothing half made."""
    monkeypatch.setattr(rehearsal, "load_settings", lambda **_: settings)
    monkeypatch.setattr(rehearsal.logs, "configure", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["rehearsal", "--quiet"])
    assert rehearsal.main() == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cikg: Neo4j has no start-up cache and starts more slowly: ")
    return line


def test_a_recording_that_java_refuses_is_a_remark(
    fresh: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rehearsal, "_record", lambda _s, _h, recorded, _a: recorded.write_bytes(b"half a recording"))
    assert "Java did not make the cache: " in remark(fresh, monkeypatch, capsys)
    assert folders(fresh) == set()
    assert load_class(fresh).returncode == 0


def test_a_full_disk_and_a_folder_that_cannot_be_written_are_remarks(
    fresh: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(fresh.cache))

    monkeypatch.setattr(rehearsal, "_record", refuse)
    assert "Permission denied" in remark(fresh, monkeypatch, capsys)
    usage = shutil.disk_usage("/")._replace(free=500_000_000)
    monkeypatch.setattr(rehearsal.shutil, "disk_usage", lambda _: usage)
    assert "less than 1 GB of free space" in remark(fresh, monkeypatch, capsys)
    assert folders(fresh) == set()


def test_a_path_beyond_ascii_has_no_cache_and_java_starts(tmp_path: Path) -> None:
    own = own_cache(tmp_path / "büro")
    with pytest.raises(CikgError, match="other than ASCII"):
        rehearsal.rehearse(own, quiet=True)
    path = java.cache(own)
    path.parent.mkdir()
    path.touch()
    assert java.cached(own) is None
    assert load_class(own).stdout == f"{CLASS}\n"


def test_doctor_says_whether_there_is_one(rehearsed: Settings, fresh: Settings) -> None:
    def finding(settings: Settings) -> tuple[Verdict, str | None]:
        found = next(each for each in examine(settings, settings.embedded) if each.check == "Java")
        return found.verdict, found.cure

    assert finding(rehearsed) == (Verdict.OK, None)
    assert finding(fresh) == (Verdict.WARN, "`python -m cikg.embedded.rehearsal` makes one")


def test_the_options_of_the_environment_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Dmine=1")
    with rehearsal._java_told("-Dours=1"):
        assert os.environ["JAVA_TOOL_OPTIONS"] == "-Dmine=1 -Dours=1"
    assert os.environ["JAVA_TOOL_OPTIONS"] == "-Dmine=1"
    monkeypatch.delenv("JAVA_TOOL_OPTIONS")
    with rehearsal._java_told("-Dours=1"):
        assert os.environ["JAVA_TOOL_OPTIONS"] == "-Dours=1"
    assert "JAVA_TOOL_OPTIONS" not in os.environ


def test_what_is_rehearsed_is_what_the_platform_does(
    settings: Settings, graph: Graph, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "DATASET", dataset)
    monkeypatch.setattr(rehearsal, "SUBJECTS", 20)
    steps: list[int] = []
    rehearsal._play(settings, steps.append)
    assert len(steps) + 3 == len(rehearsal._STEPS), "and starting, stopping, writing"
    written = graph.execute(
        "MATCH (u:User {dataset: $d})-[p:POSSESSES]->(:Intent) RETURN count(DISTINCT u) AS users, count(p) > 0 AS some",
        d=dataset,
    )
    assert written == [{"users": 20, "some": True}]

"""The embedded services when something kills, blocks or withholds: restarted, reported, never left behind."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from cikg.datasets.drop import drop
from cikg.datasets.loader import load
from cikg.embedded import guard, home, supervisor
from cikg.embedded.diagnosis import Finding, Verdict, examine
from cikg.embedded.services import ALL
from cikg.errors import ConflictError, ServiceError
from cikg.files import write_file
from cikg.graph import connect
from cikg.settings import SERVICES_FILE, Settings
from tests.conftest import CIKG, newcomer
from tests.integration.graph.state import digest
from tests.unit.datasets.folders import write
from tests.workplace import free_port

LIGHT = ("redis", "stand-in")
"""Services that start in a second; what holds for them holds for all."""

IN_SMALL_BATCHES = [
    *CIKG[:-1],
    "from cikg.datasets import batches; batches.NODE_BATCH = batches.EDGE_BATCH = 50; " + CIKG[-1],
]
"""The command-line tool with many transactions an import."""


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Settings]:
    """A home of its own, without any server of the environment; stopped after the test."""
    made = newcomer(tmp_path / "home")
    yield made
    supervisor.down(made)
    assert _left(made) == []


def _left(settings: Settings) -> list[psutil.Process]:
    """Every process of this home."""
    return guard.leftovers(settings.home, [*ALL, "supervisor"])


def _is_clean(settings: Settings) -> bool:
    """Whether nothing but data and logs is left."""
    left = {path.name for path in settings.home.iterdir()} - {"logs", "redis", "neo4j", "secrets.json", "identity"}
    return _left(settings) == [] and left == set()


def _states(settings: Settings) -> dict[str, supervisor.ServiceStatus]:
    return {service.name: service for service in supervisor.status(supervisor.with_services(settings))}


def _until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.1)


def _cikg(settings: Settings, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CIKG, *arguments],
        env=supervisor.environment(settings) | variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def _assert_one_sentence(finished: subprocess.CompletedProcess[str], *words: str) -> None:
    assert finished.returncode == 2, finished.stderr
    assert "Traceback" not in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1, finished.stderr
    for word in words:
        assert word in finished.stderr


def _finding(settings: Settings, check: str) -> Finding:
    return next(finding for finding in examine(settings, settings.embedded) if finding.check == check)


def test_a_killed_service_is_restarted_and_reported(alone: Settings) -> None:
    complete = supervisor.up(alone, LIGHT)
    before = _states(alone)
    for name in LIGHT:
        os.kill(before[name].pid or 0, signal.SIGKILL)
    _until(lambda: all(_states(alone)[name].restarts == 1 for name in LIGHT))
    _until(lambda: supervisor._answers("redis", complete) and supervisor._answers("stand-in", complete))
    after = _states(alone)
    for name in LIGHT:
        assert after[name].pid not in (None, before[name].pid)
        assert after[name].address == before[name].address
    assert len([process for process in _left(alone) if "cikg.llm.standin" in process.cmdline()]) == 1


def test_the_whole_set_comes_back_after_kills_with_its_data(alone: Settings) -> None:
    started = _cikg(alone, "up", "--json")
    assert started.returncode == 0, started.stderr
    assert {service["state"] for service in json.loads(started.stdout)["services"]} == {"running"}
    complete = supervisor.with_services(alone)
    importing = subprocess.Popen(
        [*IN_SMALL_BATCHES, "import", "demo", "--dataset", "killed-once"],
        env=supervisor.environment(complete), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with connect(complete) as graph:
        _until(
            lambda: any(row["dataset"]["imported"] > 500 for row in graph.many("find_dataset", dataset="killed-once"))
        )
    killed = ("neo4j", "worker", "web")
    before = _states(alone)
    for name in killed:
        os.kill(before[name].pid or 0, signal.SIGKILL)
    _until(lambda: all(_states(alone)[name].restarts == 1 for name in killed))
    _until(lambda: all(supervisor._answers(name, complete) for name in ALL), seconds=240)
    importing.wait(60)  # it goes on by itself if Neo4j is back in time, and where it stopped if repeated
    for name in ("killed-once", "undisturbed"):
        imported = _cikg(alone, "import", "demo", "--dataset", name)
        assert imported.returncode == 0, imported.stderr
    with connect(complete) as graph:
        assert digest(graph, "killed-once") == digest(graph, "undisturbed")
    shown = json.loads(_cikg(alone, "status", "--json").stdout)["services"]
    assert {service["name"]: service["restarts"] for service in shown} == {name: int(name in killed) for name in ALL}
    # The one process of the dashboard that survived its parent is gone, so that one alone listens on the port.
    assert len([process for process in _left(alone) if "web:create_app" in process.cmdline()]) == 2
    stopped = _cikg(alone, "down", "--json")
    assert json.loads(stopped.stdout) == {"stopped": list(ALL)}
    assert _is_clean(alone)
    assert home.is_free(complete.web_port or 0)


@pytest.mark.timeout(600)
def test_a_neo4j_that_cannot_write_ends_and_is_started_again_with_all_that_it_had(
    alone: Settings, tmp_path: Path
) -> None:
    """Its database would answer nothing more, not even with room again; here, no file of its can grow any more."""
    if sys.platform != "linux":
        pytest.skip("only Linux lets a process say how large another's files may grow")
    complete = supervisor.up(alone, ("neo4j",))
    with connect(complete, retry_seconds=5) as graph:
        load(graph, "cikgrec", write(tmp_path / "data"), "old")
        held = digest(graph, "old")
        pid = _states(alone)["neo4j"].pid or 0
        log = alone.home / "neo4j" / "data" / "transactions" / "neo4j"
        room = max(path.stat().st_size for path in log.iterdir())
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (room, most))
        with pytest.raises(ServiceError, match=r"does not answer|has stopped its database"):
            drop(graph, "old")
    _until(lambda: _states(alone)["neo4j"].restarts == 1)
    _until(lambda: supervisor._answers("neo4j", complete), seconds=120)
    with connect(complete) as graph:
        assert digest(graph, "old") == held
        drop(graph, "old")


def test_a_killed_supervisor_leaves_no_process_and_the_next_up_works(alone: Settings) -> None:
    supervisor.up(alone, LIGHT)
    processes = _left(alone)
    assert len(processes) == 3  # Redis, the stand-in and the supervisor
    pid = int((home.run_directory(alone) / "supervisor.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    _until(lambda: _left(alone) == [])
    assert {service.state for service in _states(alone).values()} == {"stopped"}
    supervisor.up(alone, ("redis",))
    assert _states(alone)["redis"].state == "running"
    assert supervisor.down(alone) == ["redis"]
    assert _is_clean(alone)


def test_up_again_leaves_what_runs_alone_and_adds_what_is_missing(alone: Settings) -> None:
    first = supervisor.up(alone, ("redis",))
    pid = _states(alone)["redis"].pid
    second = supervisor.up(alone, LIGHT)
    assert second.redis_url == first.redis_url
    states = _states(alone)
    assert (states["redis"].pid, states["redis"].restarts) == (pid, 0)
    assert states["stand-in"].state == "running"
    written = json.loads((alone.home / SERVICES_FILE).read_text())
    assert {"redis_url", "openai_base_url"} <= set(written)


def test_two_at_once_do_not_mix(alone: Settings) -> None:
    home.prepare(alone)
    with home.locked(alone):
        _assert_one_sentence(_cikg(alone, "up", "--only", "redis"), str(os.getpid()), str(alone.home))
    assert not (alone.home / "lock").exists()
    (alone.home / "lock").write_text("999999")  # left by a process that was killed
    supervisor.up(alone, ("redis",))


def test_a_taken_port_is_named_and_nothing_is_left(alone: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        finished = _cikg(alone, "up", "--only", "web", CIKG_WEB_PORT=port)
    _assert_one_sentence(finished, port, "CIKG_WEB_PORT")
    assert not (alone.home / SERVICES_FILE).exists()
    assert _left(alone) == []


def test_a_home_that_cannot_be_written_is_named(alone: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    blocked = alone.model_copy(update={"home": tmp_path / "file" / "home"})
    _assert_one_sentence(_cikg(blocked, "up"), str(blocked.home), "CIKG_HOME")
    found = _finding(blocked, "home")
    assert found.verdict is Verdict.FAIL
    assert "CIKG_HOME" in str(found.cure)


def test_another_users_home_is_named(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as directory:
        foreign = Path(directory) / "home"
        foreign.mkdir(mode=0o500)
        # Everything is imported before the process becomes another user, who may not be able to read it.
        code = (
            "import os; from pathlib import Path; from cikg.embedded import home; from cikg.errors import CikgError\n"
            "from cikg.settings import Settings\n"
            f"settings = Settings(home=Path({str(foreign)!r}))\n"
            "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
            "try: home.prepare(settings)\n"
            "except CikgError as error: print(error)"
        )
        finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.startswith(
        f"the home {foreign} cannot be written: Permission denied. Set CIKG_HOME to a folder"
    )


def test_a_service_that_cannot_start_shows_its_log(alone: Settings) -> None:
    data = alone.home / "redis"
    (data / "appendonlydir").mkdir(parents=True)
    for name in ("appendonly.aof", "appendonlydir/appendonly.aof.manifest"):
        (data / name).write_text("no such format\n")
    with pytest.raises(ServiceError, match="Redis does not start") as caught:
        supervisor.up(alone, LIGHT)
    assert "append only file" in str(caught.value).lower() or "aof" in str(caught.value).lower()
    assert _is_clean(alone)


def test_a_dead_server_is_named_and_nothing_is_left(alone: Settings) -> None:
    address = f"bolt://127.0.0.1:{free_port()}"
    finished = _cikg(alone, "up", "--only", "web", CIKG_NEO4J_URI=address)
    _assert_one_sentence(finished, address, "CIKG_NEO4J_URI")
    finished = _cikg(
        alone, "up", "--only", "worker", CIKG_NEO4J_URI=address, CIKG_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0"
    )
    _assert_one_sentence(finished, "does not answer")
    assert _is_clean(alone)


def test_a_wrong_password_is_named(alone: Settings, settings: Settings) -> None:
    uri = str(settings.neo4j_uri)
    finished = _cikg(alone, "up", "--only", "web", CIKG_NEO4J_URI=uri, CIKG_NEO4J_PASSWORD="not the password")
    _assert_one_sentence(finished, uri, "CIKG_NEO4J_PASSWORD")
    url = f"redis://:wrong@127.0.0.1:{str(settings.redis_url.get_secret_value()).rpartition(':')[2]}"  # type: ignore[union-attr]
    found = _finding(alone.model_copy(update={"redis_url": SecretStr(url)}), "Redis")
    assert found.verdict is Verdict.FAIL
    assert "refuses the password" in found.detail


def test_a_password_without_its_server_is_refused(alone: Settings) -> None:
    finished = _cikg(alone, "up", "--only", "neo4j", CIKG_NEO4J_PASSWORD="of some other server")
    _assert_one_sentence(finished, "CIKG_NEO4J_PASSWORD", "CIKG_NEO4J_URI")
    assert not (alone.home / SERVICES_FILE).exists()


def test_a_key_for_a_language_model_is_no_contradiction(alone: Settings) -> None:
    started = _cikg(alone, "up", "--only", "stand-in", OPENAI_API_KEY="ambient")
    assert started.returncode == 0
    assert "OPENAI_BASE_URL is not, so the stand-in answers" in " ".join(started.stderr.split())
    served = supervisor.with_services(alone)
    assert served.openai_model == "stand-in"
    assert _finding(served, "LLM").verdict is Verdict.OK


def test_a_key_that_nobody_uses_is_told(alone: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with supervisor.serving(alone, ("stand-in",)) as served:
        assert _finding(served, "LLM").verdict is Verdict.OK
        monkeypatch.setenv("OPENAI_API_KEY", "ambient")
        told = _finding(served, "LLM")
        assert (told.verdict, "stand-in answers" in told.detail) == (Verdict.WARN, True)
        assert "OPENAI_BASE_URL" in str(told.cure)


def test_a_home_too_deep_for_a_socket_works(alone: Settings, tmp_path: Path) -> None:
    deep = alone.model_copy(update={"home": tmp_path / ("d" * 100) / "home"})
    with supervisor.serving(deep, ("redis",)):
        socket_path = home.socket_path(deep)
        assert len(str(socket_path)) < 100
        assert _states(deep)["redis"].state == "running"
    assert not socket_path.parent.exists()
    assert _is_clean(deep)


@pytest.mark.parametrize("order", [signal.SIGINT, signal.SIGKILL])
def test_in_the_foreground_everything_ends_with_it(alone: Settings, order: signal.Signals) -> None:
    if order is signal.SIGKILL and sys.platform != "linux":
        pytest.skip("only Linux tells a process that its parent was killed")
    with subprocess.Popen(
        [*CIKG, "up", "--foreground", "--only", "redis"],
        env=supervisor.environment(alone),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as foreground:
        assert foreground.stdout is not None
        assert foreground.stdout.readline().startswith("redis")
        assert foreground.stdout.readline().startswith("Stop with Ctrl-C")
        time.sleep(0.2)
        foreground.send_signal(order)
        foreground.communicate(timeout=90)
    assert foreground.returncode == (0 if order is signal.SIGINT else -signal.SIGKILL)
    _until(lambda: _left(alone) == [])
    if order is signal.SIGINT:
        assert _is_clean(alone)


def test_a_running_dashboard_keeps_its_port(alone: Settings) -> None:
    home.prepare(alone)
    write_file(alone.home / SERVICES_FILE, json.dumps({"web_port": 5001}).encode())
    asked = alone.model_copy(update={"web_port": 5002})
    with pytest.raises(ConflictError, match=r"port 5001, but CIKG_WEB_PORT asks for 5002.*cikg down"):
        supervisor._settle(asked, [], kept=["web"])

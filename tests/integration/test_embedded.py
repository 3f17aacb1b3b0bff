"""The embedded servers as the tests themselves use them: private, on loopback, closed to files and the network."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import psutil
import pytest
import redis

from cikg.embedded import guard, supervisor
from cikg.embedded.home import Secrets
from cikg.embedded.services import ALL
from cikg.errors import AuthenticationError, ServiceError
from cikg.graph import Graph, connect
from cikg.settings import SERVICES_FILE, Settings


@pytest.fixture(autouse=True)
def embedded(settings: Settings) -> None:
    if os.environ.get("CIKG_NEO4J_URI") or os.environ.get("CIKG_REDIS_URL"):
        pytest.skip("the environment names servers of its own")


def _processes(settings: Settings) -> list[psutil.Process]:
    return guard.leftovers(settings.home, [*ALL, "supervisor"])


def test_everything_listens_on_loopback_alone(settings: Settings) -> None:
    listening = [
        connection.laddr.ip
        for process in _processes(settings)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 3
    assert set(listening) <= {"127.0.0.1", "::ffff:127.0.0.1"}


def test_what_is_private_is_readable_by_its_owner_alone(settings: Settings) -> None:
    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700
    for name in ("secrets.json", SERVICES_FILE, "redis/redis.conf", "run/commands.json"):
        assert stat.S_IMODE((settings.home / name).stat().st_mode) == 0o600, name


def test_no_secret_is_on_a_command_line_or_in_a_log(settings: Settings) -> None:
    secrets = vars(Secrets.of(settings)).values()
    lines = [" ".join(process.cmdline()) for process in _processes(settings)]
    logs = [path.read_text(errors="replace") for path in settings.home.rglob("*.log")]
    assert lines and logs
    for text in lines + logs:
        assert not any(secret in text for secret in secrets)


def test_the_well_known_first_password_never_works(settings: Settings) -> None:
    for password in ("neo4j", ""):
        with pytest.raises(AuthenticationError, match="CIKG_NEO4J_PASSWORD"):
            connect(settings.model_copy(update={"neo4j_password": type(settings.neo4j_password)(password)}))


@pytest.mark.parametrize(
    ("address", "reason"),
    [("file:///etc/passwd", "allow_csv_import_from_file_urls"), ("http://127.0.0.1:9/x", "blocked")],
)
def test_cypher_reads_neither_files_nor_addresses(graph: Graph, address: str, reason: str) -> None:
    with pytest.raises(ServiceError, match=reason):
        graph.execute(f"LOAD CSV FROM '{address}' AS line RETURN line")


def test_new_databases_speak_cypher_25(graph: Graph) -> None:
    rows = graph.execute("SHOW SETTINGS 'db.query.default_language' YIELD value RETURN value")
    assert rows == [{"value": "CYPHER_25"}]


def test_who_waits_for_a_statement_hears_that_the_server_lives(graph: Graph) -> None:
    rows = graph.execute(
        "SHOW SETTINGS YIELD name, value WHERE name CONTAINS 'bolt.connection_keep_alive' RETURN name, value"
    )
    told = {row["name"].removeprefix("server.bolt.connection_keep_alive"): row["value"] for row in rows}
    assert told["_for_requests"] == "ALL"
    assert (told[""], told["_probes"], told["_streaming_scheduling_interval"]) == ("15s", "3", "15s")


def test_redis_asks_for_its_password_and_never_drops_a_key(settings: Settings) -> None:
    assert settings.redis_url is not None
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert client.config_get("appendonly")["appendonly"] == "yes"
        port = client.connection_pool.connection_kwargs["port"]
    with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_services_run_nothing_that_lies_where_they_are_started(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("web.py", "workers.py", "celery.py", "redis.py", "supervisor.py", "psutil.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'taken')!r}, 'a').write({name!r})")
    monkeypatch.chdir(tmp_path)
    here = settings.model_copy(update={"home": Path("home")})
    with supervisor.serving(here, ("worker", "web")) as complete:
        assert {service.name for service in supervisor.status(complete) if service.state == "running"} == {
            "worker", "web"
        }  # fmt: skip
    assert not (tmp_path / "taken").exists()


def test_status_tells_where_each_service_is(settings: Settings) -> None:
    states = {service.name: service for service in supervisor.status(settings)}
    for name, address in (("neo4j", settings.neo4j_uri), ("stand-in", settings.openai_base_url)):
        assert (states[name].state, states[name].address, states[name].restarts) == ("running", address, 0)
        assert psutil.pid_exists(states[name].pid or 0)
    assert "@" not in str(states["redis"].address)
    assert states["web"].state == "stopped"

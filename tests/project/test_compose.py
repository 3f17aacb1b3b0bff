"""`docker-compose.yml` without an engine: it is valid, asks for passwords, and its commands run as plain processes."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
import yaml

from cikg.embedded import neo4j as embedded_neo4j
from cikg.embedded.redis import binary
from cikg.settings import Settings, environment_name
from tests.workplace import free_port

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
REQUIRED = {"NEO4J_PASSWORD", "REDIS_PASSWORD", "CIKG_SECRET_KEY"}
GIVEN = {"NEO4J_PASSWORD": "neo4jSecret1", "REDIS_PASSWORD": "redisSecret1", "CIKG_SECRET_KEY": "s" * 32}


class MissingVariableError(Exception):
    """What `docker compose` says of a `${NAME:?…}` whose variable is not set."""


def interpolate(value: Any, given: Mapping[str, str]) -> Any:
    """Replace `${NAME:-default}`, `${NAME:?message}` and `$$` as the Compose specification says."""
    if isinstance(value, dict):
        return {key: interpolate(inner, given) for key, inner in value.items()}
    if isinstance(value, list):
        return [interpolate(inner, given) for inner in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        if given.get(match["name"]):
            return given[match["name"]]
        if match["operator"] == ":?":
            raise MissingVariableError(match["name"])
        return match["word"] or ""

    return re.sub(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?:(?P<operator>:[-?])(?P<word>[^}]*))?\})", replace, value)


def compose(given: Mapping[str, str] = GIVEN) -> dict[str, Any]:
    project: dict[str, Any] = interpolate(yaml.safe_load(COMPOSE.read_text(encoding="utf-8")), given)
    return project


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"]
    return found


def test_follows_the_compose_specification() -> None:
    check = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", COMPOSE]
    answer = subprocess.run(check, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_no_password_has_a_default(name: str) -> None:
    with pytest.raises(MissingVariableError, match=name):
        compose({other: value for other, value in GIVEN.items() if other != name})
    with pytest.raises(MissingVariableError, match=name):
        compose(GIVEN | {name: ""})


def test_no_secret_stands_in_the_file() -> None:
    plain = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    for service in plain["services"].values():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|KEY|AUTH", variable):
                assert "${" in value, variable


def test_only_the_dashboard_is_published_beyond_loopback(services: dict[str, Any]) -> None:
    for name, service in services.items():
        beyond = [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")]
        assert beyond == (["8080:8080"] if name == "web" else []), name
        assert service.get("network_mode") is None, name


def test_every_service_is_watched_restarted_and_pinned(services: dict[str, Any]) -> None:
    assert set(services) == {"neo4j", "redis", "workers", "web", "stand-in"}
    for name, service in services.items():
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name
        assert re.fullmatch(r"[a-z0-9]+:\d+\.\d+[\w.-]*", service["image"]), name
    for name in ("workers", "web"):
        assert services[name]["depends_on"] == {
            "neo4j": {"condition": "service_healthy"},
            "redis": {"condition": "service_healthy"},
        }
    assert services["stand-in"]["profiles"] == ["stand-in"], "no stand-in unless it is asked for"


def test_what_must_outlive_a_container_lies_in_a_volume(services: dict[str, Any]) -> None:
    volumes = compose()["volumes"]
    for name in ("neo4j", "redis", "workers", "web"):
        (mount,) = services[name]["volumes"]
        volume, target = mount.split(":")
        assert volume in volumes
        assert target == "/data"
    assert services["workers"]["volumes"] == services["web"]["volumes"]


@pytest.mark.parametrize("name", ["workers", "web"])
def test_environment_holds_settings_alone(services: dict[str, Any], name: str) -> None:
    known = {environment_name(field) for field in Settings.model_fields}
    assert set(services[name]["environment"]) <= known


def test_neo4j_is_set_up_as_the_embedded_one_is(services: dict[str, Any]) -> None:
    """The image's variables are settings with `_` for `.` and `__` for `_`."""
    source = Path(embedded_neo4j.__file__).read_text(encoding="utf-8")
    environment = services["neo4j"]["environment"]
    chosen = {name.removeprefix("NEO4J_"): value for name, value in environment.items() if name != "NEO4J_AUTH"}
    chosen.pop("PASSWORD")
    assert len(chosen) == 6
    for name, value in chosen.items():
        setting = name.replace("__", "\0").replace("_", ".").replace("\0", "_")
        assert f"{setting}={value}" in source


@contextmanager
def process(command: list[str] | str, environment: Mapping[str, str], directory: Path) -> Iterator[Path]:
    """Run a service's command; yield its log; end it as `docker stop` does."""
    log = directory / "log"
    arguments = shlex.split(command) if isinstance(command, str) else command
    with log.open("wb") as output:
        child = subprocess.Popen(
            arguments, env=dict(environment), cwd=directory, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield log
            assert child.poll() is None, log.read_text()
        finally:
            child.terminate()
            try:
                child.wait(60)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def healthy(service: Mapping[str, Any], environment: Mapping[str, str], directory: Path) -> bool:
    """Run the service's own health check once."""
    kind, *test = service["healthcheck"]["test"]
    command = ["/bin/sh", "-c", *test] if kind == "CMD-SHELL" else test
    answer = subprocess.run(command, env=dict(environment), cwd=directory, capture_output=True, check=False, timeout=60)
    return answer.returncode == 0


def becomes_healthy(service: Mapping[str, Any], environment: Mapping[str, str], directory: Path) -> bool:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if healthy(service, environment, directory):
            return True
        time.sleep(0.5)
    return False


def plain_environment(service: Mapping[str, Any], settings: Settings, home: Path) -> dict[str, str]:
    """The service's environment, with the tests' servers in the place of its neighbours."""
    assert settings.redis_url is not None
    assert settings.neo4j_password is not None
    queue = urlsplit(settings.redis_url.get_secret_value())._replace(path="/13").geturl()  # nobody else's messages
    elsewhere = {
        "CIKG_HOME": str(home),
        "CIKG_NEO4J_URI": settings.neo4j_uri,
        "CIKG_NEO4J_PASSWORD": settings.neo4j_password.get_secret_value(),
        "CIKG_REDIS_URL": queue,
    }
    environment = {name: elsewhere.get(name, value) for name, value in service.get("environment", {}).items()}
    programs = f"{Path(sys.executable).parent}{os.pathsep}/usr/bin{os.pathsep}/bin"
    return environment | {"PATH": programs, "HOME": str(home), "HOSTNAME": socket.gethostname()}


@pytest.mark.parametrize("name", ["workers", "web", "stand-in"])
def test_command_runs_as_a_plain_process_and_its_health_check_sees_it(
    name: str, settings: Settings, tmp_path: Path
) -> None:
    port = str(free_port())
    service = compose(GIVEN | {"CIKG_WEB_PORT": port})["services"][name]
    if name == "stand-in":
        service = yaml.safe_load(yaml.safe_dump(service).replace("8000", port))
    environment = plain_environment(service, settings, tmp_path)
    assert not healthy(service, environment, tmp_path), "a health check that passes without the service proves nothing"
    with process(service["command"], environment, tmp_path) as log:
        assert becomes_healthy(service, environment, tmp_path), log.read_text()


def test_redis_takes_its_configuration(tmp_path: Path) -> None:
    content = compose()["configs"]["redis"]["content"].replace("dir /data", f"dir {tmp_path}")
    (tmp_path / "redis.conf").write_text(content)
    port = free_port()
    command = [str(binary(Settings())), str(tmp_path / "redis.conf"), "--port", str(port), "--bind", "127.0.0.1"]
    with process(command, {"PATH": os.environ["PATH"]}, tmp_path):
        client = redis.Redis(port=port, password=GIVEN["REDIS_PASSWORD"], decode_responses=True)
        with closing(client), closing(redis.Redis(port=port)) as stranger:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                try:
                    client.ping()
                    break
                except redis.exceptions.ConnectionError:
                    time.sleep(0.1)
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("appendonly") == {"appendonly": "yes"}
            with pytest.raises(redis.exceptions.AuthenticationError):
                stranger.ping()

"""Where settings come from, which source wins, and what is said of a wrong one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cikg.errors import SettingsError
from cikg.settings import Settings, environment_name, load_settings, setting_sources, settings_file


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and no setting in the environment."""
    for field in Settings.model_fields:
        monkeypatch.delenv(environment_name(field), raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_services(home: Path, **values: object) -> None:
    home.mkdir(exist_ok=True)
    (home / "services.json").write_text(json.dumps(values))


def test_without_anything_every_server_is_embedded(surroundings: Path) -> None:
    settings = load_settings()
    assert settings.home == surroundings / ".cikg"
    assert settings.embedded == {"neo4j", "redis", "stand-in"}
    assert not settings.home.exists(), "reading settings writes nothing"


def test_the_nearest_file_above_is_read_and_home_lies_beside_it(
    surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (surroundings / "cikg.toml").write_text('log_level = "DEBUG"\n')
    deep = surroundings / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert settings_file() == surroundings / "cikg.toml"
    assert load_settings().log_level == "DEBUG"
    assert load_settings().home == surroundings / ".cikg"


def test_environment_wins_over_file_wins_over_running_services(
    surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = {"neo4j_uri": "bolt://services:1", "redis_url": "redis://services:1", "web_port": 1001}
    write_services(surroundings / ".cikg", **services)
    (surroundings / "cikg.toml").write_text('neo4j_uri = "bolt://file:2"\nredis_url = "redis://file:2"\n')
    monkeypatch.setenv("CIKG_NEO4J_URI", "bolt://environment:3")
    settings = load_settings()
    assert settings.neo4j_uri == "bolt://environment:3"
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == "redis://file:2"
    assert settings.web_port == 1001
    sources = setting_sources(settings)
    assert {name: sources[name] for name in ("neo4j_uri", "redis_url", "web_port", "device")} == {
        "neo4j_uri": "environment",
        "redis_url": "cikg.toml",
        "web_port": "cikg up",
        "device": "default",
    }


def test_the_supervisor_does_not_see_what_runs_already(surroundings: Path) -> None:
    write_services(surroundings / ".cikg", neo4j_uri="bolt://127.0.0.1:1")
    assert load_settings().embedded == {"redis", "stand-in"}
    assert load_settings(with_embedded=False).embedded == {"neo4j", "redis", "stand-in"}


def test_the_llm_keeps_the_names_that_every_tool_reads(surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8000/v1")
    (surroundings / "cikg.toml").write_text('openai_model = "from the file"\nopenai_base_url = "http://file/v1"\n')
    settings = load_settings()
    assert settings.openai_base_url == "http://localhost:8000/v1"
    assert settings.openai_model == "from the file"
    assert environment_name("openai_model") == "OPENAI_MODEL"
    assert environment_name("neo4j_uri") == "CIKG_NEO4J_URI"


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIKG_NEO4J_PASSWORD", "hunter2")
    monkeypatch.setenv("CIKG_REDIS_URL", "redis://:hunter2@host:6379/0")
    monkeypatch.setenv("OPENAI_API_KEY", "hunter2")
    monkeypatch.setenv("CIKG_SECRET_KEY", "hunter2")
    settings = load_settings()
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ('neo4j_url = "bolt://host"\n', "'neo4j_url'"),
        ("web_port = 70000\n", "web_port"),
        ('web_port = "many"\n', "CIKG_WEB_PORT"),
        ("openai_model = 3\n", "OPENAI_MODEL"),
        ("neo4j_uri = bolt://host\n", "cikg.toml cannot be read as TOML"),
        ("\xff", "cikg.toml cannot be read as TOML"),
    ],
)
def test_a_wrong_file_is_named_in_a_sentence(surroundings: Path, file: str, named: str) -> None:
    (surroundings / "cikg.toml").write_bytes(file.encode("latin-1"))
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert named in str(raised.value)
    assert raised.value.cure
    assert "CIKG_OPENAI" not in str(raised.value)


def test_a_wrong_value_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIKG_LLM_CONCURRENCY", "0")
    with pytest.raises(SettingsError, match=r"'llm_concurrency' is not usable.*Correct CIKG_LLM_CONCURRENCY"):
        load_settings()


@pytest.mark.parametrize(
    "url", ["http://host:6379", "host:6379", "redis://", "redis://host/first", "redis://host:99999/0"]
)
def test_an_address_that_is_no_redis_is_refused_without_its_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIKG_REDIS_URL", url.replace("//", "//:a-secret@"))
    with pytest.raises(SettingsError, match=r"'redis_url' is not usable.*Correct CIKG_REDIS_URL") as raised:
        load_settings()
    assert "secret" not in str(raised.value)


def test_damaged_notes_of_the_services_are_named(surroundings: Path) -> None:
    (surroundings / ".cikg").mkdir()
    (surroundings / ".cikg" / "services.json").write_text("{half")
    with pytest.raises(SettingsError, match=r"services\.json cannot be read.*cikg down"):
        load_settings()


def test_every_setting_says_what_it_is_for() -> None:
    assert all(field.description for field in Settings.model_fields.values())

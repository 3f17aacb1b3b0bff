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
    services = {"neo4j_uri": "bolt://services:1", "redis_url": "redis://:x@services:1", "web_port": 1001}
    write_services(surroundings / ".cikg", **services)
    (surroundings / "cikg.toml").write_text('neo4j_uri = "bolt://file:2"\nredis_url = "redis://:x@file:2"\n')
    monkeypatch.setenv("CIKG_NEO4J_URI", "bolt://environment:3")
    settings = load_settings()
    assert settings.neo4j_uri == "bolt://environment:3"
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == "redis://:x@file:2"
    assert settings.web_port == 1001
    sources = setting_sources(settings)
    assert {name: sources[name] for name in ("neo4j_uri", "redis_url", "web_port", "device")} == {
        "neo4j_uri": "environment",
        "redis_url": "cikg.toml",
        "web_port": "cikg up",
        "device": "default",
    }


def test_a_byte_order_mark_is_no_part_of_the_file(surroundings: Path) -> None:
    (surroundings / "cikg.toml").write_text('log_level = "DEBUG"\n', encoding="utf-8-sig")
    assert load_settings().log_level == "DEBUG"


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


@pytest.mark.parametrize(
    ("host", "reached"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("fd00::7", "[fd00::7]"), ("::", "127.0.0.1"), ("pi", "pi")],
)
def test_where_the_dashboard_is_reached(host: str, reached: str) -> None:
    assert Settings(web_host=host, web_port=8080).web_address == f"http://{reached}:8080"
    assert Settings(web_host=host).web_address is None


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


WRONG = {
    "CIKG_MAVEN_URL": (["file:///etc", "host/maven2"], "like https://host/maven2"),
    "CIKG_REDIS_URL": (["redis://queue.example:6379", "redis://10.0.0.7/0"], "needs a password"),
    "OPENAI_BASE_URL": (
        ["file:///etc/passwd", "localhost:8000/v1", "http://", "http://a b/v1", "ftp://host", "http://me:secret@host"],
        "like http://localhost:8000/v1",
    ),
    "CIKG_EMBEDDING_BASE_URL": (["gopher://host"], "like http://localhost:8000/v1"),
    "CIKG_EMBEDDER": (["lexical:many", "lexical:" + "9" * 5_000, "openai:", "word2vec"], "`lexical`"),
    "CIKG_LLM_TIMEOUT": (["0", "-1", "nan", "inf", "soon"], "write a number|a finite number|greater than 0"),
    "CIKG_LLM_CONCURRENCY": (["0", "1.5", "many", "9" * 5_000], "whole number|integer|greater than or equal to 1"),
    "CIKG_LLM_PRICES": (
        ["cheap", "[1", '{"m": {"input": 1}}', '{"m": 3}', "[]"],
        'not valid JSON, such as .*"your-model": |m: output: field required|m: input should|valid dictionary',
    ),
    "CIKG_TASK_TIME_LIMIT": (["inf"], "finite number"),
    "CIKG_SWEEP_SECONDS": (["inf"], "finite number"),
    "CIKG_WEB_HOST": (["two words"], "host name or an IP address"),
    "CIKG_WEB_PORT": (["0", "65536", "http"], "whole number|greater|less"),
    "CIKG_UPLOAD_MEGABYTES": (["2 GB", "0"], "whole number|greater"),
    "CIKG_IMPORT_FOLDERS": (["data", "/data, films", "~/data"], "full paths"),
    "CIKG_API_RATE_LIMIT": (["many", "0 per minute", "600", "600 per fortnight"], "like `600 per minute`"),
    "CIKG_CONSOLE": (["perhaps"], "write true or false$|write true or false. Correct"),
    "CIKG_CONSOLE_SECONDS": (["601", "nan"], "less than|finite"),
    "CIKG_LOG_LEVEL": (["LOUD"], "DEBUG, INFO, WARNING or ERROR"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_named_with_what_was_expected(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values, expected = WRONG[name]
    for value in values:
        monkeypatch.setenv(name, value)
        with pytest.raises(SettingsError, match=rf"is not usable: .*({expected})") as raised:
            load_settings()
        assert raised.value.cure == (
            f"Correct {name} in the environment or {name.removeprefix('CIKG_').lower()} in cikg.toml"
        )
        assert "secret" not in str(raised.value)


RIGHT = {
    "OPENAI_BASE_URL": ["https://api.example/v1", "HTTP://127.0.0.1:1/", "http://[::1]:8000/v1", "http://llm"],
    "CIKG_REDIS_URL": ["redis://localhost", "redis://127.0.0.2:1/0", "rediss://[::1]/3", "redis://me:x@queue:6379/0"],
    "CIKG_EMBEDDER": ["lexical", "lexical:128", "openai:text-embedding-3-small", "sentence-transformers:/m/mini"],
    "CIKG_IMPORT_FOLDERS": ["/data", "/data, /more data/films,", " "],
    "CIKG_API_RATE_LIMIT": ["600 per minute", "10/second", "1 per 5 minutes", "9/second; 300 per hour"],
    "CIKG_LOG_LEVEL": ["debug", "WARNING"],
    "CIKG_LLM_PRICES": ['{"m": {"input": 1, "output": 2}}', "{}"],
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_can_be_meant_is_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in RIGHT[name]:
        monkeypatch.setenv(name, value)
        load_settings()


def test_an_empty_variable_says_nothing(surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (surroundings / "cikg.toml").write_text('openai_model = "from the file"\n')
    for field in Settings.model_fields:
        monkeypatch.setenv(environment_name(field), "")
    settings = load_settings()
    assert (settings.home, settings.openai_base_url) == (surroundings / ".cikg", None)
    assert settings.openai_model == "from the file"
    assert setting_sources(settings)["openai_model"] == "cikg.toml"


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

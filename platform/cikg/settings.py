"""Settings: environment, then `cikg.toml`, then what the embedded services wrote, then defaults.

Names: `CIKG_NEO4J_URI` in the environment is `neo4j_uri` in `cikg.toml`. The LLM keeps the names that every
OpenAI-compatible tool reads: `OPENAI_BASE_URL`, `OPENAI_API_KEY`, `OPENAI_MODEL`.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import platformdirs
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableError

from cikg.errors import SettingsError

SETTINGS_FILE = "cikg.toml"
SERVICES_FILE = "services.json"

_PRICES = '{"your-model": {"input": 0.5, "output": 1.5, "batch": 0.5}}'
_RATE = r"[1-9]\d{0,8} ?(/|per) ?([1-9]\d{0,4} ?)?(second|minute|hour|day)s?"
_WEB_ADDRESS = r"(?i:https?)://[^\s/?#@]+(/\S*)?"
_SPELLINGS = {
    "maven_url": (_WEB_ADDRESS, "write it like https://host/maven2"),
    "openai_base_url": (_WEB_ADDRESS, "write it like http://localhost:8000/v1"),
    "embedding_base_url": (_WEB_ADDRESS, "write it like http://localhost:8000/v1"),
    "embedder": (
        r"lexical(:\d{1,4})?|(sentence-transformers|openai):.+",
        "write `lexical`, `sentence-transformers:NAME` or `openai:MODEL`",
    ),
    "web_host": (r"\S+", "write a host name or an IP address, such as 127.0.0.1"),
    "import_folders": (r"\s*(/[^,]*(,\s*/[^,]*)*)?,?\s*", "write full paths, which begin with /"),
    "api_rate_limit": (rf"{_RATE}( ?; ?{_RATE})*", "write it like `600 per minute`"),
    "log_level": (r"(?i:DEBUG|INFO|WARNING|ERROR)", "choose DEBUG, INFO, WARNING or ERROR"),
}
"""Fields of text: what they look like, and how that is said. Whether a server answers is found by who asks it."""
_KINDS = {
    "bool_parsing": "write true or false",
    "int_parsing": "write a whole number",
    "float_parsing": "write a number",
}
"""What is expected where Pydantic cannot read a value, by its name for that."""


def settings_file() -> Path | None:
    """The nearest `cikg.toml` at or above the working directory, or None."""
    directory = Path.cwd().resolve()
    for candidate in (directory, *directory.parents):
        if (candidate / SETTINGS_FILE).is_file():
            return candidate / SETTINGS_FILE
    return None


def _default_home() -> Path:
    found = settings_file()
    return (found.parent if found else Path.cwd()) / ".cikg"


class Price(BaseModel):
    """Prices of one model for a million tokens each. None is built in, since providers change them."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    batch: float = Field(0.5, ge=0, le=1, description="Factor on both for calls that go through the provider's batches")

    def cost(self, prompt_tokens: float, completion_tokens: float, *, batch: bool = False) -> float:
        """The cost of so many tokens."""
        factor = self.batch if batch else 1.0
        return factor * (self.input * prompt_tokens + self.output * completion_tokens) / 1_000_000


class Settings(BaseSettings):
    """All settings of the platform.

    A field with `None` for a server's address means: use the embedded server of this `home`.
    """

    model_config = SettingsConfigDict(
        env_prefix="CIKG_", env_ignore_empty=True, extra="forbid", populate_by_name=True, allow_inf_nan=False
    )

    home: Path = Field(
        default_factory=_default_home, description="Directory for data, snapshots, models, logs and locks"
    )
    cache: Path = Field(
        default_factory=lambda: Path(platformdirs.user_cache_dir("cikg")),
        description="Directory for what set-up downloads (the embedded Neo4j and Redis); shared by every home",
    )
    maven_url: str | None = Field(
        None, description="Maven repository to download the embedded Neo4j and Redis from, instead of the public one"
    )
    neo4j_uri: str | None = Field(None, description="Bolt address of your own Neo4j")
    neo4j_user: str = Field("neo4j", description="Its user")
    neo4j_password: SecretStr | None = Field(None, description="Its password")
    neo4j_database: str = Field("neo4j", description="Its database")
    redis_url: SecretStr | None = Field(None, description="redis:// or rediss:// address of your own Redis")
    openai_base_url: str | None = Field(
        None,
        validation_alias=AliasChoices("OPENAI_BASE_URL", "openai_base_url"),
        description="Base URL of any server with OpenAI's API; if unset, the embedded stand-in answers",
    )
    openai_api_key: SecretStr | None = Field(
        None, validation_alias=AliasChoices("OPENAI_API_KEY", "openai_api_key"), description="Its key"
    )
    openai_model: str | None = Field(
        None, validation_alias=AliasChoices("OPENAI_MODEL", "openai_model"), description="Model to ask"
    )
    embedder: str = Field(
        "lexical",
        description="Text embedder: `lexical`, `sentence-transformers:NAME` or `openai:MODEL`",
    )
    embedding_base_url: str | None = Field(
        None, description="Base URL of the server for `openai:MODEL`, if it differs from OPENAI_BASE_URL"
    )
    llm_timeout: float = Field(60.0, gt=0, description="Seconds to wait for an answer from the LLM")
    llm_concurrency: int = Field(16, ge=1, le=1024, description="Concurrent requests per worker")
    llm_retries: int = Field(2, ge=0, le=10, description="Retries of a request that failed in transit")
    llm_requests_per_minute: int | None = Field(None, ge=1, description="Requests per minute across all workers")
    llm_tokens_per_minute: int | None = Field(None, ge=1, description="Tokens per minute across all workers")
    llm_prices: dict[str, Price] = Field(
        default_factory=dict,
        description=f"Prices per million tokens, by model, and the factor of batches; as JSON: `{_PRICES}`",
    )
    llm_currency: str = Field("USD", description="Currency of the prices")
    task_time_limit: float = Field(1800.0, gt=0, description="Time limit of one worker task, in seconds")
    lease_seconds: float = Field(
        15.0, gt=0, description="Seconds after which the subjects of a silent worker are released"
    )
    sweep_seconds: float = Field(30.0, gt=0, description="Seconds between a worker's sweeps for work without a message")
    queue_visibility_timeout: int = Field(
        3600, gt=0, description="Seconds after which Redis redelivers an unfinished task to another worker"
    )
    web_host: str = Field("127.0.0.1", description="Address the dashboard listens on")
    web_hosts: str = Field("", description="Additional host names it answers to, comma-separated")
    web_https: bool = Field(False, description="Whether browsers reach it only over HTTPS, through a proxy")
    web_port: int | None = Field(None, ge=1, le=65535, description="Its port; if unset, a free one is chosen")
    upload_megabytes: int = Field(
        2048, ge=1, le=1_000_000, description="Maximum size of an upload in megabytes; for a zip archive, unpacked"
    )
    import_folders: str = Field("", description="Server folders that the dashboard may import from, comma-separated")
    api_rate_limit: str = Field("600 per minute", description="API rate limit per caller")
    console: bool = Field(False, description="Whether users may run their own Cypher in the dashboard and the API")
    console_seconds: float = Field(30.0, gt=0, le=600, description="Time limit of such a query, in seconds")
    secret_key: SecretStr | None = Field(
        None, description="Key that signs sessions; generated for the embedded services"
    )
    device: str = Field("auto", description="Device for training and sentence-transformers: auto, cpu, cuda, cuda:1, …")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: SecretStr | None) -> SecretStr | None:
        """Refuse what no client takes; the address is not repeated, since it may hold a password."""
        if url is not None:
            parts = urlsplit(url.get_secret_value())
            if parts.scheme not in ("redis", "rediss") or not parts.hostname or parts.port == 0:
                raise ValueError("write it like redis://:password@host:6379/0")
            if parts.path.strip("/") and not parts.path.strip("/").isdecimal():
                raise ValueError("it ends with the number of a database, as in redis://:password@host:6379/0")
            if not (parts.password or _is_this_machine(parts.hostname)):
                raise ValueError("on another machine Redis needs a password, as in redis://:password@host:6379/0")
        return url

    @field_validator(*_SPELLINGS)
    @classmethod
    def _is_spelled(cls, text: str | None, info: ValidationInfo) -> str | None:
        pattern, expected = _SPELLINGS[str(info.field_name)]
        if text is not None and not re.fullmatch(pattern, text):
            raise ValueError(expected)
        return text

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment; `load_settings` adds the file and the embedded services below."""
        return init_settings, env_settings

    @property
    def embedded(self) -> frozenset[str]:
        """Names of the services that the supervisor of this home has to run itself."""
        given = {"neo4j": self.neo4j_uri, "redis": self.redis_url, "stand-in": self.openai_base_url}
        return frozenset(name for name, address in given.items() if address is None)

    @property
    def web_address(self) -> str | None:
        """Where this machine finds the dashboard; None while its port is not known."""
        if self.web_port is None:
            return None
        host = "127.0.0.1" if self.web_host in ("0.0.0.0", "::") else self.web_host  # noqa: S104
        return f"http://{in_address(host)}:{self.web_port}"

    @property
    def snapshots(self) -> Path:
        """Directory of exported snapshots."""
        return self.home / "snapshots"

    @property
    def adjacency(self) -> Path:
        """Directory of edges that PyG's loaders read from disk."""
        return self.home / "adjacency"

    @property
    def runs(self) -> Path:
        """Directory of training runs: weights, curves, manifests."""
        return self.home / "runs"

    @property
    def uploads(self) -> Path:
        """Directory of imports that are being prepared, with the files that were sent for them."""
        return self.home / "uploads"

    @property
    def logs(self) -> Path:
        """Directory of the services' logs."""
        return self.home / "logs"


def in_address(host: str) -> str:
    """A host as it stands in an address: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def environment_name(field: str) -> str:
    """The environment variable that sets a field."""
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"CIKG_{field.upper()}"


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Lowest(PydanticBaseSettingsSource):
    """A dictionary as the source of lowest priority."""

    def __init__(self, settings_cls: type[BaseSettings], values: dict[str, Any]) -> None:
        super().__init__(settings_cls)
        self.values = values

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return self.values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self.values


def _build(values: dict[str, Any]) -> Settings:
    # A field that two sources give by different names (OPENAI_BASE_URL, openai_base_url) would count as an extra one.
    given = {name: value for name, value in values.items() if not os.environ.get(environment_name(name))}

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *args: Any, **sources: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            above = super().settings_customise_sources(settings_cls, *args, **sources)
            return (*above, _Lowest(settings_cls, given))

    try:
        # As a plain `Settings` they can be sent to another process; a class of this function's own could not.
        return Settings.model_construct(**dict(Layered()))
    except ValidationError as error:
        first = error.errors()[0]
        name, *within = map(str, first["loc"])
        expected = _KINDS.get(first["type"]) or _lowered(first["msg"])
        raise _unusable(name.lower(), ": ".join([*within, expected])) from None
    except UnreadableError as error:  # a field that is written as JSON
        raise _unusable(re.findall(r'"(\w+)"', str(error))[0], f"it is not valid JSON, such as {_PRICES}") from None


def _lowered(said: str) -> str:
    """What Pydantic says, within a sentence."""
    said = said.removeprefix("Value error, ")
    return said[:1].lower() + said[1:]


def _unusable(name: str, reason: str) -> SettingsError:
    return SettingsError(
        f"the setting {name!r} is not usable: {reason}",
        cure=f"Correct {environment_name(name)} in the environment or {name} in {SETTINGS_FILE}",
    )


def _read_file() -> dict[str, Any]:
    path = settings_file()
    if path is None:
        return {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read as TOML: {error}", cure="Correct or remove it") from None
    unknown = sorted(set(values) - set(Settings.model_fields))
    if unknown:
        raise SettingsError(
            f"{path} has an unknown setting {unknown[0]!r}",
            cure="`cikg doctor` lists every setting with its meaning",
        )
    return values


def load_settings(*, with_embedded: bool = True) -> Settings:
    """Read the settings.

    Args:
        with_embedded: take the addresses and passwords of running embedded services (`cikg up`) for every service
            that is not configured. The supervisor itself passes False: it must see what it has to start.

    Raises:
        SettingsError: a value cannot be used; names it.
    """
    values = _read_file()
    settings = _build(values)
    if not with_embedded:
        return settings
    services = settings.home / SERVICES_FILE
    try:
        running = json.loads(services.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return settings
    except (OSError, ValueError) as error:
        raise SettingsError(f"{services} cannot be read: {error}", cure="Run `cikg down`, then `cikg up`") from None
    return _build({**running, **values})


def setting_sources(settings: Settings) -> dict[str, str]:
    """Where the value of each setting came from: environment, `cikg.toml`, embedded services, or default."""
    in_file = _read_file()
    try:
        running = json.loads((settings.home / SERVICES_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        running = {}

    def source(name: str) -> str:
        if os.environ.get(environment_name(name)):
            return "environment"
        if name in in_file:
            return SETTINGS_FILE
        return "cikg up" if name in running else "default"

    return {name: source(name) for name in Settings.model_fields}

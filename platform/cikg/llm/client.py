"""The client for anything that speaks OpenAI's API: structured answers, bounded time, named errors.

OpenAI's own client says where to ask and with what headers, and its errors are used; but the requests go through
aiohttp directly. What it does for each in between takes longer than all else that a worker does for an answer.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
import openai
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json

from cikg.errors import AuthenticationError, NotFoundError, ServiceError, UnreachableError
from cikg.llm.answers import (
    LONGEST_ANSWER,
    Answer,
    BusyError,
    InvalidAnswerError,
    LengthError,
    RefusedError,
    Schema,
    Usage,
    address_and_model,
    first_problem,
    read,
)
from cikg.llm.prompts import Prompt
from cikg.settings import Settings

_LONGEST_PAUSE = 8.0
"""Seconds between two attempts of a request that failed on its way."""
_LONGEST_ERROR = 500
"""Characters of a server's error that are shown."""
_REFUSALS: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
}
"""What OpenAI's client calls the statuses that are told apart."""


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Tokens(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Completion(BaseModel):
    """What is read of a chat completion. OpenAI's own class takes longer to fill than the whole request."""

    model: str
    choices: list[_Choice] = Field(min_length=1)
    usage: _Tokens | None = None


class Client:
    """One connection pool. It belongs to the event loop that it is first used in.

    Args:
        settings: address, key and time-outs.
        model: the model to ask, `settings.openai_model` unless given.

    Raises:
        UnreachableError: no LLM is configured.
        SettingsError: no model is named.
    """

    def __init__(self, settings: Settings, model: str | None = None) -> None:
        self._address, configured = address_and_model(settings)
        self.model = model or configured
        self._timeout, self._retries = settings.llm_timeout, settings.llm_retries
        self._price = settings.llm_prices.get(self.model)
        self._mode = "json_schema"
        self._refused_parameters: set[str] = set()
        key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else "none"
        with openai.OpenAI(base_url=self._address, api_key=key) as client:
            self._url = str(client.base_url.join("chat/completions"))
            told = {name: value for name, value in client.default_headers.items() if isinstance(value, str)}
        # Without what it tells of this machine: every header is work at every request.
        self._headers = {name: text for name, text in told.items() if not name.startswith("X-Stainless")}
        self._headers["Authorization"] = f"Bearer {key}"
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def complete(
        self,
        prompt: Prompt,
        schema: type[Schema],
        parameters: Mapping[str, Any] | None = None,
        usage: Usage | None = None,
    ) -> Answer[Schema]:
        """Ask once, and once more if the answer does not follow the schema.

        Args:
            prompt: what to ask.
            schema: the shape of the answer; its class name is sent as the schema's name.
            parameters: sampling parameters, such as `temperature`; left out where a model refuses them.
            usage: the cost is added to this, whether or not an answer comes.

        Raises:
            AnswerError: an answer came and cannot be used; carries the raw text.
            UnreachableError: no connection.
            AuthenticationError: the key is refused.
            NotFoundError: the server has no such model.
            BusyError: the provider is asked too often.
            ServiceError: no answer in time, or the server's own error.
        """
        usage, parameters = Usage() if usage is None else usage, parameters or {}
        messages = [{"role": role, "content": text} for role, text in prompt.messages]
        text, model, finish = await self._ask(messages, schema, parameters, usage)
        try:
            parsed = read(schema, text)
        except ValidationError as problem:
            repair = [{"role": "assistant", "content": text}, {"role": "user", "content": _complaint(problem)}]
            text, model, finish = await self._ask([*messages, *repair], schema, parameters, usage)
            try:
                parsed = read(schema, text)
            except ValidationError as still:
                raise InvalidAnswerError(
                    f"the answer does not follow the schema {schema.__name__}: {first_problem(still)}", text
                ) from None
        return Answer(parsed, text, model, usage, finish)

    async def _ask(
        self, messages: list[dict[str, str]], schema: type[BaseModel], parameters: Mapping[str, Any], usage: Usage
    ) -> tuple[str, str, str]:
        """One answer as (text, model, finish); its cost is added to `usage` whether or not it can be used."""
        answer = await self._send(messages, schema, parameters, usage)
        try:
            completion = Completion.model_validate_json(answer)
        except ValidationError:
            text = answer.decode(errors="replace")
            if '"choices"' not in text:  # it says something else, and will to the next question
                said = " ".join(text[:_LONGEST_ERROR].split())
                raise ServiceError(
                    f"the LLM at {self._address} answers with no chat completion: {said!r}",
                    cure="Correct OPENAI_BASE_URL, or see what its server says",
                ) from None
            raise InvalidAnswerError("the server's answer is not a chat completion", text) from None
        if completion.usage is not None:
            usage.prompt_tokens += completion.usage.prompt_tokens
            usage.completion_tokens += completion.usage.completion_tokens
            if self._price is not None:
                usage.cost += self._price.cost(completion.usage.prompt_tokens, completion.usage.completion_tokens)
        return (*content(completion), completion.choices[0].finish_reason or "stop")

    async def _send(
        self, messages: list[dict[str, str]], schema: type[BaseModel], parameters: Mapping[str, Any], usage: Usage
    ) -> bytes:
        """Send a request, again where it failed on its way, and without what the server does not know."""
        failures = 0
        while True:
            mode, dropped = self._mode, frozenset(self._refused_parameters)
            usage.calls += 1
            began = time.monotonic()
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._post(
                        {
                            "model": self.model,
                            "messages": messages if mode == "json_schema" else _with_schema(messages, schema),
                            "response_format": response_format(mode, schema),
                            **{name: value for name, value in parameters.items() if name not in dropped},
                        }
                    )
            except openai.BadRequestError as error:
                if not self._adapt(error, mode, dropped, parameters):
                    raise ServiceError(f"the LLM refuses the request: {_said(error)}") from None
                continue
            except (openai.OpenAIError, TimeoutError, ValueError) as error:
                failures += 1
                if failures > self._retries or not _passing(error):
                    raise named_error(error, f"the LLM at {self._address}", self.model) from None
            finally:
                usage.latency += time.monotonic() - began
            await asyncio.sleep(min(_LONGEST_PAUSE, 0.5 * 2 ** (failures - 1)) * random.uniform(0.75, 1.0))  # noqa: S311

    async def _post(self, body: dict[str, Any]) -> bytes:
        """One request, and what was answered.

        Raises:
            openai.OpenAIError: nothing came, or not what was asked for.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._headers,
                connector=aiohttp.TCPConnector(limit=0, ssl=httpx2.create_ssl_context()),  # who asks has slots
                timeout=aiohttp.ClientTimeout(),  # none: who sends has one
                cookie_jar=aiohttp.DummyCookieJar(),  # an API sets none, and looking for them is work at every request
                proxy=_proxy(self._url),
            )
        try:
            sent = self._session.post(self._url, data=to_json(body), allow_redirects=False)
            async with sent as answer:
                told = await answer.read()
        except aiohttp.ClientError as error:
            raise openai.OpenAIError(str(error)) from error
        if not 200 <= answer.status < 300:
            raise self._refusal(answer.status, answer.headers.get("retry-after", ""), told)
        return told

    def _refusal(self, status: int, retry_after: str, told: bytes) -> openai.APIStatusError:
        """What a server says in an answer's place, as OpenAI's client would raise it."""
        request = httpx2.Request("POST", self._url)
        answer = httpx2.Response(status, headers={"retry-after": retry_after}, content=told, request=request)
        try:
            body = answer.json()
            body = body.get("error", body)
        except (ValueError, AttributeError):
            body = None
        kind = _REFUSALS.get(status, openai.APIStatusError)
        return kind(answer.text[:_LONGEST_ERROR], response=answer, body=body)

    def _adapt(
        self, error: openai.BadRequestError, mode: str, dropped: frozenset[str], parameters: Mapping[str, Any]
    ) -> bool:
        """Remember what the server does not know; False when the refusal is about something else."""
        said = _said(error)
        if mode == "json_schema" and ("json_schema" in said or "response_format" in said):
            self._mode = "json_object"
            return True
        unknown = {name for name in set(parameters) - dropped if name == error.param or f"'{name}'" in said}
        self._refused_parameters |= unknown
        return bool(unknown)


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for an address. aiohttp would look it up at every request, in a thread."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)


def content(completion: Completion | ChatCompletion) -> tuple[str, str]:
    """The text of a completion, and the model that wrote it.

    Raises:
        RefusedError: the model or the provider's filter declined.
        LengthError: it was cut off, or is longer than any answer is.
    """
    choice = completion.choices[0]
    text = choice.message.content or ""
    if choice.message.refusal or choice.finish_reason == "content_filter":
        raise RefusedError("the model refused to answer", choice.message.refusal or text)
    if choice.finish_reason == "length":
        raise LengthError("the answer was cut off at the model's limit", text)
    if len(text) > LONGEST_ANSWER:
        raise LengthError(f"the answer has {len(text):,} characters, more than {LONGEST_ANSWER:,}", text)
    return text, completion.model


def named_error(
    error: Exception,
    where: str,
    model: str,
    model_setting: str = "OPENAI_MODEL",
    address_setting: str = "OPENAI_BASE_URL",
) -> ServiceError | NotFoundError:
    """An error of OpenAI's client, or of the HTTP client under it, as one of ours.

    Args:
        error: what the client raised.
        where: the server in words, such as `the LLM at http://…`.
        model: the model that was asked.
        model_setting: the setting that names it.
        address_setting: the setting that names the server.
    """
    match error:
        case openai.OpenAIError() | httpx2.HTTPError() | TimeoutError() if _took_too_long(error):
            return ServiceError(f"{where} did not answer in time", cure="Raise CIKG_LLM_TIMEOUT if it is only slow")
        case openai.OpenAIError() | httpx2.HTTPError() if not isinstance(error, openai.APIStatusError):
            return UnreachableError(f"{where} does not answer", cure=f"Start it, or correct {address_setting}")
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            return AuthenticationError(f"{where} refuses the key", cure="Set OPENAI_API_KEY")
        case openai.NotFoundError():
            cure = f"Set {model_setting} to one that it serves"
            return NotFoundError(f"{where} has no model {model!r}", cure=cure)
        case openai.RateLimitError() if error.code != "insufficient_quota":
            cure = "Set CIKG_LLM_REQUESTS_PER_MINUTE and CIKG_LLM_TOKENS_PER_MINUTE to what the provider allows"
            return BusyError(f"{where} receives more requests than it allows", _seconds_to_wait(error), cure)
    return ServiceError(f"{where} failed: {_said(error)}")


def _took_too_long(error: BaseException | None) -> bool:
    """Whether an error came of waiting. The HTTP client calls a refused or lost connection a timeout, too."""
    while error is not None and not isinstance(error, TimeoutError):
        error = error.__cause__ or error.__context__
    return error is not None


def _passing(error: Exception) -> bool:
    """Whether the same request may well succeed when it is sent again."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code >= 500 or error.status_code in (408, 409)
    return isinstance(error, (openai.OpenAIError, TimeoutError))


def _seconds_to_wait(error: openai.APIStatusError) -> float | None:
    """The `Retry-After` of an answer, in seconds or as a date; None where there is none that can be read."""
    given = error.response.headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(given))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(given) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


@cache
def response_format(mode: str, schema: type[BaseModel]) -> dict[str, Any]:
    """What a request says about the shape of its answer: the schema, or in mode `json_object` that it is JSON."""
    if mode == "json_object":
        return {"type": "json_object"}
    described = {"name": schema.__name__, "schema": schema.model_json_schema(), "strict": True}
    return {"type": "json_schema", "json_schema": described}


def _with_schema(messages: list[dict[str, str]], schema: type[BaseModel]) -> list[dict[str, str]]:
    """JSON mode knows no schema: the system message says it."""
    described = json.dumps(schema.model_json_schema(), separators=(",", ":"))
    first = messages[0]["content"] + f"\n\nThe JSON schema {schema.__name__}:\n{described}"
    return [{"role": messages[0]["role"], "content": first}, *messages[1:]]


def _complaint(problem: ValidationError) -> str:
    said = first_problem(problem)
    return f"This does not follow the schema: {said}. Answer again, with the corrected JSON object alone."


def _said(error: Exception) -> str:
    body = getattr(error, "body", None)
    message = body.get("message") if isinstance(body, dict) else None
    return str(message or error).rstrip(".")[:_LONGEST_ERROR]

"""The stand-in's HTTP side: OpenAI's endpoints and error shape over the rules of `wording`."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import struct
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiohttp import web

from cikg.llm.standin.api import ApiError, json_response
from cikg.llm.standin.batches import LARGEST_FILE, Batches
from cikg.llm.standin.faults import Fault, FaultBook, parse_faults
from cikg.llm.standin.rules import RULES
from cikg.llm.standin.wording import (
    EMBEDDING_SIZE,
    UnreadableRequestError,
    count_prompt_tokens,
    count_tokens,
    embed,
)

MODEL = "stand-in"

_NUMBER = re.compile(r"(?<=[\[ ])-?\d+(?=[,\]}])")
"""A number of a JSON text, and not one within a string of it that reads like a list."""
_LATE = 0.0005
"""Seconds by which asyncio, whose clock counts milliseconds, wakes a sleeper late on average."""
_Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]


class StandIn:
    """The endpoints.

    Args:
        key: bearer key that requests have to carry; None asks for none.
        latency_ms: milliseconds from a request to its answer, and that a batch takes at least. A request's header
            `x-standin-latency-ms` or query parameter `latency_ms` overrides it.
        fault: faults for every request, as `faults` spells them. The header `x-standin-fault` goes first.

    Raises:
        ValueError: `fault` is misspelt.
    """

    def __init__(self, key: str | None = None, latency_ms: float = 0, fault: str = "") -> None:
        self._key = key
        self._latency_ms = latency_ms
        self._faults = FaultBook(parse_faults(fault))
        self._batches = Batches(lambda body, met: _complete(body, _digest(body), met))

    def application(self) -> web.Application:
        """The server, to be run once."""
        batches = self._batches
        app = web.Application(client_max_size=LARGEST_FILE)
        for method, path, endpoint in (
            ("POST", "/v1/chat/completions", self.chat),
            ("POST", "/v1/embeddings", self.embeddings),
            ("GET", "/v1/models", self.models),
            ("GET", "/v1/models/{model}", self.model),
            ("POST", "/v1/files", batches.upload),
            ("GET", "/v1/files/{file}", batches.file),
            ("GET", "/v1/files/{file}/content", batches.content),
            ("GET", "/v1/batches", batches.listed),
            ("POST", "/v1/batches", self.begin_batch),
            ("GET", "/v1/batches/{batch}", batches.retrieve),
            ("POST", "/v1/batches/{batch}/cancel", batches.cancel),
        ):
            app.router.add_route(method, path, _told(endpoint, self._check_key))
        app.router.add_get("/healthz", self.health)
        app.router.add_route("*", "/{path:.*}", _told(_unknown))
        return app

    async def health(self, _request: web.Request) -> web.Response:
        """Whether it runs."""
        return json_response({"status": "ok", "model": MODEL})

    async def models(self, _request: web.Request) -> web.Response:
        """The one model."""
        return json_response({"object": "list", "data": [_MODEL_ROW]})

    async def model(self, request: web.Request) -> web.Response:
        """Describe it."""
        _check_model(request.match_info)
        return json_response(_MODEL_ROW)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """Answer a prompt by rule."""
        came = time.monotonic()
        body = await _read_body(request)
        digest = _digest(body)
        fault = self._fault(request, body, digest)
        completion = _complete(body, digest, fault)
        await self._wait(request, came)
        await _meet_before_answer(fault)
        return await _send(request, completion, fault)

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        """Vectors of texts."""
        came = time.monotonic()
        body = await _read_body(request)
        fault = self._fault(request, body, _digest(body))
        await self._wait(request, came)
        await _meet_before_answer(fault)
        _check_model(body)
        texts = _read_texts(body)
        tokens = sum(count_tokens(text) for text in texts)
        packed = body.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": index, "embedding": _pack(embed(text)) if packed else embed(text)}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return json_response({"object": "list", "model": MODEL, "data": data, "usage": usage})

    async def begin_batch(self, request: web.Request) -> web.Response:
        """Take a batch in."""
        body = await _read_body(request)
        latency_ms = self.latency(request)

        def choose(question: dict[str, Any]) -> Fault | None:
            return self._fault(request, question, _digest(question))

        return self._batches.create(body, choose, latency_ms / 1000)

    def latency(self, request: web.Request) -> float:
        """Milliseconds until a request is answered."""
        asked = request.headers.get("x-standin-latency-ms") or request.query.get("latency_ms")
        try:
            return float(asked) if asked else self._latency_ms
        except ValueError:
            raise ApiError(400, f"{asked!r} is not a number of milliseconds.", param="latency_ms") from None

    def asked_fault(self, request: web.Request, _body: dict[str, Any]) -> str:
        """The fault that a request asks for, as `faults` spells it."""
        return request.headers.get("x-standin-fault", "")

    def _check_key(self, request: web.Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._key is not None and not hmac.compare_digest(given.encode(), self._key.encode()):
            raise ApiError(401, "Incorrect API key provided to the stand-in.", code="invalid_api_key")

    async def _wait(self, request: web.Request, came: float) -> None:
        left = came + self.latency(request) / 1000 - time.monotonic() - _LATE
        if left > 0:
            await asyncio.sleep(left)

    def _fault(self, request: web.Request, body: dict[str, Any], digest: str) -> Fault | None:
        try:
            asked = parse_faults(self.asked_fault(request, body))
        except ValueError as error:
            raise ApiError(400, f"{error}.", param="x-standin-fault") from None
        if not asked and not self._faults.standing:
            return None
        return self._faults.choose(asked, json.dumps(body, ensure_ascii=False), digest)


def _told(endpoint: _Endpoint, check: Callable[[web.Request], None] = lambda _request: None) -> _Endpoint:
    """An endpoint that checks the request first, and tells what is wrong in OpenAI's shape."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            check(request)
            return await endpoint(request)
        except ApiError as error:
            return json_response(error.body, error.status, error.headers)
        except web.HTTPRequestEntityTooLarge:
            return json_response(ApiError(413, f"The body is larger than {LARGEST_FILE:,} bytes.").body, 413)

    return answer


async def _unknown(request: web.Request) -> web.StreamResponse:
    raise ApiError(404, f"The stand-in has no such endpoint: {request.method} {request.path}")


_MODEL_ROW = {"id": MODEL, "object": "model", "created": 0, "owned_by": "cikg"}


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


async def _read_body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        raise ApiError(400, "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise ApiError(400, "The body is not a JSON object.")
    return body


def _check_model(body: Mapping[str, Any]) -> None:
    if body.get("model") != MODEL:
        raise ApiError(
            404, f"The model {body.get('model')!r} does not exist; this is {MODEL!r}.", code="model_not_found"
        )


async def _meet_before_answer(fault: Fault | None) -> None:
    """Show the faults that come instead of, or before, an answer."""
    match fault:
        case Fault(name="rate-limit", argument=seconds):
            headers = {"retry-after": str(seconds)}
            raise ApiError(429, "Rate limit reached.", kind="requests", code="rate_limit_exceeded", headers=headers)
        case Fault(name="server-error"):
            raise ApiError(500, "The server had an error while processing your request.", kind="server_error")
        case Fault(name="hang", argument=seconds):
            await asyncio.sleep(seconds)


def _complete(body: dict[str, Any], digest: str, fault: Fault | None) -> dict[str, Any]:
    """The completion for a request, spoilt where a fault asks for that."""
    _check_model(body)
    if body.get("stream") or body.get("n", 1) != 1 or body.get("tools"):
        raise ApiError(400, "The stand-in neither streams, nor gives several choices, nor calls tools.")
    messages = _read_messages(body)
    name = _schema_name(body, messages)
    try:
        answer = RULES[name](messages)
    except UnreadableRequestError as error:
        raise ApiError(400, f"The stand-in cannot answer as {name}: {error}.", param="messages") from None
    content: str | None = _spoil(json.dumps(answer, ensure_ascii=False), fault)
    finish_reason, refusal = "length" if fault and fault.name == "truncated" else "stop", None
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if isinstance(limit, int) and content and count_tokens(content) > limit:
        content, finish_reason = content.encode()[: 4 * limit].decode(errors="ignore"), "length"
    if fault and fault.name == "refusal":
        content, refusal = None, "I cannot help with that."
    prompt_tokens, completion_tokens = count_prompt_tokens(messages), count_tokens(content or refusal or "")
    return {
        "id": f"chatcmpl-{digest[:24]}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL,
        "system_fingerprint": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": refusal},
                "logprobs": None,
                "finish_reason": finish_reason,
            }
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


def _spoil(content: str, fault: Fault | None) -> str:
    match fault:
        case Fault(name="truncated"):
            return content[: len(content) // 2]
        case Fault(name="not-json"):
            return "Certainly! Here is what this reader seems to like."
        case Fault(name="wrong-schema"):
            return json.dumps({"unexpected": [content]})
        case Fault(name="nan" | "unknown" as kind):
            return _NUMBER.sub("NaN" if kind == "nan" else "987654321", content)
        case Fault(name="huge", argument=size):
            return content[:-1] + " " * max(size - len(content), 0) + content[-1]
    return content


async def _send(request: web.Request, completion: dict[str, Any], fault: Fault | None) -> web.StreamResponse:
    payload = json.dumps(completion, ensure_ascii=False).encode()
    answer = json_response(payload, headers={"x-request-id": completion["id"]})
    match fault:
        case Fault(name="drip", argument=pause_ms):
            return await _stream(request, answer.headers, (bytes([byte]) for byte in payload), pause_ms / 1000)
        case Fault(name="reset"):
            answer.headers["content-length"] = str(len(payload))
            broken = await _stream(request, answer.headers, [payload[: len(payload) // 2]])
            if request.transport is not None:
                request.transport.abort()
            return broken
    return answer


async def _stream(
    request: web.Request, headers: Mapping[str, str], parts: Iterable[bytes], pause: float = 0.0
) -> web.StreamResponse:
    answer = web.StreamResponse(headers=headers)
    await answer.prepare(request)
    for part in parts:
        await answer.write(part)
        await asyncio.sleep(pause)
    return answer


def _read_messages(body: dict[str, Any]) -> list[dict[str, str]]:
    """Messages as role and plain text; a content of several text parts is joined."""
    messages = []
    try:
        for message in body["messages"]:
            content = message.get("content") or ""
            text = content if isinstance(content, str) else "".join(part["text"] for part in content)
            messages.append({"role": message["role"], "content": text})
    except (KeyError, TypeError, AttributeError):
        raise ApiError(400, "`messages` is not a list of chat messages with text.", param="messages") from None
    return messages


def _schema_name(body: dict[str, Any], messages: list[dict[str, str]]) -> str:
    """The name of the schema to answer in: that of `response_format`, else one that a system message names."""
    response_format = body.get("response_format") or {"type": "text"}
    if response_format.get("type") == "json_schema":
        described = response_format.get("json_schema") or {}
        named = [str(described.get("name"))]
        if described.get("strict"):
            _check_strict(described.get("schema") or {}, described.get("name"))
    else:
        instructions = " ".join(
            message["content"] for message in messages if message["role"] in ("system", "developer")
        )
        named = [name for name in RULES if name in instructions]
    if not named or named[0] not in RULES:
        raise ApiError(
            400,
            f"The stand-in answers by rule and has none for {named[0] if named else 'this'!r}; "
            f"it knows the answer schemas {', '.join(RULES)}. Set OPENAI_BASE_URL to use a real model.",
            param="response_format",
            code="unknown_schema",
        )
    return named[0]


def _check_strict(schema: Any, name: Any) -> None:
    """Refuse what OpenAI refuses of a strict schema: open objects and optional properties."""
    if isinstance(schema, dict) and schema.get("type") == "object":
        properties = set(schema.get("properties") or {})
        if schema.get("additionalProperties") is not False or properties != set(schema.get("required") or []):
            raise ApiError(
                400,
                f"Invalid schema for response_format {name!r}: a strict schema's objects need "
                "'additionalProperties': false and every property in 'required'.",
                param="response_format",
            )
    parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    for part in parts:
        if isinstance(part, (dict, list)):
            _check_strict(part, name)


def _read_texts(body: dict[str, Any]) -> list[str]:
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise ApiError(400, "`input` is neither a text nor a list of texts that are not empty.", param="input")
    if body.get("dimensions", EMBEDDING_SIZE) != EMBEDDING_SIZE:
        raise ApiError(400, f"The stand-in's vectors have {EMBEDDING_SIZE} dimensions.", param="dimensions")
    return texts


def _pack(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()

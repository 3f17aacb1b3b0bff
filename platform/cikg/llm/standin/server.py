"""The stand-in's HTTP side: OpenAI's endpoints and error shape over the rules of `wording`."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import re
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from cikg.llm.standin.api import HEADERS, ApiError
from cikg.llm.standin.batches import Batches
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
_Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(key: str | None = None, latency_ms: float = 0, fault: str = "") -> Starlette:
    """Make the server.

    Args:
        key: bearer key that requests have to carry; None asks for none.
        latency_ms: milliseconds from a request to its answer, and that a batch takes at least. A request's header
            `x-standin-latency-ms` or query parameter `latency_ms` overrides it.
        fault: faults for every request, as `faults` spells them. The header `x-standin-fault` goes first.

    Raises:
        ValueError: `fault` is misspelt.
    """
    batches = Batches(lambda body, met: _complete(body, _digest(body), met))
    server = _Server(key, latency_ms, FaultBook(parse_faults(fault)), batches)
    return Starlette(
        routes=[
            Route("/healthz", server.health),
            Route("/v1/models", server.models),
            Route("/v1/models/{model}", server.model),
            Route("/v1/chat/completions", server.chat, methods=["POST"]),
            Route("/v1/embeddings", server.embeddings, methods=["POST"]),
            Route("/v1/files", server.guarded(batches.upload), methods=["POST"]),
            Route("/v1/files/{file}", server.guarded(batches.file)),
            Route("/v1/files/{file}/content", server.guarded(batches.content)),
            Route("/v1/batches", server.guarded(batches.listed)),
            Route("/v1/batches", server.begin_batch, methods=["POST"]),
            Route("/v1/batches/{batch}", server.guarded(batches.retrieve)),
            Route("/v1/batches/{batch}/cancel", server.guarded(batches.cancel), methods=["POST"]),
        ],
        exception_handlers={ApiError: _show_error, HTTPException: _show_error},
    )


async def _show_error(_request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        error = ApiError(error.status_code, f"The stand-in has no such endpoint: {error.detail}")
    assert isinstance(error, ApiError)  # noqa: S101 - registered for these two alone
    return JSONResponse(error.body, error.status, {**HEADERS, **(error.headers or {})})


class _Server:
    """The endpoints; holds what `create_app` was given."""

    def __init__(self, key: str | None, latency_ms: float, faults: FaultBook, batches: Batches) -> None:
        self._key = key
        self._latency_ms = latency_ms
        self._faults = faults
        self._batches = batches

    def guarded(self, endpoint: _Endpoint) -> _Endpoint:
        """An endpoint that asks for the key."""

        async def answer(request: Request) -> Response:
            self._check_key(request)
            return await endpoint(request)

        return answer

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok", "model": MODEL}, headers=HEADERS)

    async def models(self, request: Request) -> Response:
        self._check_key(request)
        return JSONResponse({"object": "list", "data": [_MODEL_ROW]}, headers=HEADERS)

    async def model(self, request: Request) -> Response:
        self._check_key(request)
        _check_model(request.path_params)
        return JSONResponse(_MODEL_ROW, headers=HEADERS)

    async def chat(self, request: Request) -> Response:
        came = time.monotonic()
        self._check_key(request)
        body = await _read_body(request)
        digest = _digest(body)
        fault = self._fault(request, body, digest)
        await self._wait(request, came)
        await _meet_before_answer(fault)
        return _send(_complete(body, digest, fault), fault)

    async def embeddings(self, request: Request) -> Response:
        came = time.monotonic()
        self._check_key(request)
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
        return JSONResponse({"object": "list", "model": MODEL, "data": data, "usage": usage}, headers=HEADERS)

    async def begin_batch(self, request: Request) -> Response:
        self._check_key(request)
        body = await _read_body(request)
        latency_ms = self._latency(request)

        def choose(question: dict[str, Any]) -> Fault | None:
            return self._fault(request, question, _digest(question))

        return self._batches.create(body, choose, latency_ms / 1000)

    def _check_key(self, request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._key is not None and not hmac.compare_digest(given.encode(), self._key.encode()):
            raise ApiError(401, "Incorrect API key provided to the stand-in.", code="invalid_api_key")

    async def _wait(self, request: Request, came: float) -> None:
        left = came + self._latency(request) / 1000 - time.monotonic()
        if left > 0:
            await asyncio.sleep(left)

    def _latency(self, request: Request) -> float:
        asked = request.headers.get("x-standin-latency-ms") or request.query_params.get("latency_ms")
        try:
            return float(asked) if asked else self._latency_ms
        except ValueError:
            raise ApiError(400, f"{asked!r} is not a number of milliseconds.", param="latency_ms") from None

    def _fault(self, request: Request, body: dict[str, Any], digest: str) -> Fault | None:
        try:
            asked = parse_faults(request.headers.get("x-standin-fault", ""))
        except ValueError as error:
            raise ApiError(400, f"{error}.", param="x-standin-fault") from None
        if not asked and not self._faults.standing:
            return None
        return self._faults.choose(asked, json.dumps(body, ensure_ascii=False), digest)


_MODEL_ROW = {"id": MODEL, "object": "model", "created": 0, "owned_by": "cikg"}


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


async def _read_body(request: Request) -> dict[str, Any]:
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


def _send(completion: dict[str, Any], fault: Fault | None) -> Response:
    payload = json.dumps(completion, ensure_ascii=False).encode()
    headers = {**HEADERS, "x-request-id": completion["id"]}
    match fault:
        case Fault(name="drip", argument=pause_ms):
            return StreamingResponse(_drip(payload, pause_ms / 1000), media_type="application/json", headers=headers)
        case Fault(name="reset"):
            headers["content-length"] = str(len(payload))
            half = payload[: len(payload) // 2]
            return StreamingResponse(_drip(half, 0), media_type="application/json", headers=headers)
    return Response(payload, media_type="application/json", headers=headers)


async def _drip(payload: bytes, pause: float) -> AsyncIterator[bytes]:
    if not pause:
        yield payload
        raise ConnectionResetError
    for byte in payload:
        yield bytes([byte])
        await asyncio.sleep(pause)


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


app = create_app(
    key=os.environ.get("CIKG_STANDIN_KEY"),
    latency_ms=float(os.environ.get("CIKG_STANDIN_LATENCY_MS", "0")),
    fault=os.environ.get("CIKG_STANDIN_FAULT", ""),
)
"""The server as the environment describes it: `CIKG_STANDIN_KEY`, `CIKG_STANDIN_LATENCY_MS`, `CIKG_STANDIN_FAULT`."""

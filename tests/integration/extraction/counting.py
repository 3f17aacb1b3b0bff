"""The stand-in behind a door that counts chat requests and can be told, at `/control`, how to treat them.

Told by a JSON object, which also sets the count to 0; all keys are optional:
`fault`: as the stand-in spells it; `latency_ms`; `json_mode_only`: refuse JSON schemas, as many servers do;
`locked`: refuse every key; `unreadable_at_first`: answer with prose where this text occurs, unless it is a repair.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse

from cikg.llm.standin import create_app

_standin = create_app()
_told: dict[str, Any] = {}
_calls = 0


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    global _calls, _told  # noqa: PLW0603 - one process, one event loop
    if scope["type"] != "http" or scope["path"] == "/healthz":
        await _standin(scope, receive, send)
        return
    body = await _read(receive)
    if scope["path"] == "/control":
        if scope["method"] == "POST":
            _calls, _told = 0, json.loads(body)
        await JSONResponse({"calls": _calls})(scope, receive, send)
        return
    fault = _told.get("fault", "")
    if scope["path"] in ("/v1/chat/completions", "/v1/embeddings"):
        _calls += 1
        asked = json.loads(body)
        refusal = _refusal(asked)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        first = _told.get("unreadable_at_first")
        if first and first.encode() in body and all(message["role"] != "assistant" for message in asked["messages"]):
            fault = "not-json"
    told = {"x-standin-fault": fault, "x-standin-latency-ms": str(_told.get("latency_ms", 0))}
    headers = [*scope["headers"], *((name.encode(), value.encode()) for name, value in told.items())]

    unread = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Any:
        return unread.pop() if unread else await receive()

    await _standin({**scope, "headers": headers}, replay, send)


def _refusal(asked: dict[str, Any]) -> JSONResponse | None:
    if _told.get("locked"):
        return _error(401, "Incorrect API key provided")
    if _told.get("json_mode_only") and asked["response_format"]["type"] == "json_schema":
        return _error(400, "'response_format.type' must be 'json_object' or 'text'")
    return None


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "param": None, "code": None}}, status)


async def _read(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body

"""The stand-in behind a door that counts chat requests and can be told, at `/control`, how to treat them.

    python -m tests.integration.extraction.counting [--host HOST] [--port PORT]

Told by a JSON object, which also sets the count to 0; all keys are optional:
`fault`: as the stand-in spells it; `latency_ms`; `json_mode_only`: refuse JSON schemas, as many servers do;
`locked`: refuse every key; `unreadable_at_first`: answer with prose where this text occurs, unless it is a repair.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from cikg.llm.standin import StandIn
from cikg.llm.standin.__main__ import serve
from cikg.llm.standin.api import ApiError


class Counting(StandIn):
    """A stand-in that counts, and does as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, Any] = {}
        self._calls = 0

    def application(self) -> web.Application:
        app = super().application()
        app.router.add_route("*", "/control", self.control)
        return app

    async def control(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            self._calls, self._told = 0, await request.json()
        return web.json_response({"calls": self._calls})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        await self._count(request)
        return await super().chat(request)

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        await self._count(request)
        return await super().embeddings(request)

    def latency(self, request: web.Request) -> float:
        return float(self._told.get("latency_ms", 0))

    def asked_fault(self, request: web.Request, body: dict[str, Any]) -> str:
        first = self._told.get("unreadable_at_first")
        if first and first in json.dumps(body) and all(each["role"] != "assistant" for each in body["messages"]):
            return "not-json"
        return str(self._told.get("fault", ""))

    async def _count(self, request: web.Request) -> None:
        self._calls += 1
        if self._told.get("locked"):
            raise ApiError(401, "Incorrect API key provided")
        if self._told.get("json_mode_only") and (await request.json())["response_format"]["type"] == "json_schema":
            raise ApiError(400, "'response_format.type' must be 'json_object' or 'text'")


if __name__ == "__main__":
    serve(Counting())

"""What all endpoints of the stand-in share: the shape of its errors, and the header that says what it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

HEADERS = {"x-stand-in": "answers by rule; no language model is behind this address"}


class ApiError(Exception):
    """An answer in OpenAI's error shape."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def json_response(
    what: Mapping[str, Any] | bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An answer in JSON."""
    body = what if isinstance(what, bytes) else json.dumps(what, ensure_ascii=False).encode()
    kind = {"content-type": "application/json"}
    return web.Response(body=body, status=status, headers={**HEADERS, **kind, **(headers or {})})

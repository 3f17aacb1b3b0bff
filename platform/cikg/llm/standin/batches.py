"""The stand-in's Files and Batches: a file of questions in, a file of answers out, in an order of its own.

Everything is kept in memory. A batch is answered in the background, so that it can be seen at work, and cancelled.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from cikg.llm.standin.api import HEADERS, ApiError, json_response
from cikg.llm.standin.faults import Fault

MOST_LINES = 50_000
LARGEST_FILE = 200_000_000
"""OpenAI's limits of a batch's file: lines, and bytes."""

_AT_ONCE = 50
"""Lines answered before other requests have their turn."""
_ENDED = ("completed", "failed", "expired", "cancelled")

Choose = Callable[[dict[str, Any]], Fault | None]
Complete = Callable[[dict[str, Any], Fault | None], dict[str, Any]]


@dataclass
class _Batch:
    """One batch.

    Attributes:
        shown: the object as the API shows it.
        lines: the requests.
        choose: which fault a request of it meets.
        seconds: how long it takes at least.
    """

    shown: dict[str, Any]
    lines: list[dict[str, Any]]
    choose: Choose
    seconds: float
    answers: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Batches:
    """The endpoints below `/v1/files` and `/v1/batches`.

    Args:
        complete: answers the body of one chat request, or raises `ApiError`.
    """

    def __init__(self, complete: Complete) -> None:
        self._complete = complete
        self._files: dict[str, tuple[dict[str, Any], bytes]] = {}
        self._batches: dict[str, _Batch] = {}
        self._working: set[asyncio.Task[None]] = set()

    async def upload(self, request: web.Request) -> web.Response:
        """Take a file in."""
        form = await request.post()
        file = form.get("file")
        content = file.file.read() if isinstance(file, web.FileField) else b""
        if form.get("purpose") != "batch" or not isinstance(file, web.FileField) or not content:
            raise ApiError(400, "The stand-in takes only files for the purpose 'batch'.", param="purpose")
        return json_response(self._keep(file.filename, content, "batch"))

    async def file(self, request: web.Request) -> web.Response:
        """Describe a file."""
        return json_response(self._file(request)[0])

    async def content(self, request: web.Request) -> web.Response:
        """Give a file out."""
        return web.Response(body=self._file(request)[1], content_type="application/octet-stream", headers=HEADERS)

    async def listed(self, request: web.Request) -> web.Response:
        """The batches, the newest first, a page at a time."""
        known = [batch.shown for batch in reversed(self._batches.values())]
        after = request.query.get("after")
        if after is not None:
            known = known[1 + next((at for at, shown in enumerate(known) if shown["id"] == after), len(known)) :]
        limit = int(request.query.get("limit", 20))
        page = {"object": "list", "data": known[:limit], "has_more": len(known) > limit}
        page |= {"first_id": known[0]["id"], "last_id": known[:limit][-1]["id"]} if known else {}
        return json_response(page)

    async def retrieve(self, request: web.Request) -> web.Response:
        """Where a batch stands."""
        return json_response(self._batch(request).shown)

    async def cancel(self, request: web.Request) -> web.Response:
        """Stop a batch; what was answered until then is given out."""
        batch = self._batch(request)
        if batch.shown["status"] in _ENDED:
            raise ApiError(409, f"The batch is already {batch.shown['status']}.")
        batch.shown["status"] = "cancelling"
        return json_response(batch.shown)

    def create(self, body: dict[str, Any], choose: Choose, seconds: float) -> web.Response:
        """Begin a batch.

        Args:
            body: the request.
            choose: which fault one of its requests meets.
            seconds: how long it takes at least.
        """
        source = self._files.get(str(body.get("input_file_id")))
        if source is None or body.get("endpoint") != "/v1/chat/completions" or body.get("completion_window") != "24h":
            raise ApiError(400, "A batch needs an input file, the endpoint /v1/chat/completions and the window 24h.")
        lines, problem = _read(source[1])
        faults = [choose(line["body"]) for line in lines]
        if any(fault is not None and fault.name == "reject" for fault in faults):
            problem = "The enqueued token limit is reached."
        now = int(time.time())
        shown: dict[str, Any] = {
            "id": f"batch_{uuid.uuid4().hex}",
            "object": "batch",
            "endpoint": body["endpoint"],
            "completion_window": "24h",
            "created_at": now,
            "expires_at": now + 86_400,
            "input_file_id": body["input_file_id"],
            "metadata": body.get("metadata"),
            "status": "failed" if problem else "in_progress",
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
        }
        if problem:
            shown["errors"] = {"object": "list", "data": [{"code": "invalid", "message": problem}]}
        batch = self._batches[shown["id"]] = _Batch(shown, lines, choose, seconds)
        if not problem:
            task = asyncio.get_running_loop().create_task(self._work(batch, faults))
            self._working.add(task)
            task.add_done_callback(self._working.discard)
        return json_response(shown)

    async def _work(self, batch: _Batch, faults: list[Fault | None]) -> None:
        began = time.monotonic()
        order = sorted(range(len(batch.lines)), key=lambda at: hashlib.sha256(str(at).encode()).digest())
        for done, at in enumerate(order):
            if batch.shown["status"] == "cancelling":
                batch.errors += [_failed(batch.lines[left], "batch_cancelled") for left in order[done:]]
                break
            self._answer(batch, batch.lines[at], faults[at])
            if done % _AT_ONCE == 0:
                await asyncio.sleep(0)
        while batch.shown["status"] == "in_progress" and time.monotonic() - began < batch.seconds:
            await asyncio.sleep(0.01)
        for name, lines in (("output", batch.answers), ("error", batch.errors)):
            if lines:
                kept = self._keep(f"{batch.shown['id']}_{name}.jsonl", "".join(lines).encode(), "batch_output")
                batch.shown[f"{name}_file_id"] = kept["id"]
        expired = any(fault is not None and fault.name == "expire" for fault in faults)
        ended = "expired" if expired else "completed"
        batch.shown["status"] = "cancelled" if batch.shown["status"] == "cancelling" else ended

    def _answer(self, batch: _Batch, line: dict[str, Any], fault: Fault | None) -> None:
        counts = batch.shown["request_counts"]
        match fault:
            case Fault(name="lose"):
                return
            case Fault(name="expire"):
                batch.errors.append(_failed(line, "batch_expired"))
                counts["failed"] += 1
                return
            case Fault(name="server-error"):
                status, body = 500, ApiError(500, "The server had an error.", kind="server_error").body
            case Fault(name="rate-limit"):
                status, body = 429, ApiError(429, "Rate limit reached.", code="rate_limit_exceeded").body
            case _:
                try:
                    status, body = 200, self._complete(line["body"], fault)
                except ApiError as error:
                    status, body = error.status, error.body
        response = {"status_code": status, "request_id": f"req_{uuid.uuid4().hex}", "body": body}
        shown = {"id": f"batch_req_{uuid.uuid4().hex}", "custom_id": line["custom_id"], "response": response}
        counts["completed" if status == 200 else "failed"] += 1
        (batch.answers if status == 200 else batch.errors).append(_line({**shown, "error": None}))

    def _keep(self, name: str, content: bytes, purpose: str) -> dict[str, Any]:
        shown: dict[str, Any] = {"id": f"file-{uuid.uuid4().hex}", "object": "file", "bytes": len(content)}
        shown |= {"created_at": int(time.time()), "filename": name, "purpose": purpose, "status": "processed"}
        self._files[shown["id"]] = (shown, content)
        return shown

    def _file(self, request: web.Request) -> tuple[dict[str, Any], bytes]:
        try:
            return self._files[request.match_info["file"]]
        except KeyError:
            raise ApiError(404, "The stand-in has no such file.") from None

    def _batch(self, request: web.Request) -> _Batch:
        try:
            return self._batches[request.match_info["batch"]]
        except KeyError:
            raise ApiError(404, "The stand-in has no such batch.") from None


def _read(content: bytes) -> tuple[list[dict[str, Any]], str | None]:
    """The requests of a file, and what is wrong with it."""
    try:
        lines = [json.loads(line) for line in content.splitlines() if line.strip()]
        identifiers = {line["custom_id"] for line in lines}
        usable = all(isinstance(line["body"], dict) and line["method"] == "POST" for line in lines)
    except (ValueError, KeyError, TypeError):
        return [], "A line is not a request."
    if not usable or not lines or len(lines) > MOST_LINES or len(identifiers) != len(lines):
        return [], f"Expected 1 to {MOST_LINES:,} requests, each with a custom_id of its own."
    return lines, None


def _failed(line: dict[str, Any], code: str) -> str:
    error = {"code": code, "message": "This request could not be executed before the batch ended."}
    shown = {"id": f"batch_req_{uuid.uuid4().hex}", "custom_id": line["custom_id"], "response": None}
    return _line({**shown, "error": error})


def _line(shown: dict[str, Any]) -> str:
    return json.dumps(shown, ensure_ascii=False) + "\n"

"""Nobody who asks a model goes where its server sends them: texts and keys are for the configured address alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cikg.errors import ServiceError
from cikg.llm.batches import Batches
from cikg.llm.embeddings import OpenAIEmbedder
from cikg.llm.provider import lacks
from cikg.settings import Settings
from web import health

INWARD = "/inward"


@pytest.fixture
def sending() -> Iterator[tuple[str, list[str]]]:
    """The address of a server that sends everybody elsewhere, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(200 if self.path == INWARD else 307)
            self.send_header("Location", INWARD)
            self.end_headers()
            self.wfile.write(json.dumps({"data": []}).encode())

        do_POST = do_GET  # noqa: N815 - named by the library

        def log_message(self, *_said: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
        server.shutdown()


def _embed(settings: Settings, _folder: Path) -> None:
    OpenAIEmbedder(settings, "m")


def _batch(settings: Settings, folder: Path) -> None:
    (folder / "questions.jsonl").write_text("{}")
    batches = Batches(settings, "m")
    try:
        batches.submit(folder / "questions.jsonl", "tag")
    finally:
        batches.close()


def _offers(settings: Settings, _folder: Path) -> None:
    lacks(settings, "another")


def _health(settings: Settings, _folder: Path) -> None:
    (component,) = health.check(settings, ["LLM"])
    assert not component.ok
    assert "307" in component.detail


@pytest.mark.parametrize("ask", [_embed, _batch, _offers, _health], ids=["embeddings", "batches", "models", "health"])
def test_it_does_not_go_where_a_server_sends_it(
    sending: tuple[str, list[str]], tmp_path: Path, ask: Callable[[Settings, Path], None]
) -> None:
    address, asked = sending
    with suppress(ServiceError):
        ask(Settings(home=tmp_path, openai_base_url=address, openai_model="m", llm_retries=0), tmp_path)
    assert asked
    assert INWARD not in asked

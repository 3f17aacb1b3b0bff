"""What a provider is taken to have, by what it says of its models."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cikg.llm.provider import lacks
from cikg.settings import Settings

Answers = dict[str, tuple[int, object]]
MISSING = (404, {"error": {"message": "there is none"}})
LISTED = (200, {"object": "list", "data": [{"id": "listed", "object": "model", "created": 0, "owned_by": "them"}]})
NAMED = (200, {"id": "alias", "object": "model", "created": 0, "owned_by": "them"})


@pytest.fixture
def provider() -> Iterator[Callable[[Answers], Settings]]:
    """Start a provider that answers to paths as it is told, and nothing else; the settings of who asks it."""
    running: list[ThreadingHTTPServer] = []

    def start(answers: Answers) -> Settings:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = answers.get(self.path.removeprefix("/v1"), MISSING)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_said: object) -> None:
                """Say nothing."""

        running.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=running[-1].serve_forever).start()
        address = f"http://127.0.0.1:{running[-1].server_port}/v1"
        return Settings(openai_base_url=address, openai_model="own")

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("model", "answers", "missing"),
    [
        ("listed", {"/models": LISTED}, False),
        ("another", {"/models": LISTED}, True),
        ("alias", {"/models": LISTED, "/models/alias": NAMED}, False),
        ("another", {"/models": LISTED, "/models/another": (500, {})}, False),
        ("another", {}, False),
        ("another", {"/models": (401, {})}, False),
        ("another", {"/models": (200, [])}, False),
        ("own", {"/models": LISTED}, False),
    ],
    ids=[
        "listed",
        "said to be missing",
        "known by another name",
        "in trouble",
        "silent",
        "refuses",
        "bare list",
        "own",
    ],
)
def test_only_what_a_provider_denies_is_missing(
    provider: Callable[[Answers], Settings], model: str, answers: Answers, missing: bool
) -> None:
    assert lacks(provider(answers), model) == missing


def test_without_an_llm_every_model_is_missing() -> None:
    assert lacks(Settings(openai_base_url=None, openai_model="own"), "own")
    assert lacks(Settings(openai_base_url="http://127.0.0.1:9/v1", openai_model=None), "own")

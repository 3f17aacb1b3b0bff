"""The client against a server that looks at what it is sent."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, SecretStr

from cikg.errors import AuthenticationError, ServiceError, UnreachableError
from cikg.llm.answers import AnswerError, InvalidAnswerError
from cikg.llm.client import Client
from cikg.llm.prompts import Prompt
from cikg.settings import Settings

KEY = "a-key-of-its-own"
PROMPT = Prompt("p", 1, (("system", "Count."), ("user", "Up to one.")))


class Number(BaseModel):
    """The answer."""

    number: int


class Server(BaseHTTPRequestHandler):
    """Answers `{"number": 1}` to whoever has the key, or as `turn` says; keeps what it was sent."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[tuple[str, dict[str, str], dict[str, Any]]]] = []
    turn: ClassVar[tuple[int, bytes] | None] = None

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        if self.headers["authorization"] != f"Bearer {KEY}":
            self._answer(401, b'{"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}')
        elif self.turn is not None:
            self._answer(*self.turn)
        else:
            choice = {"message": {"role": "assistant", "content": '{"number": 1}'}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 7, "completion_tokens": 3}
            self._answer(200, json.dumps({"model": "m-2", "choices": [choice], "usage": usage}).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if status == 307:
            self.send_header("Location", "http://169.254.169.254/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    Server.seen.clear()
    Server.turn = None
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/some/base/v1"
        server.shutdown()


def ask(address: str, folder: Path, key: str = KEY) -> Any:
    """One question; in a thread, since another test may have left a loop in this one."""

    async def complete() -> Any:
        key_of = {"openai_api_key": SecretStr(key), "openai_model": "m", "llm_retries": 0}
        client = Client(Settings(home=folder, openai_base_url=address).model_copy(update=key_of))
        try:
            return await client.complete(PROMPT, Number, {"temperature": 0})
        finally:
            await client.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(complete())).result()


def test_a_request_goes_below_the_address_with_key_schema_and_parameters(address: str, tmp_path: Path) -> None:
    answer = ask(address, tmp_path)
    assert (answer.parsed.number, answer.model, answer.usage.prompt_tokens) == (1, "m-2", 7)
    ((path, headers, body),) = Server.seen
    assert path == "/some/base/v1/chat/completions"
    assert (headers["authorization"], headers["content-type"]) == (f"Bearer {KEY}", "application/json")
    assert not [name for name in headers if "stainless" in name], "nobody needs to know of this machine"
    assert (body["model"], body["temperature"]) == ("m", 0)
    assert body["messages"] == [{"role": "system", "content": "Count."}, {"role": "user", "content": "Up to one."}]
    assert body["response_format"]["json_schema"]["name"] == "Number"


def test_a_refused_key_is_named(address: str, tmp_path: Path) -> None:
    with pytest.raises(AuthenticationError, match="OPENAI_API_KEY"):
        ask(address, tmp_path, "another")


@pytest.mark.parametrize("said", [b"<html>\nA proxy says hello</html>", b'{"error": {"message": "hello"}}'])
def test_what_stands_in_an_answers_place_is_the_servers_fault_and_no_answer(
    address: str, tmp_path: Path, said: bytes
) -> None:
    Server.turn = (200, said)
    with pytest.raises(ServiceError, match=r"no chat completion.*hello.*OPENAI_BASE_URL") as caught:
        ask(address, tmp_path)
    assert not isinstance(caught.value, AnswerError), "it would quarantine each subject, and no run would stop"


def test_a_completion_without_an_answer_is_kept_to_be_looked_at(address: str, tmp_path: Path) -> None:
    Server.turn = (200, b'{"model": "m", "choices": []}')
    with pytest.raises(InvalidAnswerError, match="not a chat completion") as caught:
        ask(address, tmp_path)
    assert caught.value.text == Server.turn[1].decode()


def test_it_does_not_go_where_a_server_sends_it(address: str, tmp_path: Path) -> None:
    Server.turn = (307, b"")
    with pytest.raises(ServiceError):
        ask(address, tmp_path)
    assert len(Server.seen) == 1


def test_it_goes_through_the_proxy_that_the_environment_names(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", address.partition("/some")[0])
    monkeypatch.setenv("no_proxy", "elsewhere.test")
    assert ask("http://llm.test/v1", tmp_path).parsed.number == 1
    with pytest.raises(UnreachableError):
        ask("http://elsewhere.test/v1", tmp_path)
    assert [path for path, _, _ in Server.seen] == ["http://llm.test/v1/chat/completions"]

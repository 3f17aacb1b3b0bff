"""The files of batches: what is sent, and how what comes back is read."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from cikg.errors import UnreachableError
from cikg.llm.answers import LONGEST_ANSWER, Usage
from cikg.llm.batches import Batches, Reply, files, question, reply
from cikg.llm.prompts import Prompt
from cikg.settings import Price, Settings

PRICE = Price(input=10, output=20, batch=0.5)


class Shape(BaseModel):
    phrase: str


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=30), st.integers(1, 7), st.integers(1, 25))
def test_files_hold_every_question_once_within_the_limits_and_no_fewer_than_they_could(
    given_lines: list[bytes], most: int, largest: int
) -> None:
    lines = [line.hex().encode() + b"\n" for line in given_lines]
    with tempfile.TemporaryDirectory() as folder:
        found = [
            (path.read_bytes().splitlines(keepends=True), count)
            for path, count in files(lines, Path(folder), most, largest)
        ]
    assert [line for part, _ in found for line in part] == lines
    assert all(len(part) == count <= most for part, count in found)
    assert all(len(part) == 1 or sum(map(len, part)) <= largest for part, _ in found)
    for (part, _), (following, _) in pairwise(found):
        assert len(part) == most or sum(map(len, part)) + len(following[0]) > largest


def test_a_question_is_the_request_that_is_asked_directly() -> None:
    prompt = Prompt("name", 1, (("system", "Answer."), ("user", "Ünïcode\nand lines")))
    line = question("key", "some-model", prompt, Shape, {"temperature": 0})
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    said = json.loads(line)
    assert (said["custom_id"], said["method"], said["url"]) == ("key", "POST", "/v1/chat/completions")
    body = said["body"]
    assert (body["model"], body["temperature"]) == ("some-model", 0)
    assert body["messages"][1] == {"role": "user", "content": "Ünïcode\nand lines"}
    assert body["response_format"]["json_schema"]["name"] == "Shape"


def completion(**changes: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "{}", "refusal": changes.pop("refusal", None)}
    choice = {"index": 0, "message": message, "finish_reason": changes.pop("finish", "stop"), "logprobs": None}
    message["content"] = changes.pop("content", message["content"])
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "m-1"}
    return {**head, "choices": [choice], "usage": usage, **changes}


def line(body: Any, status: int = 200, error: Any = None) -> str:
    response = {"status_code": status, "request_id": "r", "body": body}
    return json.dumps({"id": "x", "custom_id": "k", "response": response, "error": error})


PAID = Usage(1, 1000, 100, cost=0.5 * (10 * 1000 + 20 * 100) / 1e6)


def test_an_answer_is_read_with_its_price() -> None:
    assert reply(line(completion()), PRICE) == Reply("k", "{}", "m-1", PAID)
    assert reply(line(completion()), None) == Reply("k", "{}", "m-1", Usage(1, 1000, 100))


@pytest.mark.parametrize(
    ("changes", "text", "error"),
    [
        ({"refusal": "No."}, "No.", "the model refused to answer"),
        ({"finish": "content_filter"}, "{}", "the model refused to answer"),
        ({"finish": "length"}, "{}", "the answer was cut off at the model's limit"),
        (
            {"content": "a" * (LONGEST_ANSWER + 1)},
            "a" * LONGEST_ANSWER,
            "the answer has 200,001 characters, more than 200,000",
        ),
    ],
)
def test_an_answer_of_no_use_was_paid_for(changes: dict[str, Any], text: str, error: str) -> None:
    assert reply(line(completion(**changes)), PRICE) == Reply("k", text, "m-1", PAID, error)


def test_a_question_without_an_answer_says_why() -> None:
    failed = line({"error": {"message": "Overloaded.", "code": "server_error"}}, 500)
    assert reply(failed, PRICE) == Reply("k", error="Overloaded")
    expired = json.dumps(
        {"custom_id": "k", "response": None, "error": {"code": "batch_expired", "message": "Too late."}}
    )
    assert reply(expired, PRICE) == Reply("k", error="Too late")
    assert reply(line(None, 503), PRICE) == Reply("k", error="it failed")
    assert reply(line({"choices": "?"}), PRICE) == Reply("k", error="the server's answer is not a chat completion")
    assert reply(line(completion(choices=[])), PRICE) == Reply(
        "k", error="the server's answer is not a chat completion"
    )


@pytest.mark.parametrize(
    "junk", ["", "{", "[]", "null", "7", '"text"', '{"response": {}}', '{"custom_id": "k", "response": 7}']
)
def test_junk_is_about_no_question(junk: str) -> None:
    assert reply(junk, PRICE) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda some: st.lists(some) | st.dictionaries(st.text(), some),
        max_leaves=8,
    )
)
def test_whatever_comes_back_breaks_nothing(body: Any) -> None:
    found = reply(line(body), PRICE)
    assert found is None or found.error


class Provider(BaseHTTPRequestHandler):
    """Has one batch that has ended, whose file is `sent`; it says that the file is longer by `missing` bytes."""

    sent: ClassVar[bytes] = b""
    missing: ClassVar[int] = 0

    def do_GET(self) -> None:
        of_file = self.path.endswith("/content")
        batch = {"id": "b", "object": "batch", "status": "completed", "output_file_id": "f", "created_at": 0}
        body = self.sent if of_file else json.dumps(batch).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream" if of_file else "application/json")
        self.send_header("Content-Length", str(len(body) + (self.missing if of_file else 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_said: object) -> None:
        """Say nothing."""


@pytest.fixture
def batches() -> Iterator[Batches]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/v1"
        found = Batches(Settings(openai_base_url=address, openai_model="m"), "m")
        yield found
        found.close()
        server.shutdown()


def test_a_file_that_breaks_off_is_the_providers_error(batches: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Provider, "sent", b'{"custom_id"')
    monkeypatch.setattr(Provider, "missing", 100)
    with pytest.raises(UnreachableError, match="does not answer"):
        list(batches.replies("b"))


def test_only_a_newline_ends_a_line_of_a_file(batches: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = completion()
    answer["choices"][0]["message"]["content"] = "one\u2028two\u0085three"
    lines = [{"custom_id": key, "response": {"status_code": 200, "body": answer}} for key in ("k1", "k2")]
    text = "\n".join(json.dumps(each, ensure_ascii=False) for each in lines)
    monkeypatch.setattr(Provider, "sent", text.encode())
    assert [(each.id, each.text) for each in batches.replies("b")] == [
        (key, "one\u2028two\u0085three") for key in ("k1", "k2")
    ]

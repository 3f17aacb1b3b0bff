"""`Idempotency-Key`: what is carried out once, what is kept of it, and for how long."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, Response
from redis import Redis

from cikg.access import accounts, tokens
from cikg.graph import Graph
from cikg.settings import Settings
from tests.integration.api.conftest import Call
from web.api import idempotency
from web.api.idempotency import Kept

PASSWORD = "correct horse battery"


@pytest.fixture
def redis(settings: Settings) -> Iterator[Redis]:
    assert settings.redis_url is not None
    with Redis.from_url(settings.redis_url.get_secret_value()) as client:
        yield client


@pytest.fixture
def keyed(dataset: str) -> dict[str, str]:
    """Headers with a key that no other test uses."""
    return {"Idempotency-Key": dataset}


def kept(client: Redis) -> dict[bytes, bytes]:
    """All that is kept under keys."""
    return {name: client.get(name) or b"" for name in client.scan_iter("cikg:idempotency:*")}


def test_a_key_lets_a_request_be_carried_out_once(call: Call, dataset: str, keyed: dict[str, str]) -> None:
    options = {"json": {"name": dataset, "password": PASSWORD}, "headers": keyed}
    first, again = call("POST", "/accounts", **options), call("POST", "/accounts", **options)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json == first.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Content-Security-Policy"]
    other = call("POST", "/accounts", json={"name": "another"}, headers=keyed)
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")
    failed = {"json": {"name": "x", "account": "nobody.here"}, "headers": {"Idempotency-Key": f"failed-{dataset}"}}
    assert [call("POST", "/tokens", **failed).status_code for _ in range(2)] == [404, 404], "a failure is not kept"


def test_two_at_once_under_one_key_make_one(app: Flask, graph: Graph, token: str, dataset: str) -> None:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": dataset}

    def post(_number: int) -> int:
        return app.test_client().post("/api/v1/tokens", json={"name": dataset}, headers=headers).status_code

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(post, range(6)))
    assert set(answers) <= {201, 409}
    assert answers.count(201) == 1
    assert len([each for each in tokens.listed(graph, 10_000) if each.name == dataset]) == 1


def test_no_secret_is_kept(call: Call, redis: Redis, dataset: str, keyed: dict[str, str]) -> None:
    before = kept(redis)
    made = call("POST", "/tokens", json={"name": dataset}, headers=keyed)
    again = call("POST", "/tokens", json={"name": dataset}, headers=keyed)
    assert (made.status_code, again.status_code, again.json["code"]) == (201, 409, "response_not_stored")
    call("POST", "/accounts", data=(body := f'{{"name": "{dataset}", "password": "{PASSWORD}"}}'),
         content_type="application/json", headers={"Idempotency-Key": f"account-{dataset}"})  # fmt: skip
    found = b"".join(text for name, text in kept(redis).items() if name not in before)
    assert made.json["token"].encode() not in found
    guessed = hashlib.sha256(f"POST /api/v1/accounts?\n{body}".encode()).hexdigest()
    assert guessed.encode() not in found, "whoever reads Redis could try passwords"


def test_what_only_reads_keeps_nothing(
    call: Call, redis: Redis, planted_dataset: str, dataset: str, keyed: dict[str, str]
) -> None:
    before = kept(redis)
    answer = call("POST", f"/datasets/{planted_dataset}/recommendations", json={"users": ["0"]}, headers=keyed)
    assert answer.status_code == 200
    assert kept(redis).keys() == before.keys()


def test_a_long_answer_is_not_kept(
    call: Call, redis: Redis, dataset: str, keyed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "LONGEST", 10)
    answers = [call("POST", "/accounts", json={"name": dataset}, headers=keyed) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 409]
    assert answers[1].json["code"] == "response_not_stored"


def test_a_key_is_held_for_as_long_as_its_request_takes(
    app: Flask, token: str, redis: Redis, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "UNDER_WAY_SECONDS", 3)
    before, seen, add = kept(redis), [], accounts.add

    def slow(*given: Any) -> None:
        time.sleep(5)
        seen.extend(kept(redis).keys() - before.keys())
        add(*given)

    monkeypatch.setattr(accounts, "add", slow)
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": dataset}
    assert app.test_client().post("/api/v1/accounts", json={"name": dataset}, headers=headers).status_code == 201
    assert len(seen) == 1


def test_whoever_lost_a_key_leaves_it_alone(redis: Redis, dataset: str) -> None:
    name = f"cikg:idempotency:{dataset}"
    first, second = Kept(redis, name, "same"), Kept(redis, name, "same")
    first.begin()
    redis.delete(name)  # as it is a minute after its process stood still
    second.begin()
    assert second.answer is None
    held = redis.get(name)
    first.keep(Response("first"), secret=False)
    first.end()
    assert redis.get(name) == held
    second.end()
    assert redis.get(name) is None

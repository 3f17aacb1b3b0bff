"""What is sent to workers and kept of it names no secret: messages, counters, runs and the log."""

from __future__ import annotations

import base64
import json

import redis
from pydantic import SecretStr

from cikg.extraction import commands, control
from tests.integration.extraction.conftest import Workplace

CANARY = "a-canary-that-must-not-sing"


def test_neither_messages_nor_runs_hold_a_secret(place: Workplace) -> None:
    place.planted(8)
    secret = SecretStr(CANARY)
    settings = place.settings("http://127.0.0.1:9/v1", openai_api_key=secret, secret_key=secret)
    planned = control.plan(place.graph, settings, place.dataset, "user_interests")
    control.start(place.graph, settings, planned)
    commands.enqueue(place.graph, settings, ["snapshot", "--dataset", place.dataset])
    assert settings.redis_url is not None and settings.neo4j_password is not None
    password = settings.redis_url.get_secret_value().partition("//:")[2].partition("@")[0]
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        kept = {key: client.lrange(key, 0, -1) for key in client.scan_iter(_type="list")}
        messages = [part for parts in kept.values() for part in parts]
        sent = b" ".join([*messages, *(base64.b64decode(json.loads(message)["body"]) for message in messages)])
        assert sent.count(place.dataset.encode()) >= 2, "the job's message and the command's are among them"
        whole = sent + b" ".join(client.dump(key) or b"" for key in client.scan_iter())
        client.flushdb()
    nodes = place.graph.execute("MATCH (n {dataset: $d}) RETURN n {.*} AS n", d=place.dataset)
    told = json.dumps(nodes, default=str).encode()
    assert b'"kind": "command"' in told
    for each in (CANARY, password, settings.neo4j_password.get_secret_value()):
        assert each and each.encode() not in whole + told

"""The dashboard's process when it is killed within a request."""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import Any

from pydantic import SecretStr
from redis import Redis

import web
from cikg.access import tokens
from cikg.access.accounts import Scope
from cikg.embedded.supervisor import environment
from cikg.extraction import control, queue
from cikg.settings import load_settings
from tests.integration.extraction.conftest import Workplace, site


def _post_and_die(variables: dict[str, str], path: str, headers: dict[str, str]) -> None:
    """Send a request to an app whose process dies between writing a command into the ledger and announcing it."""
    os.environ.update(variables)

    def die(*_given: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(queue, "enqueue_command", die)  # noqa: B010 - its type is another
    app = web.create_app(load_settings().model_copy(update={"secret_key": SecretStr("a-key-of-the-tests-0123456")}))
    app.test_client().post(path, json={}, headers=headers)


def test_a_request_whose_process_was_killed_makes_the_same_job_when_it_is_sent_again(place: Workplace) -> None:
    place.planted(4)
    server = place.settings("http://127.0.0.1:9/v1").redis_url
    assert server is not None
    address = server.get_secret_value().rpartition("/")[0] + "/7"  # which no worker reads
    settings = place.settings("http://127.0.0.1:9/v1", redis_url=SecretStr(address))
    secret = tokens.create(place.graph, None, "tests", [Scope.WRITE], actor="tests")[1]
    path = f"/api/v1/datasets/{place.dataset}/interests"
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": place.dataset}

    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=_post_and_die, args=(environment(settings), path, headers))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    (queued,) = control.commands(place.graph, place.dataset)
    with site(settings) as browser, Redis.from_url(address) as client:
        early = browser.post(path, json={}, headers=headers)
        assert (early.status_code, early.json and early.json["code"]) == (409, "request_under_way")
        (key,) = client.keys("cikg:idempotency:*")
        assert 0 < client.ttl(key) <= 60
        client.delete(key)  # as it is a minute later
        answers = [browser.post(path, json={}, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert [answer.json and answer.json["run"] for answer in answers] == [queued["run"]] * 2
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert len(control.commands(place.graph, place.dataset)) == 1
    app = queue.create_app(settings)
    assert queue.waiting(app, "graph") == 0, "nobody announced it"
    try:
        queue.sweep(place.graph, app, settings)
        assert queue.waiting(app, "graph") >= 1
    finally:
        with Redis.from_url(address) as client:
            client.flushdb()

"""`Idempotency-Key`: a POST that is sent twice under one key is carried out once, and answered twice.

The first answer is kept in Redis for a day. While it is being made, a second request is refused; should the process
die meanwhile, the key is free again after a minute, and the operations themselves are safe to repeat.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from flask import Response, current_app, request

from cikg.errors import UnreachableError
from web import login, store
from web.api import problems

HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
KEY = re.compile(r"[!-~]{1,255}")
KEPT_SECONDS, UNDER_WAY_SECONDS = 24 * 60 * 60, 60
_CLIENT = "cikg.redis"


class Kept:
    """One request under its key.

    Attributes:
        answer: what it was answered before, or why it is refused; None where it has to be carried out.
    """

    def __init__(self, client: redis.Redis | None = None, name: str = "", fingerprint: str = "") -> None:
        self.answer: Response | None = None
        self._client, self._name, self._fingerprint, self._done = client, name, fingerprint, False

    def begin(self) -> None:
        """Take the key, or find what was answered under it."""
        if self._client is None:
            return
        mine = json.dumps({"fingerprint": self._fingerprint})
        if self._client.set(self._name, mine, nx=True, ex=UNDER_WAY_SECONDS):
            return
        found = json.loads(self._client.get(self._name) or mine)
        if found["fingerprint"] != self._fingerprint:
            said = f"the {HEADER} was used for another request"
            self.answer = problems.answer(422, said, "Choose a new key for each request", "idempotency_key_reused")
        elif "status" in found:
            self.answer = Response(found["body"], found["status"], mimetype=found["mimetype"])
            self.answer.headers[REPLAYED] = "true"
        else:
            said = "a request with this key is still running"
            self.answer = problems.answer(409, said, "Repeat it in a moment", "request_under_way")

    def keep(self, response: Response) -> None:
        """Keep the answer for whoever sends the request again."""
        if self._client is not None:
            answer = {"status": response.status_code, "body": response.get_data(as_text=True)}
            kept = json.dumps({"fingerprint": self._fingerprint, "mimetype": response.mimetype, **answer})
            self._client.set(self._name, kept, ex=KEPT_SECONDS)
        self._done = True

    def end(self) -> None:
        """Free the key of a request that was not carried out."""
        if self._client is not None and self.answer is None and not self._done:
            self._client.delete(self._name)


@contextmanager
def once(applies: bool) -> Iterator[Kept]:
    """Carry this request out once for its key, if it has one.

    Raises:
        UnreachableError: it has one, and Redis does not answer: the promise could not be kept.
    """
    key = request.headers.get(HEADER) if applies else None
    if key is None:
        yield Kept()
        return
    if not KEY.fullmatch(key):
        kept = Kept()
        said = f"an {HEADER} has 1 to 255 printable ASCII characters without spaces"
        kept.answer = problems.answer(422, said, "Use a UUID")
        yield kept
        return
    who = login.principal()
    name = hashlib.sha256(f"{who.name if who else ''}\n{key}".encode()).hexdigest()
    asked = f"{request.method} {request.full_path}\n".encode() + request.get_data()
    kept = Kept(_redis(), f"cikg:idempotency:{name}", hashlib.sha256(asked).hexdigest())
    try:
        kept.begin()
        try:
            yield kept
        finally:
            kept.end()
    except redis.RedisError as error:
        raise UnreachableError(
            f"Redis does not answer, so the {HEADER} cannot be stored",
            cure="Repeat the request later, or send it without that header",
        ) from error


def _redis() -> redis.Redis:
    """The client of this app, made when it is first needed."""
    if _CLIENT not in current_app.extensions:
        url = store.settings().redis_url
        if url is None:
            raise UnreachableError(
                "Redis is not running and CIKG_REDIS_URL is not set",
                cure=f"Start it with `cikg up`, or leave out the {HEADER}",
            )
        current_app.extensions[_CLIENT] = redis.Redis.from_url(
            url.get_secret_value(), socket_connect_timeout=2, socket_timeout=2
        )
    return current_app.extensions[_CLIENT]  # type: ignore[no-any-return]

"""`Idempotency-Key`: a POST that is sent twice under one key is carried out once, and answered twice.

The first answer is kept in Redis for a day, unless it is long or holds a secret: then a second request hears only that
the first was carried out. While one is carried out, others under its key are refused; should the process die
meanwhile, the key is free again after a minute, and the operations themselves are safe to repeat. A POST that only
reads keeps nothing: readers must not fill Redis.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis
from flask import Response, current_app, request

from cikg.errors import UnreachableError
from web import login, store
from web.api import problems

HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
KEY = re.compile(r"[!-~]{1,255}")
KEPT_SECONDS, UNDER_WAY_SECONDS = 24 * 60 * 60, 60
LONGEST = 100_000
"""Bytes of an answer that is kept."""
_CLIENT = "cikg.redis"
_OWN = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call(ARGV[2], KEYS[1], unpack(ARGV, 3)) end"
"""Does something with a key, if it still holds what this request wrote there."""


class Kept:
    """One request under its key.

    Attributes:
        answer: what it was answered before, or why it is refused; None where it has to be carried out.
    """

    def __init__(self, client: redis.Redis | None = None, name: str = "", fingerprint: str = "") -> None:
        self.answer: Response | None = None
        self._client, self._name, self._fingerprint = client, name, fingerprint
        self._mine = json.dumps({"fingerprint": fingerprint, "owner": secrets.token_hex(16)})
        self._over = threading.Event()

    def begin(self) -> None:
        """Take the key, or find what was answered under it."""
        if self._client is None:
            return
        if self._client.set(self._name, self._mine, nx=True, ex=UNDER_WAY_SECONDS):
            threading.Thread(target=self._hold, daemon=True).start()
            return
        found = json.loads(self._client.get(self._name) or self._mine)
        if found["fingerprint"] != self._fingerprint:
            said = f"the {HEADER} was used for another request"
            self.answer = problems.answer(422, said, "Choose a new key for each request", "idempotency_key_reused")
        elif "owner" in found:
            said = "a request with this key is still running"
            self.answer = problems.answer(409, said, "Repeat it in a moment", "request_under_way")
        elif found["body"] is None:
            said = f"this request was carried out with status {found['status']}, but its response was not stored"
            cure = "Look at what it made; a token that was lost can be revoked, and another made with a new key"
            self.answer = problems.answer(409, said, cure, "response_not_stored")
        else:
            self.answer = Response(found["body"], found["status"], mimetype=found["mimetype"])
            self.answer.headers[REPLAYED] = "true"

    def keep(self, response: Response, *, secret: bool) -> None:
        """Keep the answer for whoever sends the request again; one with a secret, or a long one, only as given."""
        body = None if secret or len(response.get_data()) > LONGEST else response.get_data(as_text=True)
        answer = {"status": response.status_code, "mimetype": response.mimetype, "body": body}
        self._own("set", json.dumps({"fingerprint": self._fingerprint, **answer}), "ex", KEPT_SECONDS)

    def end(self) -> None:
        """Free the key of a request that was not carried out; what was kept stays."""
        self._over.set()
        self._own("del")

    def _own(self, command: str, *arguments: str | int) -> None:
        if self._client is not None:
            self._client.eval(_OWN, 1, self._name, self._mine, command, *arguments)

    def _hold(self) -> None:
        """Keep the key for as long as the request is carried out."""
        while not self._over.wait(UNDER_WAY_SECONDS / 3):
            with suppress(redis.RedisError):  # the next time, perhaps
                self._own("expire", UNDER_WAY_SECONDS)


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
    signing = str(current_app.secret_key).encode()  # a body may hold a password, which a plain hash lets others try
    kept = Kept(_redis(), f"cikg:idempotency:{name}", hmac.new(signing, asked, "sha256").hexdigest())
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

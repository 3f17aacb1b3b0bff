"""Addresses of services."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import SecretStr

from cikg.embedded.services import redis_address
from cikg.settings import Settings


def test_the_address_of_redis_keeps_its_brackets() -> None:
    settings = Settings(redis_url=SecretStr("redis://:secret@[::1]:7000/2"))
    assert redis_address(settings) == "redis://[::1]:7000/2"
    assert urlsplit(str(redis_address(settings))).port == 7000

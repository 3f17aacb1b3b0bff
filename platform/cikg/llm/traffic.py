"""What all workers share through Redis: the rates at which they may ask, and what a run may still spend.

Nothing here has to survive: an emptied Redis forgets how fast the last minute was, and what is spent is read from the
ledger again. Without limits and budgets Redis is not asked at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

from cikg.errors import UnreachableError
from cikg.settings import Settings

BURST = 6.0
"""Seconds' worth of requests and tokens that may go out at once: a tenth of what a minute allows."""

_ADMIT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local paused = tonumber(redis.call('GET', KEYS[3]) or '0')
local wait = paused - now
local due = {}
for i = 1, 2 do
  local interval = tonumber(ARGV[i * 2 - 1])
  due[i] = math.max(tonumber(redis.call('GET', KEYS[i]) or '0'), now)
  wait = math.max(wait, due[i] - now - tonumber(ARGV[5]))
  due[i] = due[i] + interval * tonumber(ARGV[i * 2])
end
if wait > 0 then return tostring(wait) end
for i = 1, 2 do
  redis.call('SET', KEYS[i], string.format('%.6f', due[i]), 'PX', math.ceil((due[i] - now) * 1000) + 1000)
end
return '0'
"""
"""The generic cell rate algorithm for two rates: the time at which each is idle again moves on by what is taken."""

_SPEND = """
local spent = redis.call('GET', KEYS[1])
if not spent then
  if ARGV[3] == '' then return 'unknown' end
  spent = ARGV[3]
end
local after = tonumber(spent) + tonumber(ARGV[1])
local allowed = after <= tonumber(ARGV[2])
if not allowed then after = tonumber(spent) end
redis.call('SET', KEYS[1], string.format('%.9f', after), 'EX', 86400)
return allowed and 'allowed' or 'spent'
"""


class AwayError(UnreachableError):
    """Redis, which is known, does not answer: it may well be back soon."""


class Traffic:
    """One connection to Redis. It belongs to the event loop that it is first used in.

    Args:
        settings: the rates, and where Redis is.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = settings.redis_url.get_secret_value() if settings.redis_url else None
        self._requests, self._tokens = settings.llm_requests_per_minute, settings.llm_tokens_per_minute
        self._provider = hashlib.sha256(f"{settings.openai_base_url}".encode()).hexdigest()[:16]
        self._paused_until: dict[str, float] = {}
        self._redis: redis.asyncio.Redis | None = None

    @property
    def limited(self) -> bool:
        """Whether a rate is set."""
        return self._requests is not None or self._tokens is not None

    async def close(self) -> None:
        """Close the connection."""
        if self._redis is not None:
            await self._redis.aclose()

    async def admit(self, model: str, tokens: int, wanted: Callable[[], bool]) -> None:
        """Wait until a request of so many tokens may be sent, or is no longer wanted.

        Args:
            model: the model to ask; each has rates of its own.
            tokens: expected of question and answer.
            wanted: asked every second while waiting.

        Raises:
            UnreachableError: rates are set and Redis does not answer.
        """
        while wanted():
            wait = self.rest(model)
            if wait <= 0 and self.limited:
                wait = await self._take(model, tokens)
            if wait <= 0:
                return
            await asyncio.sleep(min(wait, 1.0))

    async def correct(self, model: str, tokens: int) -> None:
        """Add tokens that a request cost beyond what it was admitted with; fewer if negative."""
        if self._tokens is not None and tokens:
            await self._take(model, tokens, requests=0, anyway=True)

    def rest(self, model: str) -> float:
        """Seconds for which a model is to be left alone, as far as this process was told."""
        return self._paused_until.get(model, 0) - time.monotonic()

    async def pause(self, model: str, seconds: float) -> None:
        """Send nothing to a model for some seconds, since its provider asks for that."""
        self._paused_until[model] = max(self._paused_until.get(model, 0), time.monotonic() + seconds)
        if self.limited:
            key = self._keys(model)[2]
            until = f"{time.time() + seconds:.6f}"
            await self._answered(lambda server: server.set(key, until, px=max(1, int(seconds * 1000))))

    async def spend(self, run: str, amount: float, limit: float, spent: float | None = None) -> bool | None:
        """Take an amount from a run's budget, if that much is left.

        Args:
            run: its uid, and what tells this budget from an earlier one.
            amount: what a call will cost; may be negative to give back.
            limit: the budget.
            spent: what the ledger says is spent; needed where Redis does not know.

        Returns:
            Whether the amount was taken; None where Redis does not know what was spent: then `spent` has to be given.

        Raises:
            UnreachableError: Redis does not answer.
        """
        given = "" if spent is None else f"{spent:.9f}"
        answer = await self._script(_SPEND, [f"cikg:spent:{run}"], [amount, limit, given])
        return None if answer == "unknown" else answer == "allowed"

    async def _take(self, model: str, tokens: int, requests: int = 1, *, anyway: bool = False) -> float:
        """Take from both rates; seconds to wait where they do not allow it, having taken nothing."""
        intervals = [60 / rate if rate else 0 for rate in (self._requests, self._tokens)]
        burst = 1e9 if anyway else BURST
        answer = await self._script(_ADMIT, self._keys(model), [intervals[0], requests, intervals[1], tokens, burst])
        return float(answer)

    def _keys(self, model: str) -> list[str]:
        return [f"cikg:rate:{self._provider}:{model}:{what}" for what in ("requests", "tokens", "paused")]

    async def _script(self, script: str, keys: list[str], arguments: list[Any]) -> str:
        values = [str(argument) for argument in arguments]
        answer = await self._answered(lambda server: server.eval(script, len(keys), *keys, *values))
        return answer.decode() if isinstance(answer, bytes) else str(answer)

    async def _answered(self, ask: Callable[[redis.asyncio.Redis], Awaitable[Any]]) -> Any:
        """Redis's answer.

        Raises:
            AwayError: none comes.
            UnreachableError: no Redis is known.
        """
        if self._url is None:
            raise UnreachableError(
                "rates and budgets are kept in Redis, but CIKG_REDIS_URL is not set",
                cure="Start the embedded services with `cikg up`, or set CIKG_REDIS_URL",
            )
        if self._redis is None:
            self._redis = redis.asyncio.Redis.from_url(
                self._url,
                socket_connect_timeout=5,
                socket_timeout=10,
                retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), retries=5),
            )
        try:
            return await ask(self._redis)
        except (RedisError, OSError) as error:
            raise AwayError(
                f"Redis, which keeps rates and budgets, does not answer: {error}",
                cure="Start it with `cikg up`, or correct CIKG_REDIS_URL",
            ) from None

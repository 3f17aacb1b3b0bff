"""How many requests are under way at once: fewer when the provider is busy, more again while it answers."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from types import TracebackType

CALM = 1.0
"""Seconds in which refusals count as one: those under way were all sent at the same level."""


class Concurrency:
    """Slots for requests; additive increase, multiplicative decrease. Use as `async with`, in one event loop.

    Who waits longest goes first.

    Args:
        most: the most slots there can be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self._taken = 0
        self._pressed_at = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """Slots that there are now."""
        return max(1, int(self._limit))

    async def __aenter__(self) -> None:
        if self._taken < self.limit and not self._waiting:
            self._taken += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn  # who gives it has taken the slot for us
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()

    def _give_back(self) -> None:
        self._taken -= 1
        while self._waiting and self._taken < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():  # cancelled while it waited
                self._taken += 1
                turn.set_result(None)

    def ease(self) -> None:
        """An answer came: one slot more after as many answers as there are slots."""
        self._limit = min(self._most, self._limit + 1 / self._limit)

    def press(self) -> None:
        """The provider is busy: half the slots, once for all refusals of one moment."""
        now = time.monotonic()
        if now - self._pressed_at >= CALM:
            self._pressed_at = now
            self._limit = max(1.0, self._limit / 2)

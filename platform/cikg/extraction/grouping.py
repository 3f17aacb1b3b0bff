"""Doing together what many callers ask for one by one: a statement for each of them would cost more than their work."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST = 256
"""Items of one group: few enough for one transaction."""


_LOOK = 0.005
"""Seconds between two looks at whether more is coming."""


class Grouped(Generic[Item, Result]):
    """Call it with an item; what comes in while a group is under way makes up the next one.

    It belongs to the event loop that it is first used in. An item is done even if its caller does not wait any longer.

    Args:
        work: does a group, in a thread; returns a result an item, in their order. An error is every caller's.
        coming: whether more items will come soon; while they do, a group waits for them.
        patience: seconds that it waits at most.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], Sequence[Result]],
        coming: Callable[[], bool] = lambda: False,
        patience: float = 0.0,
    ) -> None:
        self._work, self._coming, self._patience = work, coming, patience
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Result:
        """What `work` returns for the item."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None:
            self._task = asyncio.create_task(self._work_off())
        return await future

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """What is under way, to be waited for before the loop ends."""
        return {self._task} if self._task is not None else set()

    async def _work_off(self) -> None:
        while self._waiting:
            began = time.monotonic()
            while self._coming() and len(self._waiting) < MOST and time.monotonic() - began < self._patience:
                await asyncio.sleep(_LOOK)
            group = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
            done = asyncio.to_thread(self._work, [item for item, _ in group])
            (results,) = await asyncio.gather(done, return_exceptions=True)
            for number, (_, future) in enumerate(group):
                if future.done():  # its caller does not wait any longer
                    continue
                if isinstance(results, BaseException):
                    future.set_exception(results)
                else:
                    future.set_result(results[number])
        self._task = None

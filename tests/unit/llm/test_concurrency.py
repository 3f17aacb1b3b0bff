"""How many requests may be under way at once, and whose turn it is."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from cikg.llm import concurrency
from cikg.llm.concurrency import Concurrency


def carry_out(work: Coroutine[Any, Any, None]) -> None:
    """Run it in a loop of its own; tests of a browser leave one running in this thread."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(asyncio.wait_for(work, 10))).result()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which only the test moves."""
    now = [100.0]
    monkeypatch.setattr(concurrency, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_refusals_halve_it_once_a_moment_and_answers_raise_it_one_by_one(clock: list[float]) -> None:
    slots, limits = Concurrency(8), []
    for passed in (0.0, 0.5, 0.5, 1.0, 1.0):
        clock[0] += passed
        slots.press()
        limits.append(slots.limit)
    assert limits == [4, 4, 2, 1, 1]
    slots.ease()
    assert slots.limit == 2
    for _ in range(2):
        slots.ease()
    assert slots.limit == 2, "fewer answers than it takes"
    for _ in range(100):
        slots.ease()
    assert slots.limit == 8


def test_a_busy_provider_is_asked_less_at_once(clock: list[float]) -> None:
    slots, taken = Concurrency(4), []

    async def ask() -> None:
        async with slots:
            taken.append(slots._taken)
            await asyncio.sleep(0)

    async def go() -> None:
        await asyncio.gather(*[ask() for _ in range(8)])
        slots.press()
        await asyncio.gather(*[ask() for _ in range(8)])

    carry_out(go())
    assert (max(taken[:8]), max(taken[8:])) == (4, 2)


@pytest.mark.parametrize("leaves", [False, True], ids=["all-stay", "the-first-is-cancelled"])
def test_who_waits_longest_goes_first_and_a_turn_that_nobody_takes_is_passed_on(
    clock: list[float], *, leaves: bool
) -> None:
    slots, order = Concurrency(2), []

    async def work(name: str) -> None:
        async with slots:
            order.append(name)
            await asyncio.sleep(0)

    async def go() -> None:
        slots.press()
        async with slots:
            waiting = [asyncio.create_task(work(name)) for name in ("first", "second")]
            await asyncio.sleep(0)
            slots.ease()  # there is a second slot now, which whoever comes later must not take
            waiting.append(asyncio.create_task(work("latecomer")))
            await asyncio.sleep(0)
            assert order == []
        if leaves:
            waiting[0].cancel()  # its turn was given to it, and it has not begun
        await asyncio.gather(*waiting, return_exceptions=True)

    carry_out(go())
    assert order == ["first", "second", "latecomer"][leaves:]
    assert slots._taken == 0

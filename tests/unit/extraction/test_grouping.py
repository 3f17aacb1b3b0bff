"""What many ask for one by one is done together, and nobody waits for others' mistakes longer than need be."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cikg.errors import ServiceError
from cikg.extraction.grouping import MOST, Grouped


def in_a_loop(work: Any) -> Any:
    """Run a coroutine in a thread of its own: another test may have left a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


def test_what_comes_in_meanwhile_is_the_next_group_and_every_caller_gets_its_own_result() -> None:
    groups: list[list[int]] = []
    go_on = threading.Event()

    def square(items: list[int]) -> Sequence[int]:
        groups.append(items)
        go_on.wait(5)
        return [item * item for item in items]

    async def ask() -> list[int]:
        grouped = Grouped(square)
        first = asyncio.create_task(grouped(0))
        while not groups:
            await asyncio.sleep(0.001)
        rest = [asyncio.create_task(grouped(number)) for number in range(1, MOST + 3)]
        await asyncio.sleep(0)
        go_on.set()
        return [await first, *[await each for each in rest]]

    assert in_a_loop(ask) == [number * number for number in range(MOST + 3)]
    assert [len(group) for group in groups] == [1, MOST, 2]


def test_a_group_waits_for_what_is_coming_and_no_longer() -> None:
    groups: list[list[int]] = []
    coming = 3

    def note(items: list[int]) -> Sequence[int]:
        groups.append(items)
        return items

    async def ask() -> float:
        nonlocal coming
        grouped = Grouped(note, lambda: coming > 0, patience=60.0)
        asked = []
        for number in range(3):
            asked.append(asyncio.create_task(grouped(number)))
            await asyncio.sleep(0.02)
            coming -= 1
        began = time.monotonic()
        await asyncio.gather(*asked)
        return time.monotonic() - began

    assert in_a_loop(ask) < 30
    assert groups == [[0, 1, 2]]


def test_a_group_begins_when_its_patience_ends_or_it_is_large_enough() -> None:
    groups: list[list[int]] = []

    def note(items: list[int]) -> Sequence[int]:
        groups.append(items)
        return items

    async def ask(patience: float, items: int) -> None:
        grouped = Grouped(note, lambda: True, patience)
        await asyncio.gather(*(grouped(number) for number in range(items)))

    in_a_loop(lambda: ask(0.01, 2))
    assert groups == [[0, 1]]
    in_a_loop(lambda: ask(60.0, MOST))
    assert len(groups[1]) == MOST


def test_an_error_is_its_groups_and_the_next_group_is_done() -> None:
    def fail_at_first(items: list[str]) -> Sequence[str]:
        if "bad" in items:
            raise ServiceError("it is away")
        return items

    async def ask() -> str:
        grouped = Grouped(fail_at_first)
        with pytest.raises(ServiceError, match="it is away"):
            await grouped("bad")
        return await grouped("good")

    assert in_a_loop(ask) == "good"


def test_an_item_is_done_although_its_caller_left() -> None:
    done: list[str] = []
    go_on = threading.Event()

    def note(items: list[str]) -> Sequence[None]:
        go_on.wait(5)
        done.extend(items)
        return [None] * len(items)

    async def ask() -> None:
        grouped = Grouped(note)
        leaving = [asyncio.create_task(grouped(name)) for name in ("first", "second")]
        await asyncio.sleep(0.01)
        for task in leaving:
            task.cancel()
        go_on.set()
        await asyncio.wait(grouped.tasks)
        assert not grouped.tasks

    in_a_loop(ask)
    assert done == ["first", "second"]

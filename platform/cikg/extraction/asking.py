"""Asking: one question to the LLM at a time that suits the provider, within what the run may spend."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cikg.errors import CikgError
from cikg.extraction.budget import Meter
from cikg.extraction.job import Request
from cikg.extraction.tokens import FIRST_GUESS, prompt_tokens
from cikg.llm.answers import Answer, BusyError, Usage
from cikg.llm.concurrency import Concurrency
from cikg.llm.traffic import AwayError, Traffic
from cikg.settings import Settings

LONGEST_WAIT = 60.0
"""Seconds that a worker waits for a busy provider; beyond, the subject is given back until then."""
_WITHOUT_REDIS = 15.0
"""Seconds for which a run rests where the Redis that keeps its rates and budget is away."""


class StoppedError(Exception):
    """The question is not wanted any more: the run was stopped, and the subject goes back to planned."""


class LaterError(CikgError):
    """The provider asks to wait for longer than a worker should.

    Args:
        message: what to tell a person.
        seconds: how long.
    """

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(frozen=True)
class Terms:
    """Under what terms a question is put.

    Attributes:
        parameters: sampling parameters.
        wanted: whether it is still wanted.
        meter: what the run may spend.
    """

    parameters: Mapping[str, Any]
    wanted: Callable[[], bool]
    meter: Meter


class Asker:
    """Puts questions to one model. It belongs to the event loop that it is first used in.

    Args:
        settings: the LLM's address and limits.
        model: the model.
        traffic: what is shared with other workers.
    """

    def __init__(self, settings: Settings, model: str, traffic: Traffic) -> None:
        from cikg.llm.client import Client  # noqa: PLC0415 - OpenAI's client loads slowly, and only workers ask

        self._client = Client(settings, model)
        self._model, self._traffic = model, traffic
        self._slots = Concurrency(settings.llm_concurrency)
        self._patience = settings.llm_timeout * (settings.llm_retries + 1)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def ask(self, request: Request, terms: Terms, usage: Usage) -> Answer[Any]:
        """The answer to a request.

        Args:
            request: the question and the shape of its answer.
            terms: under what terms.
            usage: the cost is added to this, whether or not an answer comes.

        Raises:
            StoppedError: it was not wanted any more when its turn came.
            LaterError: the provider wants to be left alone for long, or Redis is needed and away.
            ServiceError: as `Client.complete` says, and where Redis is needed and none is known.
        """
        try:
            return await self._ask(request, terms, usage)
        except AwayError as away:  # before anything was sent: an answer is kept without it
            raise LaterError(str(away), _WITHOUT_REDIS) from away

    async def _ask(self, request: Request, terms: Terms, usage: Usage) -> Answer[Any]:
        """The answer to a request; raises what `ask` does, and `AwayError`."""
        expected = prompt_tokens(request.prompt) + FIRST_GUESS
        async with self._slots:
            began, refusals = time.monotonic(), 0
            while True:
                self._give_way()
                await self._traffic.admit(self._model, expected, terms.wanted)
                if not terms.wanted():
                    raise StoppedError
                async with terms.meter.spending(self._traffic, expected, usage):
                    before = usage.prompt_tokens + usage.completion_tokens
                    try:
                        answer = await self._client.complete(request.prompt, request.schema, terms.parameters, usage)
                    except BusyError as busy:
                        refusals += 1
                        await self._wait(busy, refusals, began)
                        continue
                    finally:
                        spent = usage.prompt_tokens + usage.completion_tokens - before
                        with suppress(AwayError):  # an answer that is paid for is worth more than a rate kept exactly
                            await self._traffic.correct(self._model, spent - expected)
                self._slots.ease()
                return answer

    async def _wait(self, busy: BusyError, refusals: int, began: float) -> None:
        """Do as a busy provider asks, or give up.

        Raises:
            LaterError: it asks for more than a worker waits.
            BusyError: it was busy for as long as a subject may wait.
        """
        self._slots.press()
        seconds = busy.seconds
        if not seconds:  # "at once" is no rest: every worker would ask again and again
            seconds = min(2.0 ** (refusals - 1), 30.0) * random.uniform(0.75, 1.25)  # noqa: S311
        await self._traffic.pause(self._model, seconds)
        self._give_way()
        if time.monotonic() - began + seconds > self._patience:
            raise busy
        await asyncio.sleep(0)

    def _give_way(self) -> None:
        """Hold no slot while the provider wants a long rest.

        Raises:
            LaterError: it does.
        """
        seconds = self._traffic.rest(self._model)
        if seconds > LONGEST_WAIT:
            raise LaterError(f"the LLM wants to be left alone for {seconds:.0f} s", seconds)

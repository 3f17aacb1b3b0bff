"""Waiting for questions that were sent in batches."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext

from rich.status import Status

from cikg.cli._output import messages
from cikg.errors import AuthenticationError, ServiceError
from cikg.extraction import batching
from cikg.extraction.batching import Sent
from cikg.graph import Graph
from cikg.settings import Settings

_FIRST_PAUSE = 0.5
"""Seconds before the first look; each pause is half as long again as the one before, up to `sweep_seconds`."""


def follow_batches(graph: Graph, settings: Settings, run: str, *, quiet: bool) -> None:
    """Wait until nothing of a run is with the provider. Interrupting it leaves the batches there.

    Raises:
        ServiceError: the provider takes no batches, refuses the key, or did not answer at first.
    """
    sent = batching.advance(graph, settings, run)
    if not sent.waiting:
        return
    messages.print(
        f"{_said(sent)}. This can take a day; if you interrupt it, the same command waits again.", soft_wrap=True
    )
    waiting: AbstractContextManager[Status | None] = nullcontext() if quiet else messages.status(_said(sent))
    pause = _FIRST_PAUSE
    with waiting as shown:
        while sent.waiting:
            time.sleep(min(pause, settings.sweep_seconds))
            pause = min(1.5 * pause, settings.sweep_seconds)
            sent = _look(graph, settings, run, sent)
            if shown is not None:
                shown.update(_said(sent))


def _look(graph: Graph, settings: Settings, run: str, before: Sent) -> Sent:
    """Look again; a provider that is away for a while is waited for."""
    try:
        return batching.advance(graph, settings, run)
    except AuthenticationError:
        raise
    except ServiceError as error:
        messages.print(str(error))
        return before


def _said(sent: Sent) -> str:
    several = "batch" if sent.batches == 1 else "batches"
    return f"{sent.questions:,} questions are with the provider in {sent.batches} {several}, {sent.answered:,} answered"

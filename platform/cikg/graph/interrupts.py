"""Ctrl-C while the server works: the statement ends at once, here and there."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Interruption(KeyboardInterrupt, asyncio.CancelledError):
    """Ctrl-C as the driver understands it.

    At a KeyboardInterrupt it would roll back, and wait for that until the statement has ended. At a cancellation it
    kills the connection, upon which the server ends the statement and its transaction.
    """


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end a statement of this block as a KeyboardInterrupt, whatever the driver trips over as it closes.

    Python gives signals to its main thread alone. Where somebody else handles them, they go on doing so.
    """
    ours = threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    except (Exception, _Interruption) as error:
        before: BaseException | None = error
        while before is not None:
            if isinstance(before, _Interruption):
                raise KeyboardInterrupt from None
            before = before.__context__
        raise
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(*_: object) -> None:
    raise _Interruption

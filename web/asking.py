"""What the console's page and its API share: whether it is open, and how long a statement may take."""

from __future__ import annotations

from cikg.errors import InputError, NotReadOnlyError
from cikg.settings import Settings


class ClosedError(NotReadOnlyError):
    """The console is off."""


def require_console(settings: Settings) -> None:
    """Make sure that the console is open.

    Raises:
        ClosedError: it is not.
    """
    if not settings.console:
        raise ClosedError("the Cypher console is off", cure="Set CIKG_CONSOLE=true where the dashboard runs")


def allowed_seconds(settings: Settings, wanted: float | None) -> float:
    """How long a statement may take.

    Raises:
        InputError: more is wanted than is allowed, or nothing.
    """
    if wanted is None:
        return settings.console_seconds
    if not 0.1 <= wanted <= settings.console_seconds:
        raise InputError(
            f"a statement may take 0.1 to {settings.console_seconds:g} seconds, not {wanted:g}",
            cure="Ask for less, or raise CIKG_CONSOLE_SECONDS",
        )
    return wanted

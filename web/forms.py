"""Numbers that people write into forms: what is none is refused, and never taken for an empty field."""

from __future__ import annotations

from cikg.errors import InputError

_LONGEST = 18  # digits; Python refuses to read some thousand


def whole(text: str, name: str, least: int, most: int) -> int:
    """A whole number of a form.

    Args:
        text: what was written.
        name: what it is, for the message.
        least: the smallest that is allowed.
        most: the largest.

    Raises:
        InputError: it is none, or out of range.
    """
    digits = text.strip()
    number = int(digits) if digits.isdecimal() and len(digits) <= _LONGEST else least - 1
    if not least <= number <= most:
        raise InputError(
            f"{digits[:40]!r} cannot be the {name}", cure=f"Give a whole number from {least:,} to {most:,}"
        )
    return number

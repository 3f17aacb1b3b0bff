"""What other people wrote, as a terminal may be given it."""

from __future__ import annotations


def visible(text: str) -> str:
    """Text without what a terminal would obey; lines stay lines."""
    return "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in text)

"""Subjects in portions: what is read of many is read a few hundred at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

SIZE = 500


def portions(ids: Sequence[str], size: int = SIZE) -> Iterator[Sequence[str]]:
    """Yield ids in their order, so many at a time that one statement reads what is known of them."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]

"""Lists of any length, a page at a time: a cursor says where the next page begins, and means nothing to the caller."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from flask import g
from pydantic import BaseModel, ConfigDict, Field

from cikg.errors import InputError

Row = TypeVar("Row")
MOST = 500
LAST = 2**31 - 1 - MOST  # a list's index is a 32-bit number to the server


class Page(BaseModel, Generic[Row]):
    """A page of a list."""

    items: list[Row] = Field(description="The rows of this page")
    next: str | None = Field(None, description="Cursor of the next page; null on the last one")


class Paged(BaseModel):
    """Which page of a list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=MOST, description="Maximum number of rows on the page")
    cursor: str | None = Field(
        None, max_length=2000, description="`next` of the page before; leave it out for the first page"
    )


class Filtered(Paged):
    """Which page of a list, and which rows."""

    q: str = Field("", max_length=200, description="Only rows whose name or id contains this text; case is ignored")

    @property
    def text(self) -> str:
        """What the statements of lists look for, as the pages' filters do."""
        return self.q.strip().lower()


def by_key(query: Paged, first: str, read: Callable[[str, int], Sequence[Any]], key: Callable[[Any], str]) -> Page[Any]:
    """A page of a list in the order of its keys.

    Args:
        query: which page.
        first: what comes before the first key, in the order of the list.
        read: from a key and a number, so many rows that come after it.
        key: of a row.
    """
    after = first if query.cursor is None else _decode(query.cursor)
    rows = read(after, query.limit + 1)
    return _page(rows, query.limit, key)


def by_place(query: Paged, read: Callable[[int, int], Sequence[Any]]) -> Page[Any]:
    """A page of a list that has no key to begin after: a cursor is a number of rows to skip."""
    skip = _decode(query.cursor or encode("0"))
    if not (skip.isascii() and skip.isdigit() and len(skip) < 11 and int(skip) <= LAST):
        raise _wrong()
    rows = read(int(skip), query.limit + 1)
    return _page(rows, query.limit, lambda _row: str(int(skip) + query.limit))


def encode(place: str) -> str:
    """A cursor."""
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _page(rows: Sequence[Any], limit: int, key: Callable[[Any], str]) -> Page[Any]:
    shown = rows[:limit]
    following = encode(key(shown[-1])) if len(rows) > limit else None
    g.next_cursor = following
    return Page(items=list(shown), next=following)


def _decode(cursor: str) -> str:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise _wrong() from None


def _wrong() -> InputError:
    return InputError(
        "the cursor is invalid", cure="Send `next` of the page before, or leave the cursor out for the first page"
    )

"""Lists that come a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import request

from cikg.graph import Graph

PAGE_ROWS = 50
LAST_ROW = 2**31 - 1 - PAGE_ROWS  # a list's index is a 32-bit number to the server


@dataclass(frozen=True)
class Listing:
    """One page of a list.

    Attributes:
        text: what the list was filtered by; empty for all.
        by: the figure that puts it in order; empty for the order that it has by itself.
        page: from 1.
        pages: how many there are, at least 1.
        total: rows over all pages.
        rows: of this page.
    """

    text: str
    by: str
    page: int
    pages: int
    total: int
    rows: tuple[dict[str, Any], ...]


def load(graph: Graph, statement: str, dataset: str, orders: Collection[str] = ()) -> Listing:
    """Read the page that the address asks for (`?q=…&by=…&page=…`).

    Args:
        graph: the graph.
        statement: the one that reads a page; it takes `by` where there are orders.
        dataset: the dataset.
        orders: the figures that can put the list in order, besides the one that does so by itself.
    """
    text, page = _asked()
    by = asked if (asked := request.args.get("by", "")) in orders else ""
    skip = min((page - 1) * PAGE_ROWS, LAST_ROW)
    order = {"by": by} if orders else {}
    found = graph.one(statement, dataset=dataset, text=text.lower(), skip=skip, limit=PAGE_ROWS, **order)
    return Listing(text, by, page, _pages(found["total"], PAGE_ROWS), found["total"], tuple(found["rows"]))


def choose(names: Iterable[str], size: int, read: Callable[[Sequence[str]], Iterable[dict[str, Any]]]) -> Listing:
    """The page that the address asks for, of things whose names are all known.

    Args:
        names: of all of them, in order.
        size: rows a page.
        read: reads the rows of those on the page.
    """
    text, page = _asked()
    found = [name for name in names if text.lower() in name.lower()]
    shown = found[(page - 1) * size : page * size]
    return Listing(text, "", page, _pages(len(found), size), len(found), tuple(read(shown)))


def _asked() -> tuple[str, int]:
    return request.args.get("q", "").strip(), max(request.args.get("page", 1, type=int), 1)


def _pages(total: int, size: int) -> int:
    return max(-(-total // size), 1)

"""Lists that come a page at a time."""

from __future__ import annotations

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
        page: from 1.
        pages: how many there are, at least 1.
        total: rows over all pages.
        rows: of this page.
    """

    text: str
    page: int
    pages: int
    total: int
    rows: tuple[dict[str, Any], ...]


def load(graph: Graph, statement: str, dataset: str) -> Listing:
    """Read the page that the address asks for (`?q=…&page=…`)."""
    text = request.args.get("q", "").strip()
    page = max(request.args.get("page", 1, type=int), 1)
    skip = (page - 1) * PAGE_ROWS
    found = graph.one(statement, dataset=dataset, text=text.lower(), skip=min(skip, LAST_ROW), limit=PAGE_ROWS)
    pages = max(-(-found["total"] // PAGE_ROWS), 1)
    return Listing(text, page, pages, found["total"], tuple(found["rows"]))

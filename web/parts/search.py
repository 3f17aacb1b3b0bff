"""Search by name over everything, and by exact id."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cikg.graph import Graph
from cikg.schema import uid
from web.chrome import address

SHOWN = 40
LONGEST_QUERY = 200


@dataclass(frozen=True)
class Hit:
    """Something found."""

    label: str
    id: str
    name: str
    degree: int
    href: str


@dataclass(frozen=True)
class Found:
    """What was found for a text.

    Attributes:
        text: what was searched for.
        hits: best first; what has exactly this id comes before names.
        cut: whether there may be more.
    """

    text: str
    hits: tuple[Hit, ...]
    cut: bool


def full_text(text: str) -> str:
    """A Lucene query that finds names with every word of `text`, the last one begun or whole.

    Words are letters and digits, so none of Lucene's operators can occur in it; it is empty where no word is left.
    """
    words = re.findall(r"\w+", text.lower())
    return " AND ".join([f'"{word}"' for word in words[:-1]] + [f'("{word}" OR {word}*)' for word in words[-1:]])


def search(graph: Graph, dataset: str, text: str, limit: int = SHOWN) -> Found:
    """Find a text."""
    text = text.strip()[:LONGEST_QUERY]
    query = full_text(text)
    rows = graph.many("search_id", uid=uid(dataset, text)) if text else []
    rows += graph.many("search_names", dataset=dataset, query=query, limit=limit + 1) if query else []
    unique = {(row["label"], row["id"]): row for row in reversed(rows)}
    ordered = [row for row in rows if unique.pop((row["label"], row["id"]), None)]
    hits = tuple(
        Hit(row["label"], row["id"], row["name"], row["degree"], address(row["label"], dataset, row["id"]))
        for row in ordered[:limit]
    )
    return Found(text, hits, len(ordered) > limit)

"""Cuts a dataset into the batches of `cypher/import.cypher`: nodes before edges, everything in canonical order.

The rows of a dataset are numbered through, so that an interrupted import goes on at the row where it stopped. Edges are
sent as columns: each end of a batch once by its key, and per edge two positions in those lists. That spares the server
a look-up an edge, and both sides most of what they would have to pack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from cikg.datasets.knowledge import decode
from cikg.datasets.records import Entity, Interest, Item, KnowledgeEdge, KnowledgeNode, User
from cikg.datasets.tables import NEVER, SPLITS, Indices, Pairs, Tables
from cikg.graph.database import BATCH
from cikg.schema import Relationship, uid

NODE_BATCH = BATCH
EDGE_BATCH = 2 * BATCH
"""Nodes and edges a transaction. Larger ones were no faster, and need more of the server's memory."""

CHARACTERS = 2**22
"""Characters of names and texts a transaction, or one node's: whole articles would exceed the server's memory."""

_SPLITS = [str(split) for split in SPLITS]


@dataclass(frozen=True)
class Batch:
    """One transaction.

    Attributes:
        statement: its block in `cypher/import.cypher`.
        start, end: the numbers of its first row and of the row after its last.
        parameters: what it writes.
    """

    statement: str
    start: int
    end: int
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class _Stage:
    """All rows that one statement writes; `part(first, last)` makes the parameters for some of them.

    `characters` are those of all rows up to each, that one included; None where rows are all of a size.
    """

    statement: str
    count: int
    size: int
    part: Callable[[int, int], Mapping[str, Any]]
    parameters: Mapping[str, str | None] = field(default_factory=dict)
    characters: npt.NDArray[np.int64] | None = None

    def end(self, start: int, most: int) -> int:
        """The row after the last of the batch that begins with `start` and has at most `most` rows."""
        end = min(start + min(self.size, most), self.count)
        if self.characters is None:
            return end
        last = CHARACTERS + (int(self.characters[start - 1]) if start else 0)
        return min(end, max(start + 1, int(np.searchsorted(self.characters, last, side="right"))))


def data_rows(tables: Tables) -> int:
    """How many rows of data an import writes; those of knowledge come after them."""
    counts = tables.counts()
    return sum(
        counts[kind] for kind in ("users", "items", "entities", "interests", "interactions", "facts", "interest_edges")
    )


def total_rows(tables: Tables) -> int:
    """How many rows an import writes."""
    return data_rows(tables) + len(tables.knowledge)


def batches(tables: Tables, dataset: str, run: str, done: int = 0, most: int = EDGE_BATCH) -> Iterator[Batch]:
    """Yield the batches of an import, without its first `done` rows; each has at most `most` rows."""
    offset = 0
    for stage in _stages(tables, dataset, run):
        start = max(done - offset, 0)
        while start < stage.count:
            end = stage.end(start, most)
            parameters = {**stage.parameters, **stage.part(start, end)}
            yield Batch(stage.statement, offset + start, offset + end, parameters)
            start = end
        offset += stage.count


def _stages(tables: Tables, dataset: str, run: str) -> Iterator[_Stage]:
    def keys(nodes: Sequence[User | Item | Entity | Interest]) -> list[str]:
        return [uid(dataset, node.id) for node in nodes]

    users, things, interests = keys(tables.users), keys(tables.things), keys(tables.interests)
    items, entities = things[: len(tables.items)], things[len(tables.items) :]

    yield _nodes("import_users", users, [[user.id, user.name] for user in tables.users])
    yield _nodes("import_items", items, [[item.id, item.name, item.text] for item in tables.items])
    yield _nodes("import_entities", entities, [[entity.id, entity.name] for entity in tables.entities])
    named = [[interest.id, interest.name or f"interest {interest.id}"] for interest in tables.interests]
    yield _nodes("import_interests", interests, named, {"run": run})
    yield _interactions(tables, users, items)
    for relation, pairs in tables.facts.items():
        yield _facts(pairs, things, {"relation": relation, "type": tables.types[relation]})
    yield _interest_edges(tables.has_interest, users, interests, {"run": run})
    for kind, rows in groupby(tables.knowledge, _kind):
        yield _knowledge(kind, list(rows), dataset, run)


def _nodes(
    statement: str, keys: list[str], values: Sequence[Sequence[str | None]], parameters: Mapping[str, str] | None = None
) -> _Stage:
    def part(first: int, last: int) -> dict[str, Any]:
        return {"rows": [[key, *value] for key, value in zip(keys[first:last], values[first:last], strict=True)]}

    characters = np.cumsum([sum(len(text or "") for text in row) for row in values], dtype=np.int64)
    return _Stage(statement, len(keys), NODE_BATCH, part, parameters or {}, characters)


def _interactions(tables: Tables, users: list[str], items: list[str]) -> _Stage:
    table = tables.interactions

    def part(first: int, last: int) -> dict[str, Any]:
        rows = slice(first, last)
        user_uids, user_index = _ends(users, table.user_index[rows])
        item_uids, item_index = _ends(items, table.item_index[rows])
        return {
            "users": user_uids,
            "items": item_uids,
            "user_index": user_index,
            "item_index": item_index,
            "splits": _SPLITS,
            "split_index": table.split[rows].tolist(),
            "ratings": [None if np.isnan(rating) else rating for rating in table.rating[rows].tolist()],
            "times": [None if at == NEVER else at for at in table.at[rows].tolist()],
        }

    return _Stage("import_interactions", len(table.split), EDGE_BATCH, part)


def _facts(pairs: Pairs, things: list[str], parameters: Mapping[str, str]) -> _Stage:
    def part(first: int, last: int) -> dict[str, Any]:
        both = np.concatenate([pairs.source_index[first:last], pairs.target_index[first:last]])
        uids, index = _ends(things, both)
        return {"things": uids, "head_index": index[: last - first], "tail_index": index[last - first :]}

    return _Stage("import_facts", len(pairs.source_index), EDGE_BATCH, part, parameters)


def _interest_edges(pairs: Pairs, users: list[str], interests: list[str], parameters: Mapping[str, str]) -> _Stage:
    def part(first: int, last: int) -> dict[str, Any]:
        user_uids, user_index = _ends(users, pairs.source_index[first:last])
        interest_uids, interest_index = _ends(interests, pairs.target_index[first:last])
        return {
            "users": user_uids,
            "interests": interest_uids,
            "user_index": user_index,
            "interest_index": interest_index,
        }

    return _Stage("import_interest_edges", len(pairs.source_index), EDGE_BATCH, part, parameters)


def _kind(row: KnowledgeNode | KnowledgeEdge) -> tuple[str, ...]:
    """What of a row is one for a whole batch: a node's label, or an edge's type and the labels at its ends."""
    if isinstance(row, KnowledgeNode):
        return (row.label,)
    return row.type, row.source_label, row.target_label


def _knowledge(kind: tuple[str, ...], found: Sequence[KnowledgeNode | KnowledgeEdge], dataset: str, run: str) -> _Stage:
    def key(part: str) -> str:
        return uid(dataset, part) if part else dataset

    def part(first: int, last: int) -> dict[str, Any]:
        rows = []
        for row in found[first:last]:
            properties = decode(dataset, row.properties)
            if isinstance(row, KnowledgeNode):
                rows.append([key(row.key), properties])
            else:
                rows.append([key(row.source), key(row.target), properties])
        return {"rows": rows}

    characters = np.cumsum([len(row.properties) for row in found], dtype=np.int64)
    if len(kind) == 1:
        return _Stage("import_knowledge_nodes", len(found), NODE_BATCH, part, {"label": kind[0]}, characters)
    names = dict(zip(("type", "source_label", "target_label"), kind, strict=True))
    run_of = {"run": run if kind[0] == Relationship.HAS_INTEREST else None}
    return _Stage("import_knowledge_edges", len(found), NODE_BATCH, part, names | run_of, characters)


def _ends(keys: list[str], index: Indices) -> tuple[list[str], list[int]]:
    """The keys at one end of a batch's edges, each once, and for each edge its key's position among them."""
    used, position = np.unique(index, return_inverse=True)
    return [keys[row] for row in used.tolist()], position.tolist()

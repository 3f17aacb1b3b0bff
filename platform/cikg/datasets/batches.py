"""Cuts a dataset into the batches of `cypher/import.cypher`: nodes before edges, everything in canonical order.

The rows of a dataset are numbered through, so that an interrupted import goes on at the row where it stopped.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cikg.datasets.records import Entity, Interest, Item, User
from cikg.datasets.tables import NEVER, SPLITS, Indices, Tables
from cikg.graph.database import BATCH
from cikg.schema import uid

EDGE_BATCH = 2 * BATCH
"""Edges a transaction: grouped by their first end, they weigh half of a node."""


@dataclass(frozen=True)
class Batch:
    """One transaction.

    Attributes:
        statement: its block in `cypher/import.cypher`.
        start, end: the numbers of its first row and of the row after its last.
        rows: what it writes.
        parameters: the statement's further parameters.
    """

    statement: str
    start: int
    end: int
    rows: list[Any]
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class _Stage:
    """All rows that one statement writes; `rows(first, last)` makes some of them."""

    statement: str
    count: int
    size: int
    rows: Callable[[int, int], list[Any]]
    parameters: Mapping[str, str] = field(default_factory=dict)


def total_rows(tables: Tables) -> int:
    """How many rows an import writes."""
    counts = tables.counts()
    return sum(
        counts[kind] for kind in ("users", "items", "entities", "interests", "interactions", "facts", "interest_edges")
    )


def batches(tables: Tables, dataset: str, run: str, done: int = 0) -> Iterator[Batch]:
    """Yield the batches of an import, without its first `done` rows."""
    offset = 0
    for stage in _stages(tables, dataset, run):
        first = max(done - offset, 0)
        for start in range(first, stage.count, stage.size):
            end = min(start + stage.size, stage.count)
            yield Batch(stage.statement, offset + start, offset + end, stage.rows(start, end), stage.parameters)
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
        yield _edges(
            "import_facts",
            (pairs.source_index, pairs.target_index),
            (things, things),
            {"relation": relation, "type": tables.types[relation]},
        )
    held = (tables.has_interest.source_index, tables.has_interest.target_index)
    yield _edges("import_interest_edges", held, (users, interests), {"run": run})


def _nodes(
    statement: str, keys: list[str], values: Sequence[Sequence[str | None]], parameters: Mapping[str, str] | None = None
) -> _Stage:
    def rows(first: int, last: int) -> list[Any]:
        return [[key, *value] for key, value in zip(keys[first:last], values[first:last], strict=True)]

    return _Stage(statement, len(keys), BATCH, rows, parameters or {})


def _interactions(tables: Tables, users: list[str], items: list[str]) -> _Stage:
    table = tables.interactions

    def rows(first: int, last: int) -> list[Any]:
        part = slice(first, last)
        edges = [
            [
                items[item],
                SPLITS[split],
                None if np.isnan(rating) else rating,
                None if at == NEVER else at,
            ]
            for item, split, rating, at in zip(
                table.item_index[part].tolist(),
                table.split[part].tolist(),
                table.rating[part].tolist(),
                table.at[part].tolist(),
                strict=True,
            )
        ]
        return _grouped(table.user_index[part], users, edges)

    return _Stage("import_interactions", len(table.split), EDGE_BATCH, rows)


def _edges(
    statement: str,
    ends: tuple[Indices, Indices],
    keys: tuple[list[str], list[str]],
    parameters: Mapping[str, str],
) -> _Stage:
    def rows(first: int, last: int) -> list[Any]:
        targets = [keys[1][index] for index in ends[1][first:last].tolist()]
        return _grouped(ends[0][first:last], keys[0], targets)

    return _Stage(statement, len(ends[0]), EDGE_BATCH, rows, parameters)


def _grouped(source_index: Indices, keys: list[str], targets: list[Any]) -> list[Any]:
    """Group targets by their source, which is sorted: [[source key, [target, …]], …]."""
    starts = [0, *(np.flatnonzero(np.diff(source_index)) + 1).tolist(), len(targets)]
    return [[keys[int(source_index[first])], targets[first:last]] for first, last in itertools.pairwise(starts)]

"""Reads a dataset out of the graph as columns, in canonical order and of one state of the graph.

Neo4j's transactions are read-committed: statements of one transaction may see different states. Every writer of a
dataset counts its `version` up, so the columns are of one state when the version is the same before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from cikg.errors import ConflictError, NotFoundError
from cikg.graph.database import Graph, Row
from cikg.schema import Split

ATTEMPTS = 3
"""How often a dataset that changes while it is read is read anew."""

NEVER = int(np.iinfo(np.int64).min)
"""The time of an interaction whose time is unknown."""

Columns = dict[str, npt.NDArray[Any]]
Read = Callable[..., Iterator[Row]]


@dataclass(frozen=True)
class Export:
    """A dataset's state.

    Attributes:
        properties: those of the Dataset node.
        nodes: ids, names (and texts) of `users`, `items`, `entities`, `interests`, sorted by id.
        columns: the columns of a snapshot by file name.
        relations: relationship types, in the order of `facts.relation_index`.
    """

    properties: Row
    nodes: dict[str, dict[str, list[str]]]
    columns: Columns
    relations: list[str]


def by_id(row: Row) -> tuple[int, int, str]:
    """The order of nodes: numbers by value, then other ids as text."""
    identifier: str = row["id"]
    if identifier.isascii() and identifier.isdecimal():
        return 0, int(identifier), identifier
    return 1, 0, identifier


def dataset_properties(graph: Graph, dataset: str) -> Row:
    """The properties of a dataset that is complete.

    Raises:
        NotFoundError: there is none of this name.
        ConflictError: its import has not been finished.
    """
    return _ready(graph.many("find_dataset", dataset=dataset), dataset)


def export(graph: Graph, dataset: str, advance: Callable[[int], None] = lambda _count: None) -> Export:
    """Read a dataset.

    Args:
        graph: where from.
        dataset: its name.
        advance: called with the number of edges read.

    Raises:
        NotFoundError: there is no such dataset.
        ConflictError: it is being written all the time.
    """
    for _ in range(ATTEMPTS):
        with graph.reading() as read:
            before = _ready(read("find_dataset", dataset=dataset), dataset)
            try:
                found = _read(read, dataset, before, advance)
            except KeyError:  # an edge to a node that came after the nodes were read
                continue
            if _ready(read("find_dataset", dataset=dataset), dataset)["version"] == before["version"]:
                return found
    raise ConflictError(
        f"the dataset {dataset!r} changes while it is read", cure="Wait until its jobs are done, then repeat"
    )


def _ready(rows: Iterable[Row], dataset: str) -> Row:
    for row in rows:
        properties: Row = row["dataset"]
        if properties["state"] != "ready":
            raise ConflictError(
                f"the import of the dataset {dataset!r} is not complete", cure="Repeat `cikg import` to complete it"
            )
        return properties
    raise NotFoundError(f"there is no dataset {dataset!r}", cure="Import it with `cikg import`")


def _read(read: Read, dataset: str, properties: Row, advance: Callable[[int], None]) -> Export:
    nodes = {
        kind: _nodes(read(f"export_{kind}", dataset=dataset)) for kind in ("users", "items", "entities", "interests")
    }
    index = {kind: _numbered(columns["id"]) for kind, columns in nodes.items()}
    things = _numbered(nodes["items"]["id"] + nodes["entities"]["id"])
    relations = sorted(properties["relations"])
    columns: Columns = {
        **_interactions(
            list(read("export_interactions", dataset=dataset, unrated=float("nan"), never=NEVER)),
            index["users"],
            index["items"],
        ),
        **_facts(list(read("export_facts", dataset=dataset)), things, _numbered(relations)),
        **_has_interest(list(read("export_interest_edges", dataset=dataset)), index["users"], index["interests"]),
    }
    for name in ("interactions.user_index", "facts.head_index", "has_interest.user_index"):
        advance(len(columns[name]))
    return Export(properties, nodes, columns, relations)


def _nodes(rows: Iterable[Row]) -> dict[str, list[str]]:
    """Nodes as columns, sorted by id."""
    ordered = sorted(rows, key=by_id)
    keys = ordered[0].keys() if ordered else ("id", "name", "text")
    return {key: [row[key] for row in ordered] for key in keys}


def _numbered(keys: list[str]) -> dict[str, int]:
    return {key: number for number, key in enumerate(keys)}


def _column(values: Iterable[Any], dtype: type[np.generic]) -> npt.NDArray[Any]:
    return np.fromiter(values, dtype=dtype)


def _repeated(rows: list[Row], key: str, group: str, index: dict[str, int]) -> npt.NDArray[Any]:
    """The index of each row's `key`, once for each member of its `group`."""
    return _column(chain.from_iterable(repeat(index[row[key]], len(row[group])) for row in rows), np.int32)


def _flat(rows: list[Row], key: str) -> Iterator[Any]:
    return chain.from_iterable(row[key] for row in rows)


def _sorted(prefix: str, columns: Columns, keys: tuple[str, ...]) -> Columns:
    """Columns in the order of some of them, the first mattering most, named as their files."""
    order = np.lexsort([columns[key] for key in reversed(keys)])
    return {f"{prefix}.{name}": np.ascontiguousarray(column[order]) for name, column in columns.items()}


def _interactions(rows: list[Row], users: dict[str, int], items: dict[str, int]) -> Columns:
    codes = {str(split): code for code, split in enumerate(Split)}
    columns = {
        "user_index": _repeated(rows, "user", "items", users),
        "item_index": _column((items[item] for item in _flat(rows, "items")), np.int32),
        "split": _column((codes[split] for split in _flat(rows, "splits")), np.int8),
        "rating": _column(_flat(rows, "ratings"), np.float32),
        "at": _column(_flat(rows, "times"), np.int64),
    }
    return _sorted("interactions", columns, ("user_index", "item_index"))


def _facts(rows: list[Row], things: dict[str, int], relations: dict[str, int]) -> Columns:
    columns = {
        "head_index": _repeated(rows, "head", "tails", things),
        "relation_index": _repeated(rows, "relation", "tails", relations),
        "tail_index": _column((things[tail] for tail in _flat(rows, "tails")), np.int32),
    }
    return _sorted("facts", columns, ("head_index", "relation_index", "tail_index"))


def _has_interest(rows: list[Row], users: dict[str, int], interests: dict[str, int]) -> Columns:
    columns = {
        "user_index": _repeated(rows, "user", "interests", users),
        "interest_index": _column((interests[interest] for interest in _flat(rows, "interests")), np.int32),
        "from_evidence": _column(_flat(rows, "from_evidence"), np.bool_),
    }
    return _sorted("has_interest", columns, ("user_index", "interest_index", "from_evidence"))

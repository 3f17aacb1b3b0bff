"""Imports a dataset into an empty database by making the whole database from files, with Neo4j's own importer.

What it makes is what the batches of `cikg.datasets.batches` would have written. The import has begun over Bolt as ever;
its two nodes are copied into the new database, with all rows of data counted as written, and it is finished over Bolt.
So a database in which an import has no rows yet is exchanged at once for one in which it has them all, and whatever
interrupts it, the same command goes on from the one or from the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from cikg.datasets.batches import data_rows
from cikg.datasets.records import Entity, Interest, Item, User
from cikg.datasets.tables import NEVER, SPLITS, Indices, Tables
from cikg.files import disk
from cikg.graph import Graph
from cikg.graph.migrations import migrate
from cikg.progress import Advance, Progress, ignore
from cikg.schema import uid

PAYS = 3_000_000
"""Rows from which ending and starting the server costs less than it saves."""

CHUNK = 1_000_000
"""Rows made at a time."""

_BETWEEN = "\x1f"
"""What stands between the elements of a list."""

_OPTIONS = ("--id-type=integer", "--array-delimiter=U+001F", "--multiline-fields=true", "--path-pattern-style=none")
_TYPES = {bool: "boolean", int: "long", float: "double", str: "string"}


class Store(Protocol):
    """A server's database that can be rebuilt from files; `cikg.embedded.store` has the only one."""

    steps: int
    """How many steps `build` tells."""

    def folder(self) -> AbstractContextManager[Path]:
        """Yield an empty folder for the importer's files; what is left of it is removed after the block."""

    def build(self, files: Path, arguments: Sequence[str], advance: Advance) -> None:
        """Make a database from the files in that folder with these arguments of Neo4j's importer."""

    def put_in_place(self, files: Path) -> None:
        """End the server at once, whoever uses it; return when it answers again, with the database built."""


@dataclass(frozen=True)
class Bulk:
    """Permission for an import to rebuild the database.

    Attributes:
        store: makes it.
        required: whatever the number of rows, and with an error where it is impossible.
    """

    store: Store
    required: bool = False

    def pays(self, rows: int) -> bool:
        """Whether so many rows shall be imported this way."""
        return self.required or rows >= PAYS


def load(graph: Graph, store: Store, tables: Tables, dataset: str, *, run: str, progress: Progress) -> bool:
    """Give a database the rows of an import that has just begun.

    Args:
        graph: the database.
        store: makes it anew.
        tables: what to import.
        dataset: the dataset's name.
        run: the uid of the import's run.
        progress: opens progress bars.

    Returns:
        False, and nothing has changed, where the database holds anything else.

    Raises:
        ServiceError: the importer or the server fails.
    """
    begun = graph.one("beside_import", dataset=dataset, run=run)
    if begun["others"] or begun["dataset"]["imported"] or any(_BETWEEN in relation for relation in tables.facts):
        return False
    nodes = {"Dataset": begun["dataset"] | {"imported": data_rows(tables)}, "Run": begun["run"]}
    with store.folder() as folder:
        with progress("writing files", data_rows(tables)) as advance, disk(folder):
            arguments = write(tables, dataset, run, nodes, folder=folder, advance=advance)
        with progress("building the database", store.steps) as advance:
            store.build(folder, arguments, advance)
        with (
            progress("restarting Neo4j", None),
            graph.holding("hold_datasets", "beside_import", dataset=dataset, run=run) as rows,
        ):
            if rows != [begun]:
                return False
            store.put_in_place(folder)
    migrate(graph)
    return True


def write(
    tables: Tables,
    dataset: str,
    run: str,
    nodes: Mapping[str, Mapping[str, Any]],
    *,
    folder: Path,
    advance: Advance = ignore,
) -> list[str]:
    """Write a dataset as files for `neo4j-admin database import full`.

    Args:
        tables: what to write.
        dataset: its name.
        run: the uid of the import's run.
        nodes: the properties of further nodes, by label.
        folder: where to; the files' names are the arguments'.
        advance: called with the number of rows after each part.

    Returns:
        The arguments that import them.
    """
    arguments = list(_OPTIONS)
    for label, properties in nodes.items():
        (folder / f"{label}.csv").write_text(_single(properties), encoding="utf-8", newline="")
        arguments.append(f"--nodes={label}={label}.csv")
    for table in _tables(tables, dataset, run):
        if not table.rows:
            continue
        with (folder / table.file).open("wb") as file:
            for start in range(0, table.rows, CHUNK):
                part = slice(start, min(start + CHUNK, table.rows))
                # A string is quoted, even an empty one, and null is not.
                pl.DataFrame(table.part(part)).write_csv(file, include_header=start == 0, quote_style="non_numeric")
                advance(part.stop - part.start)
        arguments.append(f"--{table.option}{table.file}")
    return arguments


@dataclass(frozen=True)
class _Table:
    """One file: its name, the option that imports it, how many rows it has, and what makes some of them."""

    file: str
    option: str
    rows: int
    part: Callable[[slice], Mapping[str, Any]]


def _tables(tables: Tables, dataset: str, run: str) -> Iterator[_Table]:
    inferred = {"source": "imported", "run": run}
    yield _nodes("User", "User", tables.users, dataset)
    yield _nodes("Item", "Thing", tables.items, dataset)
    yield _nodes("Entity", "Thing", tables.entities, dataset, first=len(tables.items))
    yield _nodes("Interest", "Interest", tables.interests, dataset, further=inferred)

    splits, table = pl.Series([str(split) for split in SPLITS]), tables.interactions

    def interactions(rows: slice) -> dict[str, Any]:
        at = table.at[rows]
        return {
            ":START_ID(User)": table.user_index[rows],
            ":END_ID(Thing)": table.item_index[rows],
            "split": splits.gather(table.split[rows]),
            "rating:double": pl.Series(table.rating[rows], nan_to_null=True),
            "at:long": pl.Series(at).set(pl.Series(at == NEVER), None),
        }

    yield _Table("interactions.csv", "relationships=INTERACTED=", len(table.split), interactions)
    for number, (relation, pairs) in enumerate(tables.facts.items()):
        ends = ("Thing", pairs.source_index), ("Thing", pairs.target_index)
        yield _edges(f"facts-{number}.csv", tables.types[relation], *ends, {"relation": relation})
    held = tables.has_interest
    ends = ("User", held.source_index), ("Interest", held.target_index)
    yield _edges("has_interest.csv", "HAS_INTEREST", *ends, {"run": run})


def _nodes(
    label: str,
    space: str,
    nodes: Sequence[User | Item | Entity | Interest],
    dataset: str,
    *,
    first: int = 0,
    further: Mapping[str, str] | None = None,
) -> _Table:
    """Nodes numbered from `first` in a space of numbers that edges refer to."""

    def part(rows: slice) -> dict[str, Any]:
        chosen = nodes[rows]
        columns: dict[str, Any] = {
            f":ID({space})": np.arange(first + rows.start, first + rows.stop),
            "uid": [uid(dataset, node.id) for node in chosen],
            "dataset": pl.repeat(dataset, len(chosen), eager=True),
            "id": [node.id for node in chosen],
            "name": pl.Series([_name(node) for node in chosen], dtype=pl.String),
        }
        if label == "Item":
            columns["text"] = [node.text for node in chosen if isinstance(node, Item)]
        return columns | {name: pl.repeat(value, len(chosen), eager=True) for name, value in (further or {}).items()}

    return _Table(f"{label}.csv", f"nodes={label}=", len(nodes), part)


def _name(node: User | Item | Entity | Interest) -> str | None:
    return node.name or f"interest {node.id}" if isinstance(node, Interest) else node.name


def _edges(
    file: str, kind: str, start: tuple[str, Indices], end: tuple[str, Indices], further: Mapping[str, str]
) -> _Table:
    def part(rows: slice) -> dict[str, Any]:
        count = rows.stop - rows.start
        return {
            f":START_ID({start[0]})": start[1][rows],
            f":END_ID({end[0]})": end[1][rows],
            **{name: pl.repeat(value, count, eager=True) for name, value in further.items()},
        }

    return _Table(file, f"relationships={kind}=", len(start[1]), part)


def _single(properties: Mapping[str, Any]) -> str:
    """A file of one node with properties of any type that the graph holds."""
    columns = {name: _typed(value) for name, value in properties.items()}
    header = ",".join(f"{name}:{kind}" for name, (kind, _) in columns.items())
    return header + "\n" + ",".join('"' + text.replace('"', '""') + '"' for _, text in columns.values()) + "\n"


def _typed(value: Any) -> tuple[str, str]:
    """The importer's name of a value's type, and the value as text."""
    if isinstance(value, list):
        kinds = {_typed(element)[0] for element in value} or {"string"}
        return f"{kinds.pop()}[]", _BETWEEN.join(_typed(element)[1] for element in value)
    if hasattr(value, "iso_format"):
        return "datetime", value.iso_format()
    return _TYPES[type(value)], str(value).lower() if isinstance(value, bool) else str(value)

"""A dataset's edges on disk, grouped by the node they lead to, for graphs that do not fit in memory.

The folder `<home>/adjacency/<dataset>/<version of the dataset>` holds, as plain little-endian numbers:

- `<kind>.ids`, `<kind>.id_ends`: the ids of a kind's nodes as one text, and where each ends. A node's index is its
  place in this order, which is that of a snapshot of the same version;
- `<n>.offsets`, `<n>.sources` and, where edges have a time, `<n>.times`: edge type n of the manifest. The edges that
  lead to target t are those from `offsets[t]` to `offsets[t + 1]`, ordered by time, then source;
- `manifest.json`: kinds, edge types, and the size of every other file.

Every edge type is there in both directions, the other one under the name `rev_…`, as PyG's `ToUndirected` has it. The
graph is read some thousand nodes at a time: while the folder is made nodes have to fit in memory, but edges never.
"""

from __future__ import annotations

import json
import mmap
import shutil
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from cikg.errors import SnapshotError
from cikg.files import new_folder
from cikg.graph.database import Graph, Row
from cikg.graph.export import NEVER, READERS, Places, by_id, read_one_state
from cikg.graph.pyg.neighbourhood import Array, Edges
from cikg.graph.texts import Texts
from cikg.progress import Advance, ignore
from cikg.schema import Relationship
from cikg.settings import Settings

LAYOUT = 1
"""Number of the layout above; a folder of another layout is made anew."""

MANIFEST = "manifest.json"
KEPT = 2
"""Versions kept of a dataset: the newest, and one that a training may still be reading."""

NODES = 1_000
"""Nodes a statement: their edges are what is in memory at once."""

NODE_TYPES = {"user": "users", "item": "items", "entity": "entities", "intent": "intents", "interest": "interests"}
"""PyG's node types, and what an export calls them."""

TIMED = (Relationship.INTERACTED.lower(), f"rev_{Relationship.INTERACTED.lower()}")
"""Relations whose edges have a time."""

EdgeType = tuple[str, str, str]


@dataclass(frozen=True)
class Adjacency:
    """The edges of a dataset, memory-mapped when they are asked for. Another process gets the path and maps them too.

    Attributes:
        path: the folder.
        counts: nodes by kind.
        edge_types: the number of edges of each type, sorted by type.
        numbers: the number that a type's files have.
    """

    path: Path
    counts: dict[str, int]
    edge_types: dict[EdgeType, int]
    numbers: dict[EdgeType, int] = field(repr=False)
    _mapped: dict[str, Array] = field(default_factory=dict, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_mapped": {}}

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a folder.

        Raises:
            SnapshotError: it is not there, of another layout, or not whole.
        """
        try:
            manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
            whole = manifest["layout"] == LAYOUT and all(
                (path / name).stat().st_size == size for name, size in manifest["files"].items()
            )
            rows = [((source, relation, target), *rest) for source, relation, target, *rest in manifest["edges"]]
            counts = dict(manifest["counts"])
        except (OSError, ValueError, KeyError):
            whole = False
        if not whole:
            raise SnapshotError(f"{path} is not a complete folder of edges", cure="`Neo4jGraphStore` makes it again")
        return cls(path, counts, {row[0]: row[1] for row in rows}, {row[0]: row[2] for row in rows})

    def seal(self) -> None:
        """Write the manifest, without which the folder cannot be opened."""
        manifest = {
            "layout": LAYOUT,
            "counts": self.counts,
            "edges": [[*edge_type, count, self.numbers[edge_type]] for edge_type, count in self.edge_types.items()],
            "files": {path.name: path.stat().st_size for path in sorted(self.path.iterdir())},
        }
        (self.path / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")

    def edges(self, edge_type: EdgeType) -> Edges:
        """The edges of a type: int64 offsets and times, int32 sources. KeyError where there is no such type.

        Times are seconds since 1970, the least number where one is unknown.
        """
        number, timed = self.numbers[edge_type], edge_type[1] in TIMED
        return Edges(
            self._column(f"{number}.offsets", np.int64),
            self._column(f"{number}.sources", np.int32),
            self._column(f"{number}.times", np.int64) if timed else None,
        )

    def ids(self, kind: str, index: Array) -> list[str]:
        """The ids of some nodes of a kind. Shape of `index`: (n,); IndexError where there is no such node."""
        texts = Texts(self._column(f"{kind}.ids", np.uint8), self._column(f"{kind}.id_ends", np.int64))
        return [texts[place] for place in index.tolist()]

    def _column(self, name: str, dtype: type[np.generic]) -> Array:
        if name not in self._mapped:
            self._mapped[name] = _map(self.path / name, dtype)
        return self._mapped[name]


def _map(path: Path, dtype: type[np.generic]) -> Array:
    if not path.stat().st_size:  # which cannot be mapped
        return np.empty(0, dtype)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    mapped.madvise(mmap.MADV_RANDOM)  # a node's edges are few: what lies around them is not read too
    return np.frombuffer(mapped, dtype)


def read_adjacency(graph: Graph, dataset: str, settings: Settings, advance: Advance = ignore) -> Adjacency:
    """The edges of one state of a dataset: from the folder of its present version, or else from the graph.

    Of interactions only those of the training split are there; no edges that were pruned, and no intents that were
    merged into others.

    Args:
        graph: where from.
        dataset: its name.
        settings: say where folders are kept.
        advance: called with numbers of edges read. Each edge is read from both of its ends.

    Raises:
        NotFoundError: there is no such dataset.
        ConflictError: its import is not complete.
    """
    folder = settings.adjacency / dataset

    def read(properties: Row) -> Adjacency:
        path = folder / str(properties["version"])
        with suppress(SnapshotError):
            return Adjacency.open(path)
        with new_folder(path) as new:
            made = _write(graph, dataset, new, advance)
        return replace(made, path=path)

    found = read_one_state(graph, dataset, read)
    versions = sorted((int(path.name), path) for path in folder.iterdir() if path.name.isdecimal())
    for _, path in versions[:-KEPT]:
        shutil.rmtree(path, ignore_errors=True)
    return found


@dataclass(frozen=True)
class _Part:
    """Some nodes of a kind whose edges one statement reads.

    Attributes:
        kind: theirs.
        first: index of the first of them.
        nodes: their internal numbers, in the order of their indices.
        statement: its name.
        prefix: of the relations that it reads.
    """

    kind: str
    first: int
    nodes: Array
    statement: str
    prefix: str


def _write(graph: Graph, dataset: str, folder: Path, advance: Advance) -> Adjacency:
    nodes = _read_nodes(graph, dataset, folder)
    written: dict[EdgeType, _Column] = {}
    for part, rows in _answers(graph, nodes):
        for row in rows:
            edge_type = (row["label"].lower(), part.prefix + row["type"].lower(), part.kind)
            if edge_type not in written:
                written[edge_type] = _Column(folder, len(written), timed=edge_type[1] in TIMED)
            targets, sources, times = (np.array(row[key], dtype=np.int64) for key in ("targets", "sources", "times"))
            target, source = nodes[part.kind].find(targets) - part.first, nodes[edge_type[0]].find(sources)
            advance(written[edge_type].add(part.first, len(part.nodes), target, source, times))
    for (_, _, kind), column in written.items():
        column.fill(len(nodes[kind]))
    found = Adjacency(
        folder,
        {kind: len(places) for kind, places in nodes.items()},
        {edge_type: written[edge_type].edges for edge_type in sorted(written)},
        {edge_type: written[edge_type].number for edge_type in sorted(written)},
    )
    found.seal()
    return found


def _answers(graph: Graph, nodes: dict[str, Places]) -> Iterator[tuple[_Part, list[Row]]]:
    """The edges of all nodes, a few statements ahead of whoever takes them: more might not fit in memory."""
    waiting: deque[tuple[_Part, Future[list[Row]]]] = deque()
    with ThreadPoolExecutor(READERS) as pool:
        for kind, places in nodes.items():
            for first in range(0, len(places), NODES):
                for statement, prefix in (("sources_of", ""), ("targets_of", "rev_")):
                    part = _Part(kind, first, places.nodes[first : first + NODES], statement, prefix)
                    waiting.append((part, pool.submit(graph.many, statement, nodes=part.nodes.tolist(), never=NEVER)))
                    if len(waiting) > READERS:
                        part, answer = waiting.popleft()
                        yield part, answer.result()
        for part, answer in waiting:
            yield part, answer.result()


def _read_nodes(graph: Graph, dataset: str, folder: Path) -> dict[str, Places]:
    """Write the ids of all nodes; return by kind where each stands."""
    numbered = {row["kind"]: row["nodes"] for row in graph.many("export_nodes", dataset=dataset)}
    found = {}
    for kind, name in NODE_TYPES.items():
        nodes = numbered.get(name, [])
        rows: list[Row] = []
        for first in range(0, len(nodes), NODES):
            (row,) = graph.many("node_ids", nodes=nodes[first : first + NODES])
            rows += ({"node": node, "id": key} for node, key in zip(row["nodes"], row["ids"], strict=True))
        rows.sort(key=by_id)
        texts = Texts.pack([row["id"] for row in rows])
        (folder / f"{kind}.ids").write_bytes(texts.content.tobytes())
        (folder / f"{kind}.id_ends").write_bytes(texts.ends.tobytes())
        found[kind] = Places(np.array([row["node"] for row in rows], dtype=np.int64))
    return found


class _Column:
    """Writes the edges of one type, target by target in ascending order.

    Files are opened for a write each: a graph can have more edge types than a process may have open files.

    Attributes:
        edges: how many were written.
        number: of their type.
    """

    def __init__(self, folder: Path, number: int, timed: bool) -> None:
        self.edges, self.number = 0, number
        self._folder, self._timed = folder, timed
        self._targets = 0
        self._append("offsets", np.zeros(1, np.int64))

    def add(self, first: int, targets: int, places: Array, sources: Array, times: Array) -> int:
        """Write the edges that lead to some targets; return how many. Repeated ones count once.

        Args:
            first: index of the first of these targets.
            targets: how many they are.
            places: of which of them each edge is, from 0; shape (edges,).
            sources: the indices of the other ends; shape (edges,).
            times: of the edges; shape (edges,).
        """
        self.fill(first)
        known = (places >= 0) & (sources >= 0)  # a node that came since nodes were read is of a later state
        places, sources, times = places[known], sources[known], times[known]
        order = np.lexsort((sources, times, places) if self._timed else (sources, places))
        places, sources, times = places[order], sources[order], times[order]
        once = np.ones(len(places), dtype=bool)
        once[1:] = (places[1:] != places[:-1]) | (sources[1:] != sources[:-1])
        self._append("sources", sources[once].astype(np.int32))
        if self._timed:
            self._append("times", times[once])
        self._append("offsets", self.edges + np.cumsum(np.bincount(places[once], minlength=targets), dtype=np.int64))
        self.edges += int(once.sum())
        self._targets += targets
        return int(once.sum())

    def fill(self, targets: int) -> None:
        """Say that no edges lead to the targets up to this one that were not written yet."""
        self._append("offsets", np.full(targets - self._targets, self.edges, np.int64))
        self._targets = targets

    def _append(self, column: str, values: Array) -> None:
        with (self._folder / f"{self.number}.{column}").open("ab") as file:
            file.write(values.tobytes())

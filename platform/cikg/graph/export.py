"""Reads a dataset out of the graph as columns, in canonical order and of one state of the graph.

Neo4j isolates readers hardly at all: two statements of one transaction may see different states, and even one look-up
after another may see half of a transaction that is being committed. Two facts make up for it. Every writer of a dataset
takes the lock of its Dataset node first, and keeps it until all that it wrote can be seen; and it counts `version` up.
So what was read between two looks at the version, each with the lock in hand, is of one state if both are equal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from cikg.errors import ConflictError
from cikg.graph import datasets
from cikg.graph.database import Graph, Row
from cikg.schema import Split

ATTEMPTS = 2
"""How often a dataset that changes while it is read is read anew, before writers have to wait."""

NODES = 1_000
"""Nodes a statement: enough to make its row worth its way, few enough for the server's memory."""

VECTORS = 250
"""Nodes a statement that reads vectors, which may have a thousand numbers each."""

READERS = min(4, os.cpu_count() or 1)
"""Statements under way at once: while one answer is unpacked, the server works at the next."""

DENSE = 16
"""How far apart numbers may lie on average for a table with a place for each number between."""

NEVER = int(np.iinfo(np.int64).min)
"""The time of an interaction whose time is unknown."""

KINDS = ("users", "items", "entities", "intents", "interests")
"""What a snapshot numbers, each kind from 0."""

LABELS = {"User": "users", "Item": "items", "Entity": "entities", "Intent": "intents", "Interest": "interests"}

Array = npt.NDArray[Any]
Columns = dict[str, Array]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Export:
    """A dataset's state.

    Attributes:
        properties: those of the Dataset node.
        texts: `<kind>.id` and `<kind>.name` of every kind, in the order of the indices; `items.text`, `users.profile`
            and `items.profile` where any is not empty.
        columns: numbers, by the names of their files.
        relations: relationship types, in the order of `facts.relation_index`.
        leaks: how many edges that an LLM made about users rest on no training interaction of theirs; must be 0.
    """

    properties: Row
    texts: dict[str, list[str]]
    columns: Columns
    relations: list[str] = field(default_factory=list)
    leaks: int = 0


def by_id(row: Row) -> tuple[int, int, str]:
    """The order of nodes: numbers by value, then other ids as text."""
    return _order(row["id"])


def _order(identifier: str) -> tuple[int, int, str]:
    if identifier.isascii() and identifier.isdecimal():
        return 0, int(identifier), identifier
    return 1, 0, identifier


def dataset_properties(graph: Graph, dataset: str) -> Row:
    """The properties of a dataset that is complete.

    Raises:
        NotFoundError: there is none of this name.
        ConflictError: its import has not been finished.
    """
    return _ready(graph, graph.many("find_dataset", dataset=dataset), dataset)


def read_one_state(graph: Graph, dataset: str, read: Callable[[Row], Result]) -> Result:
    """Read a dataset so that all of it is of one state.

    At first nobody has to wait, and what was read while somebody wrote is read again. If writers leave no gap that is
    long enough, they are made to wait for the last attempt: about a second a million edges.

    Args:
        graph: where from.
        dataset: its name.
        read: reads it, given its properties; may be called several times.

    Raises:
        NotFoundError: there is no such dataset.
        ConflictError: its import has not been finished.
    """
    for _ in range(ATTEMPTS):
        before = _settled(graph, dataset)
        found = read(before)
        if _settled(graph, dataset)["version"] == before["version"]:
            return found
    with graph.holding("hold_dataset", dataset=dataset) as rows:
        return read(_ready(graph, rows, dataset))


def _settled(graph: Graph, dataset: str) -> Row:
    """A dataset's properties at a moment when nobody is writing it."""
    with graph.holding("hold_dataset", dataset=dataset) as rows:
        return _ready(graph, rows, dataset)


def _ready(graph: Graph, rows: Iterable[Row], dataset: str) -> Row:
    for row in rows:
        properties: Row = row["dataset"]
        if properties["state"] == "dropping":
            raise ConflictError(
                f"the dataset {dataset!r} is half dropped", cure="Drop the rest of it, or import it again"
            )
        if properties["state"] != "ready":
            raise ConflictError(
                f"the import of the dataset {dataset!r} is not complete", cure="Repeat `cikg import` to complete it"
            )
        return properties
    raise datasets.unknown(graph, dataset)


def export(graph: Graph, dataset: str, advance: Callable[[int], None] = lambda _count: None) -> Export:
    """Read a dataset as columns of one state.

    Args:
        graph: where from.
        dataset: its name.
        advance: called with the number of edges read.

    Raises:
        NotFoundError: there is no such dataset.
        ConflictError: its import has not been finished.
    """
    return read_one_state(graph, dataset, lambda properties: _read(graph, dataset, properties, advance))


def _read(graph: Graph, dataset: str, properties: Row, advance: Callable[[int], None]) -> Export:
    with closing(_Reader(graph, dataset, advance)) as reader:
        texts = reader.texts()
        profiles, supported = reader.profiles()
        texts |= profiles
        relations = sorted(properties["relations"])
        columns = {
            **supported,
            **reader.interactions(),
            **reader.facts(relations),
            **reader.inferred(
                "has_interest", "export_interest_edges", ("user", "interest"), {"from_evidence": np.bool_}
            ),
            **reader.inferred("possesses", "export_possessed", ("user", "intent"), {"round": np.int8}),
            **reader.inferred("satisfies", "export_satisfied", ("item", "intent"), {"round": np.int8}),
            **reader.inferred("member_of", "export_members", ("intent", "interest"), {}),
            **reader.embeddings(properties.get("embeddings") or []),
        }
    leaks = graph.one("extraction_leaks", dataset=dataset)["leaks"]
    return Export(properties, texts, columns, relations, leaks)


class Places:
    """Finds the index of a node by its internal number.

    Args:
        nodes: internal numbers in the order of the indices, -1 where there is none; int64, shape (n,).
    """

    def __init__(self, nodes: Array) -> None:
        self.nodes = nodes
        self._first = int(nodes.min()) if len(nodes) else 0
        span = int(nodes.max()) - self._first + 1 if len(nodes) else 0
        self._order = self._sorted = self._table = np.empty(0, dtype=np.int64)
        if span <= DENSE * len(nodes):  # as where all were imported together
            self._table = np.full(span, -1, dtype=np.int32)
            self._table[nodes - self._first] = np.arange(len(nodes))
        else:
            self._order = np.argsort(nodes)
            self._sorted = nodes[self._order]

    def __len__(self) -> int:
        return len(self.nodes)

    def find(self, nodes: Array) -> Array:
        """Indices, and -1 for what is not there; int32, shape of `nodes`."""
        if not len(self.nodes):
            return np.full(len(nodes), -1, dtype=np.int32)
        if len(self._table):
            place = nodes - self._first
            inside = (place >= 0) & (place < len(self._table))
            return np.where(inside, self._table[np.where(inside, place, 0)], np.int32(-1))
        place = np.searchsorted(self._sorted, nodes).clip(max=len(self.nodes) - 1)
        return np.where(self._sorted[place] == nodes, self._order[place], -1).astype(np.int32)


class _Reader:
    """Reads one dataset, some thousand nodes at a time."""

    def __init__(self, graph: Graph, dataset: str, advance: Callable[[int], None]) -> None:
        self._graph, self._advance = graph, advance
        self._numbers: dict[str, list[int]] = {kind: [] for kind in (*KINDS, "profiles")}
        self._numbers |= {row["kind"]: row["nodes"] for row in graph.many("export_nodes", dataset=dataset)}
        self._places: dict[str, Places] = {}
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="export")

    def close(self) -> None:
        """End all reading."""
        self._pool.shutdown(cancel_futures=True)

    def texts(self) -> dict[str, list[str]]:
        """Read ids, names and texts of all nodes, and so their order."""
        found = {}
        for kind in KINDS:
            rows = list(self._rows("export_texts", self._numbers[kind]))
            number, identifier, name, text = (_flat(rows, key) for key in ("nodes", "ids", "names", "texts"))
            order = sorted(range(len(identifier)), key=lambda at: _order(identifier[at]))
            self._places[kind] = Places(np.array(number, dtype=np.int64)[order])
            found[f"{kind}.id"] = [identifier[at] for at in order]
            found[f"{kind}.name"] = [name[at] for at in order]
            if kind == "items" and any(text):
                found["items.text"] = [text[at] for at in order]
        self._places["things"] = Places(np.concatenate([self._places[kind].nodes for kind in ("items", "entities")]))
        return found

    def profiles(self) -> tuple[dict[str, list[str]], Columns]:
        """Read of each user and item the profile of the latest round; of several, the one whose id is the last.

        Returns:
            Texts, and as columns whether evidence supports each; false where there is no profile.
        """
        rows = list(self._rows("export_profiles", self._numbers["profiles"]))
        number, identifier, text, target, round_, supported = (
            _flat(rows, key) for key in ("nodes", "ids", "texts", "targets", "rounds", "from_evidence")
        )
        order = sorted(range(len(number)), key=lambda at: (round_[at], _order(identifier[at])))
        found: dict[str, list[str]] = {}
        columns: Columns = {}
        for kind in ("users", "items"):
            places = self._places[kind].find(np.array(target, dtype=np.int64)[order])
            chosen = {int(place): at for place, at in zip(places, order, strict=True) if place >= 0}
            nodes = np.full(len(self._places[kind]), -1, dtype=np.int64)
            nodes[list(chosen)] = [number[at] for at in chosen.values()]
            self._places[f"{kind.removesuffix('s')}_profiles"] = Places(nodes)
            if chosen:
                found[f"{kind}.profile"] = [
                    text[chosen[place]] if place in chosen else "" for place in range(len(nodes))
                ]
                columns[f"{kind}.profile_from_evidence"] = np.array(
                    [place in chosen and supported[chosen[place]] for place in range(len(nodes))], dtype=np.bool_
                )
        return found, columns

    def interactions(self) -> Columns:
        """Read who did what; ratings and times only where there are any."""
        source, target, rest = self._edges(partial(_histories, self._graph), "users", "items")
        columns = {"user_index": source, "item_index": target, **rest}
        sizes = (len(self._places["users"]), len(self._places["items"]))
        columns = _once(columns, ("user_index", "item_index"), sizes, columns["split"])
        if np.isnan(columns["rating"]).all():
            del columns["rating"]
        if (columns["at"] == NEVER).all():
            del columns["at"]
        return _named("interactions", columns)

    def facts(self, relations: Sequence[str]) -> Columns:
        """Read what is known of items and entities."""
        codes = {relation: code for code, relation in enumerate(relations)}
        read = partial(self._graph.many, "export_facts", codes=codes)
        source, target, rest = self._edges(
            lambda nodes: _arrays(read(nodes=nodes), {"relations": np.int32}), "things", "things"
        )
        columns = {"head_index": source, "relation_index": rest["relations"], "tail_index": target}
        sizes = (len(self._places["things"]), len(relations), len(self._places["things"]))
        return _named("facts", _once(columns, ("head_index", "relation_index", "tail_index"), sizes))

    def inferred(
        self, table: str, statement: str, ends: tuple[str, str], properties: Mapping[str, type[np.generic]]
    ) -> Columns:
        """Read one kind of edges that a language model, or a clustering of what it said, has made.

        Two intents that were merged may have left two edges between the same ends: the one that counts is of the least
        round, and one with evidence rather than one without.
        """
        kinds = [LABELS[end.capitalize()] for end in ends]
        read = partial(self._graph.many, statement)
        source, target, rest = self._edges(lambda nodes: _arrays(read(nodes=nodes), properties), kinds[0], kinds[1])
        names = f"{ends[0]}_index", f"{ends[1]}_index"
        columns = {names[0]: source, names[1]: target, **rest}
        worse = columns["round"] if "round" in columns else ~columns.get("from_evidence", np.zeros(len(source), bool))
        return _named(table, _once(columns, names, tuple(len(self._places[kind]) for kind in kinds), worse))

    def embeddings(self, listed: Iterable[str]) -> Columns:
        """Read vectors, listed as `Label/slug`; NaN for nodes without one."""
        found: Columns = {}
        for label, _, slug in (entry.partition("/") for entry in listed):
            profiled = ("user_profiles", "item_profiles")
            for kind in (LABELS[label],) if label in LABELS else profiled if label == "Profile" else ():
                vectors = self._vectors(self._places[kind], f"embedding_{slug}", int(slug.rsplit("_", 1)[-1]))
                if kind not in profiled or not np.isnan(vectors).all():
                    found[f"embeddings.{kind}.{slug}"] = vectors
        return found

    def _vectors(self, places: Places, key: str, dimension: int) -> Array:
        vectors = np.full((len(places), dimension), np.nan, dtype=np.float32)
        nodes = places.nodes[places.nodes >= 0].tolist()
        for row in self._rows("export_vectors", nodes, VECTORS, property=key):
            if row["nodes"]:
                try:
                    values = np.array(row["vectors"], dtype=np.float32).reshape(-1, dimension)
                except ValueError:
                    raise ConflictError(
                        f"not every vector {key} has {dimension} numbers", cure="Make them again with `cikg embed`"
                    ) from None
                vectors[places.find(np.array(row["nodes"], dtype=np.int64))] = values
        return vectors

    def _edges(self, read: Callable[[list[int]], Columns], source: str, target: str) -> tuple[Array, Array, Columns]:
        """Read edges, `NODES` sources at a time, and leave out those with an end that is not exported."""
        places = self._places[source], self._places[target]

        def part(nodes: list[int]) -> Columns:
            columns = read(nodes)
            columns |= {key: at.find(columns[key]) for key, at in zip(("sources", "targets"), places, strict=True)}
            known = (columns["sources"] >= 0) & (columns["targets"] >= 0)
            return columns if known.all() else {key: column[known] for key, column in columns.items()}

        parts = []
        for columns in self._pool.map(part, _cut(places[0].nodes.tolist(), NODES)):
            self._advance(len(columns["sources"]))
            parts.append(columns)
        parts = parts or [part([])]
        whole = {key: np.concatenate([columns[key] for columns in parts]) for key in parts[0]}
        return whole.pop("sources"), whole.pop("targets"), whole

    def _rows(self, name: str, nodes: list[int], size: int = NODES, **parameters: Any) -> Iterator[Row]:
        """Run a statement over nodes, `size` of them at a time."""
        read = partial(self._graph.many, name, **parameters)
        return chain.from_iterable(self._pool.map(lambda part: read(nodes=part), _cut(nodes, size)))


def _cut(nodes: list[int], size: int) -> Iterator[list[int]]:
    return (nodes[start : start + size] for start in range(0, len(nodes), size))


def _flat(rows: Iterable[Row], key: str) -> list[Any]:
    return list(chain.from_iterable(row[key] for row in rows))


def _arrays(rows: list[Row], types: Mapping[str, type[np.generic]]) -> Columns:
    """The lists of the one row of an answer as arrays."""
    (row,) = rows
    kinds: dict[str, type[np.generic]] = {"sources": np.int64, "targets": np.int64, **types}
    return {key: np.array(row[key], dtype=kind) for key, kind in kinds.items()}


_SPLITS = {str(split): code for code, split in enumerate(Split)}


def _histories(graph: Graph, nodes: list[int]) -> Columns:
    """What some users did. Nothing stands for missing ratings and times at first: most datasets have all or none."""
    (row,) = graph.many("export_interactions", nodes=nodes, unrated=None, never=None)
    lengths = [len(targets) for targets in row["targets"]]
    count = sum(lengths)
    known = {key: sum(map(len, row[key])) for key in ("ratings", "times")}
    if any(0 < some < count for some in known.values()):
        (row,) = graph.many("export_interactions", nodes=nodes, unrated=float("nan"), never=NEVER)
        lengths = [len(targets) for targets in row["targets"]]
        count = sum(lengths)
        known = dict.fromkeys(known, count)

    def flat(key: str, kind: type[np.generic]) -> Array:
        return np.fromiter(chain.from_iterable(row[key]), dtype=kind, count=count)

    splits = map(_SPLITS.__getitem__, chain.from_iterable(row["splits"]))
    return {
        "sources": np.repeat(np.array(row["sources"], dtype=np.int64), lengths),
        "targets": flat("targets", np.int64),
        "split": np.fromiter(splits, dtype=np.int8, count=count),
        "rating": flat("ratings", np.float32) if known["ratings"] else np.full(count, np.nan, dtype=np.float32),
        "at": flat("times", np.int64) if known["times"] else np.full(count, NEVER),
    }


def _once(columns: Columns, keys: tuple[str, ...], sizes: tuple[int, ...], worse: Array | None = None) -> Columns:
    """Rows in the order of their keys, and of several with the same keys the one that is the least `worse`."""
    number = np.ravel_multi_index([columns[key] for key in keys], [max(size, 1) for size in sizes])
    order = np.argsort(number, kind="stable")
    repeated = np.diff(number[order], prepend=-1) == 0
    if repeated.any():
        order = order if worse is None else np.lexsort([worse, number])
        order = order[~repeated]
    return {name: np.ascontiguousarray(column[order]) for name, column in columns.items()}


def _named(table: str, columns: Columns) -> Columns:
    return {f"{table}.{name}": column for name, column in columns.items()}

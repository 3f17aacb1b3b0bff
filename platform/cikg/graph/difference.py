"""What changed from one snapshot to another: nodes by id, edges by the ids of their ends, and what is said of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from operator import methodcaller
from typing import Any

import numpy as np
import numpy.typing as npt

from cikg.graph.snapshot import KINDS, TABLES, Snapshot

EXAMPLES = 5
"""How many examples each change comes with, unless more are asked for."""

TEXTS = {"users": ("name", "profile"), "items": ("name", "text", "profile")}
"""The texts that nodes have beside their ids; others have a name alone."""

KIND = {
    **{f"{kind}_index": f"{kind}s" for kind in ("user", "item", "intent", "interest", "relation")},
    **{f"{end}_index": "things" for end in ("head", "tail")},
}
"""What each column of ends counts through."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Change:
    """What changed of one kind.

    Attributes:
        added, removed: how many are in the second snapshot alone, and in the first alone.
        changed: how many are in both with another name, text, split, rating, time, round, evidence or vector.
        added_examples, removed_examples, changed_examples: some of each in words, the first in their snapshot's order.
    """

    added: int = 0
    removed: int = 0
    changed: int = 0
    added_examples: tuple[str, ...] = ()
    removed_examples: tuple[str, ...] = ()
    changed_examples: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True)
class Difference:
    """What changed between two snapshots; what did not is left out.

    Attributes:
        nodes: by kind.
        edges: by table.
        relations: facts once more, by relationship type.
        embeddings: vectors by `kind/embedding`.
    """

    nodes: dict[str, Change]
    edges: dict[str, Change]
    relations: dict[str, Change]
    embeddings: dict[str, Change]

    def __bool__(self) -> bool:
        return bool(self.nodes or self.edges or self.relations or self.embeddings)

    def as_dict(self) -> dict[str, Any]:
        """The difference as `--json` prints it."""
        return asdict(self)


def diff(before: Snapshot, after: Snapshot, examples: int = EXAMPLES) -> Difference:
    """Compare two snapshots, by ids: the same dataset need not have the same indices in both.

    Args:
        before: the first.
        after: the second.
        examples: how many of each change to name.
    """
    numbers: dict[str, dict[str, int]] = {}
    # Both sides first: a key depends on how many ids there are on either.
    sides = _Side(before, numbers), _Side(after, numbers)

    def compare(rows: Callable[[_Side], _Rows]) -> Change:
        return _compare(rows(sides[0]), rows(sides[1]), examples)

    facts = [side.edges("facts") for side in sides]
    embeddings = {(kind, name) for side in sides for kind, names in side.snapshot.embeddings.items() for name in names}
    return Difference(
        nodes=_real({kind: compare(methodcaller("nodes", kind)) for kind in KINDS}),
        edges=_real({table: compare(methodcaller("edges", table)) for table in TABLES}),
        relations=_real(
            {
                relation: _compare(facts[0].of(code), facts[1].of(code), examples)
                for relation, code in sorted(numbers["relations"].items())
            }
        ),
        embeddings=_real(
            {f"{kind}/{name}": compare(methodcaller("vectors", kind, name)) for kind, name in sorted(embeddings)}
        ),
    )


def _real(changes: dict[str, Change]) -> dict[str, Change]:
    return {name: change for name, change in changes.items() if change}


@dataclass(frozen=True)
class _Rows:
    """Nodes, edges or vectors of one side.

    Attributes:
        key: unique on a side, and the same on both for the same thing; int64, shape (n,).
        said: columns of what is said of them; shape (n,) or (n, d).
        words: the row with this index, for a person.
        relation: of facts, the number of their relationship type; shape (n,).
    """

    key: Array
    said: dict[str, Array]
    words: Callable[[int], str]
    relation: Array | None = None

    def of(self, relation: int) -> _Rows:
        """The facts of one relationship type."""
        chosen = np.flatnonzero(self.relation == relation)
        return _Rows(self.key[chosen], {}, lambda row: self.words(int(chosen[row])))


class _Side:
    """One of the two snapshots.

    Args:
        snapshot: it.
        numbers: gives each id of a kind, and each relationship type, one number for both sides; grows.
    """

    def __init__(self, snapshot: Snapshot, numbers: dict[str, dict[str, int]]) -> None:
        self.snapshot, self._numbers = snapshot, numbers
        self._nodes = {kind: snapshot.nodes(kind) for kind in KINDS}
        ids = {kind: list(nodes.packed_ids) for kind, nodes in self._nodes.items()}
        ids |= {"things": ids["items"] + ids["entities"], "relations": snapshot.relations}
        self._number = {kind: _numbered(numbers.setdefault(kind, {}), found) for kind, found in ids.items()}

    def nodes(self, kind: str) -> _Rows:
        """All nodes of a kind."""
        said = {name: np.array(list(self.snapshot.texts(kind, name)), object) for name in TEXTS.get(kind, ("name",))}
        return _Rows(self._number[kind], said, lambda row: self._name(kind, row))

    def vectors(self, kind: str, name: str) -> _Rows:
        """Those nodes of a kind that have a vector."""
        if name not in self.snapshot.embeddings.get(kind, []):
            return _Rows(np.empty(0, np.int64), {}, str)
        vectors = self.snapshot.embedding(kind, name)
        known = np.flatnonzero(~np.isnan(vectors).any(axis=1))
        kind = {"user_profiles": "users", "item_profiles": "items"}.get(kind, kind)
        return _Rows(
            self._number[kind][known], {"vector": vectors[known]}, lambda row: self._name(kind, int(known[row]))
        )

    def edges(self, table: str) -> _Rows:
        """All edges of a table."""
        columns = {name: np.asarray(column) for name, column in vars(getattr(self.snapshot, table)).items()}
        kinds = {name: KIND[name] for name in columns if name in KIND}
        numbers = {name: self._number[kind][columns[name]] for name, kind in kinds.items()}
        sizes = [max(len(self._numbers[kind]), 1) for kind in kinds.values()]
        said = {name: column for name, column in columns.items() if name not in kinds}
        key = np.ravel_multi_index(list(numbers.values()), sizes)

        def words(row: int) -> str:
            names = [self._name(kind, int(columns[name][row])) for name, kind in kinds.items()]
            return " ".join(names) if table == "facts" else " → ".join(names)

        return _Rows(key, said, words, numbers.get("relation_index"))

    def _name(self, kind: str, index: int) -> str:
        if kind == "relations":
            return self.snapshot.relations[index]
        if kind == "things":
            items = self.snapshot.counts["items"]
            kind, index = ("items", index) if index < items else ("entities", index - items)
        identifier, name = self._nodes[kind].packed_ids[index], self._nodes[kind].packed_names[index]
        return name if name == identifier else f"{name} ({identifier})"


def _numbered(numbers: dict[str, int], ids: list[str]) -> Array:
    return np.fromiter((numbers.setdefault(key, len(numbers)) for key in ids), dtype=np.int64, count=len(ids))


def _compare(before: _Rows, after: _Rows, examples: int) -> Change:
    removed = np.flatnonzero(~np.isin(before.key, after.key))
    added = np.flatnonzero(~np.isin(after.key, before.key))
    _, first, second = np.intersect1d(before.key, after.key, assume_unique=True, return_indices=True)
    different = np.zeros(len(first), dtype=np.bool_)
    for name in before.said.keys() & after.said.keys():
        old, new = before.said[name][first], after.said[name][second]
        unequal = (old != new) & ~((old != old) & (new != new))  # noqa: PLR0124 - a missing rating, NaN, is equal to itself
        different |= unequal if unequal.ndim == 1 else unequal.any(axis=1)
    changed = np.sort(second[different])
    return Change(
        added=len(added),
        removed=len(removed),
        changed=len(changed),
        added_examples=tuple(after.words(int(row)) for row in added[:examples]),
        removed_examples=tuple(before.words(int(row)) for row in removed[:examples]),
        changed_examples=tuple(after.words(int(row)) for row in changed[:examples]),
    )

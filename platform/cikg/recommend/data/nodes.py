"""The nodes and the interactions of a snapshot as columns: all that measuring needs of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from cikg.schema import SplitCode

if TYPE_CHECKING:
    from cikg.graph.snapshot import Snapshot

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class NodeSpace:
    """How many nodes of each kind there are, and where each kind begins."""

    users: int
    items: int
    entities: int
    interests: int

    @property
    def first_item(self) -> int:
        """Row of the first item; entities follow items, so a thing's row is this plus its index."""
        return self.users

    @property
    def things(self) -> int:
        """Items and entities together: the space of a fact's head and tail."""
        return self.items + self.entities

    @property
    def first_interest(self) -> int:
        """Row of the first interest."""
        return self.users + self.things

    @property
    def total(self) -> int:
        """Rows of an embedding table."""
        return self.first_interest + self.interests


@dataclass(frozen=True)
class Pairs:
    """User–item pairs, sorted by user, then item, each once.

    Attributes:
        user_index: int64, shape (n,).
        item_index: int64, shape (n,).
    """

    user_index: Array
    item_index: Array

    def __len__(self) -> int:
        return len(self.user_index)

    @classmethod
    def of(cls, user_index: Array, item_index: Array) -> Self:
        """Sort the pairs and drop repetitions."""
        width = int(item_index.max()) + 1 if len(item_index) else 1
        keys = np.unique(user_index.astype(np.int64) * width + item_index)
        return cls(keys // width, keys % width)

    def offsets(self, users: int) -> Array:
        """Where each user's items begin and the last one's end: int64, shape (users + 1,)."""
        return np.searchsorted(self.user_index, np.arange(users + 1))


def pairs(snapshot: Snapshot, *splits: SplitCode) -> Pairs:
    """The snapshot's interactions of some splits."""
    columns = snapshot.interactions
    chosen = np.isin(columns.split, splits)
    return Pairs.of(np.asarray(columns.user_index)[chosen], np.asarray(columns.item_index)[chosen])


def sizes(snapshot: Snapshot) -> NodeSpace:
    """How many nodes of each kind a snapshot has."""
    counts = snapshot.counts
    return NodeSpace(counts["users"], counts["items"], counts["entities"], counts["interests"])

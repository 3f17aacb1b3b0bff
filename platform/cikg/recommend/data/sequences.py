"""Interactions as sequences: what each user did, in the order of time, and what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cikg.graph.export import NEVER
from cikg.recommend.data.views import Array
from cikg.schema import SplitCode

if TYPE_CHECKING:
    from cikg.graph.snapshot import Snapshot

PADDING = -1
"""What stands where a padded row has no item."""


@dataclass(frozen=True)
class Sequences:
    """Histories to predict from, and what is to be predicted. Like `TrainingData`, it holds the splits asked for alone.

    Attributes:
        offsets: where each user's history begins and the last one's ends; int64, shape (users + 1,).
        item_index: histories in the order of time; int64, shape (n,).
        at: when, in seconds since 1970, `NEVER` where unknown; int64, shape (n,).
        target_offsets: where each user's targets begin; int64, shape (users + 1,).
        target_index: items of the target split in the order of time; int64, shape (targets,).
        timed: whether every time is known. Where one is not, the interaction counts as the user's first, and those
            without times come in the order of the items: an order that says nothing.
    """

    offsets: Array
    item_index: Array
    at: Array
    target_offsets: Array
    target_index: Array
    timed: bool

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def history(self, user: int) -> Array:
        """One user's items, the oldest first."""
        return self.item_index[self.offsets[user] : self.offsets[user + 1]]

    def padded(self, length: int) -> Array:
        """The last items of each user, the latest at the end of the row; int64, shape (users, length).

        Args:
            length: of a row. Longer histories lose their beginning, shorter ones begin with `PADDING`.
        """
        ends = self.offsets[1:, None]
        places = ends - length + np.arange(length)
        known = places >= self.offsets[:-1, None]
        if not len(self.item_index):
            return np.full(known.shape, PADDING, dtype=np.int64)
        return np.where(known, self.item_index[places.clip(min=0)], PADDING)

    def next_items(self, length: int) -> tuple[Array, Array]:
        """Every item of a history but the first, and the items before it: what training on prefixes needs.

        Args:
            length: of a prefix, as that of `padded`.

        Returns:
            Prefixes, int64 of shape (examples, length), and the items that follow, int64 of shape (examples,); by user,
            then time.
        """
        lengths = np.diff(self.offsets)
        starts = np.repeat(self.offsets[:-1], lengths)
        follows = np.flatnonzero(np.arange(len(self.item_index)) > starts)
        places = follows[:, None] - length + np.arange(length)
        prefixes = np.where(places >= starts[follows, None], self.item_index[places.clip(min=0)], PADDING)
        return prefixes, self.item_index[follows]


def sequences(snapshot: Snapshot, known: tuple[SplitCode, ...], target: SplitCode | None) -> Sequences:
    """Cut a snapshot's interactions into histories of some splits and targets of another. A pure function.

    To train: `known=(TRAIN,)` and VALID; to evaluate: `known=(TRAIN, VALID)` and TEST.

    Args:
        snapshot: the data.
        known: the splits that histories are made of.
        target: the split that targets are made of, or None.
    """
    table = snapshot.interactions
    users, items, at = (np.asarray(column, dtype=np.int64) for column in (table.user_index, table.item_index, table.at))
    split = np.asarray(table.split)

    def ordered(splits: tuple[SplitCode, ...]) -> tuple[Array, Array]:
        chosen = np.flatnonzero(np.isin(split, splits))
        chosen = chosen[np.lexsort((items[chosen], at[chosen], users[chosen]))]
        return np.searchsorted(users[chosen], np.arange(snapshot.counts["users"] + 1)), chosen

    offsets, history = ordered(known)
    target_offsets, targets = ordered(() if target is None else (target,))
    return Sequences(
        offsets=offsets,
        item_index=items[history],
        at=at[history],
        target_offsets=target_offsets,
        target_index=items[targets],
        timed=not bool((at[history] == NEVER).any()),
    )

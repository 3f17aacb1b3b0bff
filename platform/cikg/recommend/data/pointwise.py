"""Interactions as single examples with a label and features, as methods of click-through prediction take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cikg.recommend.data.views import Array, Pairs, pairs
from cikg.schema import SplitCode

if TYPE_CHECKING:
    from cikg.graph.snapshot import Snapshot


@dataclass(frozen=True)
class Features:
    """Features that each row of a kind has any number of.

    Attributes:
        offsets: where each row's features begin and the last one's end; int64, shape (rows + 1,).
        feature_index: features, sorted within a row; int64, shape (n,).
        total: how many different ones there are.
    """

    offsets: Array
    feature_index: Array
    total: int

    def of(self, row: int) -> Array:
        """The features of one row."""
        return self.feature_index[self.offsets[row] : self.offsets[row + 1]]

    @classmethod
    def made(cls, rows: int, row_index: Array, feature_index: Array, total: int) -> Features:
        """Group features by row; repetitions count once."""
        found = Pairs.of(row_index.astype(np.int64), feature_index.astype(np.int64))
        return cls(found.offsets(rows), found.item_index, total)


@dataclass(frozen=True)
class Pointwise:
    """Examples: all positive ones by user and item, then the negatives that were drawn for them, in the same order.

    Attributes:
        user_index, item_index: who and what; int64, shape (n,).
        label: 1 for an interaction, 0 for a pair that was drawn; float32, shape (n,).
        user_features: each user's interests.
        item_features: what is known of each item: a feature is a relation and what it leads to.
    """

    user_index: Array
    item_index: Array
    label: Array
    user_features: Features
    item_features: Features

    def __len__(self) -> int:
        return len(self.label)


def pointwise(snapshot: Snapshot, splits: tuple[SplitCode, ...], *, negatives: int = 1, seed: int = 0) -> Pointwise:
    """Make examples of a snapshot's interactions in some splits. A pure function: the same arguments give the same.

    Negatives are drawn uniformly from the items that the user has in none of these splits, with replacement. Other
    splits are not looked at: negatives that spare the test items would tell which those are.

    Args:
        snapshot: the data.
        splits: whose interactions are positive.
        negatives: drawn for each positive; a user who has all items gets none.
        seed: of the draw.
    """
    positive = pairs(snapshot, *splits)
    users, items = snapshot.counts["users"], snapshot.counts["items"]
    drawn_user, drawn_item = _draw(positive, users, items, negatives, np.random.default_rng(seed))
    facts, has = snapshot.facts, snapshot.has_interest
    heads = np.asarray(facts.head_index)
    of_items = heads < items
    values, feature = np.unique(
        np.asarray(facts.relation_index, dtype=np.int64)[of_items] * max(items + snapshot.counts["entities"], 1)
        + np.asarray(facts.tail_index)[of_items],
        return_inverse=True,
    )
    return Pointwise(
        user_index=np.concatenate([positive.user_index, drawn_user]),
        item_index=np.concatenate([positive.item_index, drawn_item]),
        label=np.repeat(np.array([1, 0], np.float32), [len(positive), len(drawn_user)]),
        user_features=Features.made(
            users, np.asarray(has.user_index), np.asarray(has.interest_index), snapshot.counts["interests"]
        ),
        item_features=Features.made(items, heads[of_items], feature, len(values)),
    )


def _draw(positive: Pairs, users: int, items: int, negatives: int, random: np.random.Generator) -> tuple[Array, Array]:
    """Draw exactly, without rejection: the r-th item that a user does not have, for a random r.

    If a user's items are i_0 < i_1 < …, there are i_j - j others before i_j; so the r-th of the others comes after as
    many of the user's items as have i_j - j ≤ r.
    """
    offsets = positive.offsets(users)
    held = np.diff(offsets)
    user = np.repeat(positive.user_index, negatives)
    user = user[held[user] < items]
    rank = random.integers(0, items - held[user])
    before = positive.item_index - (np.arange(len(positive)) - offsets[positive.user_index])
    keys = positive.user_index * (items + 1) + before  # sorted, since `before` never falls within a user
    return user, rank + np.searchsorted(keys, user * (items + 1) + rank, side="right") - offsets[user]

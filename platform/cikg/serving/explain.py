"""Why an item is recommended to a user: the interest of theirs whose holders read it most above the average.

For an interest j and an item i, with the edges of train and valid alone::

    support(j, i) = holders of j who read i        cohort(j) = holders of j
    share(i)      = readers of i / users           lift(j, i) = support / cohort / share

The explanation of (u, i) is u's interest of greatest lift. It is a statement about the graph, not about the model: a
person can count it after. Lift is the association measure of Brin et al., "Dynamic Itemset Counting and Implication
Rules for Market Basket Data" (SIGMOD 1997), there called interest.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cikg.graph.snapshot import Snapshot
from cikg.schema import SplitCode

MINIMUM_SUPPORT = 2
"""One holder who read the item proves nothing: with one other holder it would be the greatest lift of all."""

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Explanations:
    """The explanation of each of P (user, item) pairs.

    Attributes:
        interest_index: shape (P,); -1 where no interest explains the pair.
        support: shape (P,), holders of the interest who read the item.
        cohort: shape (P,), holders of the interest.
        share: shape (P,), readers of the item among all users, 0 to 1.
    """

    interest_index: Indices
    support: Indices
    cohort: Indices
    share: NDArray[np.float64]


class Explainer:
    """Explains recommendations from a snapshot's edges.

    Args:
        snapshot: the one that the recommender was trained on.
        wrong: users and interests, by index, that do not belong together after all.
    """

    def __init__(self, snapshot: Snapshot, wrong: Collection[tuple[int, int]] = ()) -> None:
        users, items, interests = len(snapshot.users.ids), len(snapshot.items.ids), len(snapshot.interests.ids)
        known = np.asarray(snapshot.interactions.split) != SplitCode.TEST
        read = _binary(
            np.asarray(snapshot.interactions.user_index)[known],
            np.asarray(snapshot.interactions.item_index)[known],
            (users, items),
        )
        holder = np.asarray(snapshot.has_interest.user_index)
        held = np.asarray(snapshot.has_interest.interest_index)
        if wrong:
            right = np.array(
                [pair not in wrong for pair in zip(holder.tolist(), held.tolist(), strict=True)], dtype=bool
            )
            holder, held = holder[right], held[right]
        self._holds = _binary(holder, held, (users, interests))
        together = sparse.csr_array(self._holds.T @ read)  # (J, I) holders of j who read i
        together.sort_indices()
        rows = np.repeat(np.arange(interests), np.diff(together.indptr))
        self._items = items
        self._keys = rows.astype(np.int64) * items + together.indices  # ascending: one look-up is a binary search
        self._counts = together.data.astype(np.int64)
        self._cohort = np.asarray(self._holds.sum(axis=0), dtype=np.int64)  # (J,)
        self._share = np.asarray(read.sum(axis=0), dtype=np.float64) / max(users, 1)  # (I,)

    def explain(self, user_index: Indices, item_index: Indices) -> Explanations:
        """Explain P pairs at once.

        Args:
            user_index: shape (P,).
            item_index: shape (P,).

        Returns:
            The best interest of each pair; of equal lifts the one with more support, then the lower index.
        """
        held = np.diff(self._holds.indptr)[user_index]  # (P,) interests of each pair's user
        pair = np.repeat(np.arange(len(user_index)), held)  # (C,) one row a candidate interest
        offset = np.arange(len(pair)) - np.repeat(np.cumsum(held) - held, held)
        interest = self._holds.indices[self._holds.indptr[user_index][pair] + offset].astype(np.int64)
        item = item_index[pair]
        support = self._support(interest, item)
        with np.errstate(divide="ignore", invalid="ignore"):
            lift = support / self._cohort[interest] / self._share[item]
        usable = (support >= MINIMUM_SUPPORT) & (lift > 1)
        pair, interest, support, lift = pair[usable], interest[usable], support[usable], lift[usable]
        order = np.lexsort((interest, -support, -lift, pair))
        first = order[np.unique(pair[order], return_index=True)[1]]
        best = np.full(len(user_index), -1, dtype=np.int64)
        best[pair[first]] = interest[first]
        counts = np.zeros(len(user_index), dtype=np.int64)
        counts[pair[first]] = support[first]
        cohort = np.where(best >= 0, self._cohort[best], 0) if len(self._cohort) else np.zeros_like(best)
        return Explanations(best, counts, cohort, self._share[item_index])

    def _support(self, interest: Indices, item: Indices) -> Indices:
        if not len(self._keys):
            return np.zeros(len(interest), dtype=np.int64)
        wanted = interest * self._items + item
        at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return np.where(self._keys[at] == wanted, self._counts[at], 0)


def _binary(rows: NDArray[Any], columns: NDArray[Any], shape: tuple[int, int]) -> sparse.csr_array:
    """A 0/1 matrix; pairs that occur twice count once."""
    matrix = sparse.csr_array((np.ones(len(rows), dtype=np.int64), (rows, columns)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix

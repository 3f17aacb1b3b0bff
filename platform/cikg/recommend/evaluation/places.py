"""Where the held-out items came in the rankings: all that a per-user metric at any cut-off depends on.

A finished run keeps them, a few bytes for each held-out interaction. So runs are compared, user by user and group by
group, without their weights and without scoring again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from cikg.errors import InputError
from cikg.recommend import runs
from cikg.recommend.data.nodes import Array

CUTOFFS = (1, 5, 10, 20, 50, 100)
DEPTH = max(CUTOFFS)
"""How much of a ranking is looked at."""

PER_USER = ("recall", "ndcg", "precision", "hit_rate", "mrr")
"""Kinds of metrics that each user has; defined as in ranx, with binary relevance."""

DISCOUNTS = 1 / np.log2(np.arange(1, DEPTH + 1) + 1)


def parse_metric(name: str) -> tuple[str, int]:
    """Kind and cut-off of a per-user metric, as of `ndcg@50`.

    Raises:
        InputError: there is no such metric; says which there are.
    """
    kind, _, cutoff = name.partition("@")
    if kind not in PER_USER or not cutoff.isdecimal() or int(cutoff) not in CUTOFFS:
        cure = f"Write one of {', '.join(PER_USER)}, then @ and one of {', '.join(map(str, CUTOFFS))}, as ndcg@50"
        raise InputError(f"there is no metric {name!r}", cure=cure)
    return kind, int(cutoff)


def check_selection(name: str) -> None:
    """Refuse what nothing can be selected on: neither a metric nor a sum of some, as `recall@50+ndcg@50`.

    Raises:
        InputError: there is no such metric; says which there are.
    """
    for each in name.split("+"):
        parse_metric(each)


def total(metrics: Mapping[str, float], name: str) -> float:
    """One metric, or the sum of several, as `check_selection` lets through."""
    return sum(metrics[each] for each in name.split("+"))


@dataclass(frozen=True)
class Places:
    """The place of each of n held-out items in its user's ranking.

    Attributes:
        user_index: int32, shape (n,), ascending.
        item_index: int32, shape (n,).
        rank: int16, shape (n,): 1 is the best, 0 where the item is not among the first `DEPTH`.
    """

    user_index: Array
    item_index: Array
    rank: Array

    @cached_property
    def users(self) -> Array:
        """The users who have something held out, ascending: the order of `per_user`."""
        return self.user_index[self._starts]

    @cached_property
    def _starts(self) -> Array:
        """Where each user's items begin."""
        return np.flatnonzero(np.diff(self.user_index, prepend=-1))

    @cached_property
    def _relevant(self) -> Array:
        """How many items each user has held out."""
        return np.diff(self._starts, append=len(self.user_index))

    def per_user(self, name: str) -> Array:
        """A metric of each user: float64, shape (users,).

        Args:
            name: as `ndcg@50`.

        Raises:
            InputError: there is no such metric.
        """
        kind, k = parse_metric(name)
        if not len(self.user_index):
            return np.empty(0)
        hit = (self.rank > 0) & (self.rank <= k)
        place = np.where(hit, self.rank, 1)
        if kind == "mrr":
            return np.maximum.reduceat(hit / place, self._starts)
        if kind == "ndcg":
            gain = np.add.reduceat(hit * DISCOUNTS[place - 1], self._starts)
            ideal: Array = DISCOUNTS.cumsum()[np.minimum(self._relevant, k) - 1]
            return gain / ideal
        found = np.add.reduceat(hit, self._starts, dtype=np.float64)
        divisor: dict[str, Array | int] = {"recall": self._relevant, "precision": k, "hit_rate": np.maximum(found, 1)}
        return found / divisor[kind]

    def metrics(self) -> dict[str, float]:
        """The mean over users of every per-user metric at every cut-off, by names like `recall@50`."""
        return {f"{kind}@{k}": float(np.mean(self.per_user(f"{kind}@{k}"))) for k in CUTOFFS for kind in PER_USER}

    def only(self, chosen: Array) -> Places:
        """As if nothing but the chosen items were held out; users who have none of them are left out.

        Args:
            chosen: bool, shape (n,).
        """
        return Places(self.user_index[chosen], self.item_index[chosen], self.rank[chosen])

    def save(self, path: Path, note: dict[str, str]) -> None:
        """Write them, with a note on what they are."""
        import torch  # noqa: PLC0415 - who writes them has loaded it; who compares runs need not

        columns = {"user_index": self.user_index, "item_index": self.item_index, "rank": self.rank}
        runs.write_tensors(path, {name: torch.from_numpy(column) for name, column in columns.items()}, note)

    @classmethod
    def load(cls, path: Path) -> tuple[Self, dict[str, str]]:
        """Read what `save` wrote.

        Raises:
            SnapshotError: the file is missing or damaged; names it.
        """
        columns, note = runs.read_arrays(path)
        return cls(**columns), note

"""The best items of some users by a model: what it is asked for, and what is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cikg.graph.snapshot import Snapshot
from cikg.schema import SplitCode

SCORES_AT_ONCE = 1 << 22
"""Scores a chunk: with what is made of them some 120 MB, whatever the size of the catalogue."""


class Recommender(Protocol):
    """What serving needs of a trained model."""

    @property
    def run_id(self) -> str:
        """The run that trained it."""

    @property
    def snapshot_hash(self) -> str:
        """The snapshot it was trained on."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """How it was trained; holds `method`."""

    def scores(self, user_index: NDArray[np.int64]) -> NDArray[Any]:
        """Scores of all items, shape (B, I), for B users."""

    def shares(self, user_index: NDArray[np.int64], item_index: NDArray[np.int64]) -> tuple[list[str], NDArray[Any]]:
        """Names of the experts that a score is the sum of, if any, and their shares in it: shape (B, k, experts)."""


@dataclass(frozen=True)
class TopK:
    """The best items of B users: `item_index` and `score` of shape (B, k); an index of -1 fills up short lists."""

    item_index: NDArray[np.int64]
    score: NDArray[np.float64]


def known_items(snapshot: Snapshot) -> sparse.csr_array:
    """What each user read in train and valid, shape (U, I)."""
    known = np.asarray(snapshot.interactions.split) != SplitCode.TEST
    users = np.asarray(snapshot.interactions.user_index)[known]
    items = np.asarray(snapshot.interactions.item_index)[known]
    shape = (len(snapshot.users.ids), len(snapshot.items.ids))
    return sparse.csr_array((np.ones(len(users), dtype=np.int8), (users, items)), shape=shape)


def chunks(user_index: NDArray[np.int64], items: int) -> Iterator[NDArray[np.int64]]:
    """Users to score at a time, so many that their scores of all items stay within bounds."""
    step = max(1, SCORES_AT_ONCE // max(items, 1))
    for start in range(0, len(user_index), step):
        yield user_index[start : start + step]


def top_k(scores: NDArray[Any], known: sparse.csr_array, k: int) -> TopK:
    """The k best unknown items of each user; equal scores in the order of the items.

    Args:
        scores: shape (B, I).
        known: shape (B, I); its entries are left out.
        k: items a user; fewer where fewer are left.
    """
    masked = np.array(scores, dtype=np.float64)
    rows = np.repeat(np.arange(masked.shape[0]), np.diff(known.indptr))
    masked[rows, known.indices] = -np.inf
    masked[np.isnan(masked)] = -np.inf
    k = min(k, masked.shape[1])
    # A threshold first: sorting all of I for k of them would cost more than the scores themselves.
    threshold = np.partition(masked, masked.shape[1] - k, axis=1)[:, masked.shape[1] - k, None]
    best = np.full((masked.shape[0], k), -1, dtype=np.int64)
    value = np.full((masked.shape[0], k), -np.inf)
    for row, candidates in enumerate(masked >= threshold):
        items = np.flatnonzero(candidates)
        items = items[np.argsort(-masked[row, items], kind="stable")][:k]
        best[row, : len(items)], value[row, : len(items)] = items, masked[row, items]
    best[np.isneginf(value)] = -1
    return TopK(best, value)

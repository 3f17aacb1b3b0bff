"""How well runs serve users and items with few interactions: a metric by groups of them, from dense to sparse.

Groups are of about equal size, by the number of interactions that a run could learn from; those with the same number
stay together, and those with none are a group of their own. A group of items counts as if nothing else were held out,
over the users who have some of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from cikg.recommend.data.nodes import Array, pairs, sizes
from cikg.recommend.evaluation.comparison import Comparison, Interval, intervals
from cikg.schema import SplitCode

if TYPE_CHECKING:
    from cikg.graph.snapshot import Snapshot

By = Literal["users", "items"]


@dataclass(frozen=True)
class Group:
    """Users or items of whom about as much is known.

    Attributes:
        least: fewest interactions of any of them.
        most: most interactions.
        size: how many users or items have something held out.
        users: how many users the figures are means over.
        figures: one an entry.
        differences: of every entry but the first to the first.
    """

    least: int
    most: int
    size: int
    users: int
    figures: tuple[Interval, ...]
    differences: tuple[Interval, ...]

    @property
    def label(self) -> str:
        """The interactions, as people write them."""
        return str(self.least) if self.least == self.most else f"{self.least}–{self.most}"


def by_sparsity(
    comparison: Comparison, snapshot: Snapshot, by: By, metric: str = "ndcg@50", *, count: int = 5, seed: int = 0
) -> list[Group]:
    """A metric by groups, the densest first.

    Args:
        comparison: what to divide.
        snapshot: one that the runs were trained on.
        by: divide users, or items.
        metric: as `ndcg@50`.
        count: the most groups there may be, beside that of those without interactions.
        seed: of the intervals.
    """
    known = pairs(snapshot, SplitCode.TRAIN, *([SplitCode.VALID] if _learned_valid(comparison) else []))
    places, nodes = comparison.entries[0].places[0], sizes(snapshot)
    if by == "users":
        interactions, member = np.bincount(known.user_index, minlength=nodes.users), places.user_index
    else:
        interactions, member = np.bincount(known.item_index, minlength=nodes.items), places.item_index
    members = np.unique(member)
    number = _divide(interactions[members], count)
    groups = []
    for group in np.unique(number)[::-1]:
        own = members[number == group]
        chosen = np.isin(member, own)
        each = np.stack([entry.per_user(metric, chosen) for entry in comparison.entries], axis=1)
        found = intervals(np.concatenate([each, each[:, 1:] - each[:, :1]], axis=1), seed)
        entries, amounts = len(comparison.entries), interactions[own]
        groups.append(
            Group(
                least=int(amounts.min()),
                most=int(amounts.max()),
                size=len(own),
                users=len(each),
                figures=tuple(found[:entries]),
                differences=tuple(found[entries:]),
            )
        )
    return groups


def _learned_valid(comparison: Comparison) -> bool:
    """Whether any of the runs was fitted to valid as well: in a refit, or because it was selected on test."""
    manifests = [manifest for entry in comparison.entries for manifest in entry.manifests]
    return comparison.split == "test" and any(each["refit"] or each["protocol"] == "paper" for each in manifests)


def _divide(amounts: Array, count: int) -> Array:
    """The group of each amount: 0 for nothing, then from the smallest; equal amounts go where their middle one does."""
    groups, some = np.zeros(len(amounts), dtype=np.int64), amounts > 0
    _, which, times = np.unique(amounts[some], return_inverse=True, return_counts=True)
    middle = (np.cumsum(times) - times / 2) / max(len(which), 1)
    groups[some] = 1 + (middle * count).astype(np.int64)[which]
    return groups

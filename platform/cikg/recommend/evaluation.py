"""Full-ranking evaluation: one pass of scores → mask → top-k → vectorised metrics.

Every metric is the mean over the users that have something held out. Relevance is binary.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cikg.errors import InputError
from cikg.recommend import runs
from cikg.recommend.scorers import Scorer
from cikg.recommend.views import Array, NodeSpace, Pairs, pairs, sizes
from cikg.schema import SplitCode

if TYPE_CHECKING:
    from cikg.graph.snapshot import Snapshot

CUTOFFS = (1, 5, 10, 20, 50, 100)
CHUNK = 1024
"""Users a matrix product: large enough for the processor, small enough for its memory."""

Metrics = dict[str, float]


@dataclass(frozen=True)
class Ranking:
    """The best items of some users.

    Attributes:
        user_index: int64, shape (users,).
        item_index: best first, int64, shape (users, k); -1 where fewer than k items were left to recommend.
    """

    user_index: Array
    item_index: Array


class Membership:
    """Answers which items belong to which users.

    Args:
        pairs: what belongs together.
        nodes: the sizes.
    """

    def __init__(self, pairs: Pairs, nodes: NodeSpace) -> None:
        self._offsets = pairs.offsets(nodes.users)
        self._items = pairs.item_index
        self._keys = pairs.user_index * nodes.items + pairs.item_index
        self._width = nodes.items

    def count(self, user_index: Array) -> Array:
        """How many items belong to each user."""
        counts: Array = np.diff(self._offsets)[user_index]
        return counts

    def flat(self, user_index: Array) -> tuple[Array, Array]:
        """All pairs of these users, as (position in `user_index`, item)."""
        counts = self.count(user_index)
        row = np.repeat(np.arange(len(user_index)), counts)
        within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        return row, self._items[self._offsets[user_index][row] + within]

    def contains(self, user_index: Array, item_index: Array) -> Array:
        """Whether each item belongs to its row's user; bool, shape of `item_index` (users, k)."""
        wanted = user_index[:, None] * self._width + item_index
        place = np.minimum(np.searchsorted(self._keys, wanted), max(len(self._keys) - 1, 0))
        if not len(self._keys):
            return np.zeros(item_index.shape, dtype=bool)
        found: Array = (self._keys[place] == wanted) & (item_index >= 0)
        return found


def rank(scorer: Scorer, nodes: NodeSpace, seen: Pairs, user_index: Array, k: int, *, chunk: int = CHUNK) -> Ranking:
    """The k best items of each user among those not seen.

    Args:
        scorer: gives the scores.
        nodes: the sizes.
        seen: what is not recommended again.
        user_index: whom to recommend to, shape (users,).
        k: how many, cut to the number of items.
        chunk: users at once; changes nothing but speed and memory.
    """
    known, k = Membership(seen, nodes), min(k, nodes.items)
    best = np.empty((len(user_index), k), dtype=np.int64)
    device = next(iter(scorer.tensors().values())).device
    for start in range(0, len(user_index), chunk):
        part = user_index[start : start + chunk]
        scores = scorer.scores(torch.from_numpy(part).to(device))
        row, item = (torch.from_numpy(each).to(device) for each in known.flat(part))
        scores[row, item] = -torch.inf
        values, items = torch.topk(scores, k, dim=1)
        best[start : start + chunk] = items.masked_fill_(values == -torch.inf, -1).cpu().numpy()
    return Ranking(user_index, best)


def metrics(ranking: Ranking, held_out: Pairs, seen: Pairs, nodes: NodeSpace) -> Metrics:
    """All metrics at all cut-offs, by names like `recall@50`.

    Recall, NDCG, precision, hit rate and reciprocal rank are per-user means, defined as in ranx. Coverage is the share
    of the catalogue that anyone is shown, Gini the inequality of how often items are shown (0 equal, 1 one item
    takes all), novelty the mean of -log2 of the share of users who had seen an item shown.
    """
    truth = Membership(held_out, nodes)
    relevant = truth.count(ranking.user_index)
    hits = truth.contains(ranking.user_index, ranking.item_index)
    ranks = np.arange(1, hits.shape[1] + 1)
    discount = 1 / np.log2(ranks + 1)
    found, gain, ideal = hits.cumsum(1), (hits * discount).cumsum(1), discount.cumsum()
    first = np.where(hits.any(1), hits.argmax(1) + 1, np.inf)
    surprise = -np.log2(np.maximum(np.bincount(seen.item_index, minlength=nodes.items), 1) / max(nodes.users, 1))
    result: Metrics = {}
    for k in CUTOFFS:
        last = min(k, len(ranks)) - 1
        best = np.minimum(relevant, last + 1) - 1
        shown = ranking.item_index[:, : last + 1]
        shown = shown[shown >= 0]
        exposure = np.bincount(shown, minlength=nodes.items)
        result |= {
            f"recall@{k}": float(np.mean(found[:, last] / relevant)),
            f"ndcg@{k}": float(np.mean(gain[:, last] / ideal[best])),
            f"precision@{k}": float(np.mean(found[:, last] / k)),
            f"hit_rate@{k}": float(np.mean(found[:, last] > 0)),
            f"mrr@{k}": float(np.mean(np.where(first <= k, 1 / first, 0))),
            f"coverage@{k}": float(np.mean(exposure > 0)),
            f"novelty@{k}": float(np.mean(surprise[shown])) if len(shown) else 0.0,
            f"gini@{k}": _gini(exposure),
        }
    return result


def _gini(exposure: Array) -> float:
    """Gini coefficient of non-negative counts."""
    ordered, count = np.sort(exposure), len(exposure)
    if not ordered.sum():
        return 0.0
    place = np.arange(1, count + 1)
    return float(((2 * place - count - 1) * ordered).sum() / (count * ordered.sum()))


def judge(scorer: Scorer, nodes: NodeSpace, seen: Pairs, held_out: Pairs, *, chunk: int = CHUNK) -> Metrics:
    """Rank the catalogue for every user with something held out, and measure.

    Args:
        scorer: what to judge.
        nodes: the sizes.
        seen: masked from the ranking.
        held_out: the right answers.
        chunk: users at once.

    Returns:
        Metrics by name; empty where nothing is held out.
    """
    users = np.unique(held_out.user_index)
    if not len(users):
        return {}
    ranking = rank(scorer, nodes, seen, users, max(CUTOFFS), chunk=chunk)
    return metrics(ranking, held_out, seen, nodes)


def evaluate(path: Path, snapshot: Snapshot) -> dict[str, Any]:
    """Open the test split, once a run, and write `evaluation.json`.

    Args:
        path: the run's directory.
        snapshot: the very snapshot that it was trained on.

    Returns:
        `test`: metrics with train and valid masked; `valid`: those of the selection, before any refit; and the run's
        name, protocol and warnings.

    Raises:
        InputError: the snapshot is another one, or has no test interactions.
        SnapshotError: the run is damaged.
    """
    run = runs.load(path)
    if run.snapshot_hash != snapshot.hash:
        raise InputError(
            f"{run.run_id} was trained on snapshot {run.snapshot_hash[:16]}, and this is {snapshot.hash[:16]}",
            cure="Train again on this one, or name the other with --snapshot",
        )
    test = pairs(snapshot, SplitCode.TEST)
    if not len(test):
        raise InputError(f"{snapshot.dataset} has no test interactions", cure="Import a dataset that has some")
    seen = pairs(snapshot, SplitCode.TRAIN, SplitCode.VALID)
    result = {
        "run": run.run_id,
        "protocol": run.manifest["protocol"],
        "refit": run.manifest["refit"],
        "warnings": run.manifest["warnings"],
        "valid": run.manifest["valid"],
        "test": judge(run.scorer, sizes(snapshot), seen, test),
    }
    runs.write_json(path / runs.EVALUATION, result)
    return result

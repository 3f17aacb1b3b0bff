"""Full-ranking evaluation: one pass of scores → mask → top-k → places of the held-out items, in chunks of users.

Every metric is the mean over the users that have something held out. Relevance is binary. Of equal scores the item
with the lower index comes first, so that a ranking depends neither on the machine nor on the size of a chunk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cikg.errors import InputError
from cikg.progress import Advance, Progress, ignore, silent
from cikg.recommend import runs
from cikg.recommend.data.views import Array, NodeSpace, Pairs, pairs, sizes
from cikg.recommend.evaluation.places import CUTOFFS, DEPTH, Places
from cikg.recommend.scorers import Scorer
from cikg.schema import SplitCode

if TYPE_CHECKING:
    from cikg.graph.snapshot import Snapshot

SCORES_AT_ONCE = 1 << 20
"""Scores a chunk: 4 MiB stay near the processor, whatever the size of the catalogue."""

KNOWS_TEST = "knows_test"
"""Where a run's manifest says whether its training saw what is in the test split of its snapshot."""

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


@dataclass(frozen=True)
class Outcome:
    """What an evaluation found.

    Attributes:
        metrics: by names like `recall@50`; empty where nothing is held out.
        places: of the held-out items.
    """

    metrics: Metrics
    places: Places


def rank(
    scorer: Scorer, nodes: NodeSpace, seen: Pairs, user_index: Array, k: int, *, chunk: int | None = None
) -> Iterator[Ranking]:
    """Yield the k best items of each user among those not seen, some users at a time.

    Args:
        scorer: gives the scores.
        nodes: the sizes.
        seen: what is not recommended again.
        user_index: whom to recommend to, shape (users,).
        k: how many, cut to the number of items.
        chunk: users at once; changes nothing but speed and memory.

    Raises:
        InputError: a score is not a number.
    """
    k, offsets = min(k, nodes.items), seen.offsets(nodes.users)
    device = next(iter(scorer.tensors().values())).device
    chunk = chunk or max(1, SCORES_AT_ONCE // max(nodes.items, 1))
    for start in range(0, len(user_index), chunk):
        part = user_index[start : start + chunk]
        scores = scorer.scores(torch.from_numpy(part).to(device))
        counts = np.diff(offsets)[part]
        row = np.repeat(np.arange(len(part)), counts)
        within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        item = seen.item_index[offsets[part][row] + within]
        scores[torch.from_numpy(row).to(device), torch.from_numpy(item).to(device)] = -torch.inf
        items = top(scores, k)
        yield Ranking(part, items.masked_fill(scores.gather(1, items) == -torch.inf, -1).cpu().numpy())


def top(scores: Tensor, k: int) -> Tensor:
    """The columns of the k greatest scores of each row, greatest first; of equal scores the lower column first.

    Args:
        scores: shape (rows, columns), with at least k columns.
        k: how many.

    Returns:
        int64, shape (rows, k).

    Raises:
        InputError: a score is not a number.
    """
    if bool(scores.isnan().any()):
        raise InputError("some scores are not numbers", cure="Train again with a lower learning rate")
    least = _kth(scores, k)
    chosen = scores >= least
    if int(chosen.sum()) > len(scores) * k:
        above = scores > least
        tied = chosen ^ above
        left = k - above.sum(1, dtype=torch.int32, keepdim=True)
        chosen = above | (tied & (tied.cumsum(1, dtype=torch.int32) <= left))
    columns = chosen.nonzero()[:, 1].view(len(scores), k)
    order = scores.gather(1, columns).sort(dim=1, descending=True, stable=True).indices
    return columns.gather(1, order)


def _kth(scores: Tensor, k: int) -> Tensor:
    """The k-th greatest score of each row, shape (rows, 1). On a processor NumPy's partition is far the fastest."""
    if scores.device.type != "cpu":
        return scores.topk(k, dim=1).values[:, -1:]
    place = scores.shape[1] - k
    return torch.from_numpy(np.partition(scores.numpy(), place, axis=1)[:, place : place + 1])


def measure(
    scorer: Scorer,
    nodes: NodeSpace,
    seen: Pairs,
    held_out: Pairs,
    *,
    chunk: int | None = None,
    advance: Advance = ignore,
) -> Outcome:
    """Rank the catalogue for every user with something held out, and measure.

    Recall, NDCG, precision, hit rate and reciprocal rank are per-user means, defined as in ranx. Coverage is the share
    of the catalogue that anyone is shown, Gini the inequality of how often items are shown (0 equal, 1 one item
    takes all), novelty the mean of -log2 of the share of users who had seen an item shown.

    Args:
        scorer: what to judge.
        nodes: the sizes.
        seen: masked from the ranking.
        held_out: the right answers.
        chunk: users at once; changes nothing but speed and memory.
        advance: called with the number of users measured.

    Raises:
        InputError: a score is not a number.
    """
    users, keys = np.unique(held_out.user_index), held_out.user_index * nodes.items + held_out.item_index
    ranks = np.zeros(len(held_out), dtype=np.int16)
    exposure = np.zeros((len(CUTOFFS), nodes.items), dtype=np.int64)
    for ranking in rank(scorer, nodes, seen, users, DEPTH, chunk=chunk):
        first, last = np.searchsorted(held_out.user_index, [ranking.user_index[0], ranking.user_index[-1] + 1])
        own = keys[first:last]
        shown = np.where(ranking.item_index < 0, -1, ranking.user_index[:, None] * nodes.items + ranking.item_index)
        place = np.minimum(np.searchsorted(own, shown), len(own) - 1)
        row, column = np.nonzero(own[place] == shown)
        ranks[first + place[row, column]] = column + 1
        for index, (begin, end) in enumerate(zip((0, *CUTOFFS), CUTOFFS, strict=False)):
            part = ranking.item_index[:, begin:end]
            exposure[index] += np.bincount(part[part >= 0], minlength=nodes.items)
        advance(len(ranking.user_index))
    places = Places(held_out.user_index.astype(np.int32), held_out.item_index.astype(np.int32), ranks)
    if not len(users):
        return Outcome({}, places)
    return Outcome(places.metrics() | _of_catalogue(exposure.cumsum(0), seen, nodes), places)


def _of_catalogue(exposure: Array, seen: Pairs, nodes: NodeSpace) -> Metrics:
    """Coverage, novelty and Gini from how often each item is shown; shape (cut-offs, items)."""
    surprise = -np.log2(np.maximum(np.bincount(seen.item_index, minlength=nodes.items), 1) / max(nodes.users, 1))
    result: Metrics = {}
    for k, shown in zip(CUTOFFS, exposure, strict=True):
        result[f"coverage@{k}"] = float(np.mean(shown > 0))
        result[f"novelty@{k}"] = float(shown @ surprise / max(shown.sum(), 1))
        result[f"gini@{k}"] = _gini(shown)
    return result


def _gini(exposure: Array) -> float:
    """Gini coefficient of non-negative counts."""
    ordered, count = np.sort(exposure), len(exposure)
    if not ordered.sum():
        return 0.0
    place = np.arange(1, count + 1)
    return float(((2 * place - count - 1) * ordered).sum() / (count * ordered.sum()))


def judge(scorer: Scorer, nodes: NodeSpace, seen: Pairs, held_out: Pairs) -> Metrics:
    """The metrics alone of what `measure` finds."""
    return measure(scorer, nodes, seen, held_out).metrics


def split_digest(snapshot: Snapshot) -> str:
    """A digest of who has which interaction in which split: what two snapshots must share for results to compare."""
    names = [name for name in sorted(snapshot.manifest["files"]) if name.startswith(("users.id.", "items.id."))]
    names += [f"interactions.{column}.npy" for column in ("user_index", "item_index", "split")]
    digests = [snapshot.manifest["files"][name]["sha256"] for name in names]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def evaluate(path: Path, snapshot: Snapshot, progress: Progress = silent) -> dict[str, Any]:
    """Open the test split, once a run; write `evaluation.json` and the places of the test items.

    Args:
        path: the run's directory.
        snapshot: the very snapshot that it was trained on.
        progress: opens a progress bar over users.

    Returns:
        `test`: metrics with train and valid masked; `valid`: those of the selection, before any refit; and the run's
        name, protocol and warnings.

    Raises:
        InputError: the snapshot is another one, has no test interactions, or some that the run was trained on.
        SnapshotError: the run is damaged.
    """
    run = runs.load(path)
    if run.manifest.get(KNOWS_TEST):
        raise InputError(
            f"{run.run_id} knows interactions that are in the test split now, so its figures would be worth nothing",
            cure="Train again on the present snapshot, and measure that run",
        )
    if run.snapshot_hash != snapshot.hash:
        raise InputError(
            f"{run.run_id} was trained on snapshot {run.snapshot_hash[:16]}, not on {snapshot.hash[:16]}",
            cure="Train again on this one, or give the other with --snapshot",
        )
    test = pairs(snapshot, SplitCode.TEST)
    if not len(test):
        raise InputError(
            f"the dataset {snapshot.dataset!r} has no test interactions", cure="Import a dataset that has some"
        )
    seen = pairs(snapshot, SplitCode.TRAIN, SplitCode.VALID)
    with progress("measuring", len(np.unique(test.user_index))) as advance:
        outcome = measure(run.scorer, sizes(snapshot), seen, test, advance=advance)
    outcome.places.save(path / runs.PLACES.format(split="test"), {"interactions": split_digest(snapshot)})
    result = {
        "run": run.run_id,
        "protocol": run.manifest["protocol"],
        "refit": run.manifest["refit"],
        "warnings": run.manifest["warnings"],
        "valid": run.manifest["valid"],
        "test": outcome.metrics,
    }
    runs.write_json(path / runs.EVALUATION, result)
    return result

# ruff: noqa: T201 - a script that prints
"""Full-ranking evaluation of 6,000 users over 3,000 items: ours, a loop over users, and ranx on the same lists.

python -m tests.benchmarks.bench_evaluation [--users N] [--items N]

Ours ranks, measures eight kinds of metrics at six cut-offs, and keeps each user's; the loop ranks with torch's own topk
and measures recall and NDCG alone; ranx gets ready lists and measures the five kinds that it has. Also the intervals of
twelve differences (two runs, six metrics): ours against `scipy.stats.bootstrap`. One thread, and seconds of processor
time: on an idle machine they are the seconds that pass, and on a busy one the neighbours do not count.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from scipy.stats import bootstrap as scipy_bootstrap

from cikg.recommend.data.views import NodeSpace, Pairs
from cikg.recommend.evaluation.comparison import RESAMPLES, bootstrap
from cikg.recommend.evaluation.measuring import measure, rank
from cikg.recommend.evaluation.places import CUTOFFS, DEPTH, PER_USER
from cikg.recommend.scorers import DotScorer

WIDTH, REPEATS = 64, 5


def seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Processor time, the least over repetitions."""
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


def by_loop(scorer: DotScorer, seen: Pairs, held: Pairs, nodes: NodeSpace) -> dict[str, float]:
    """A user at a time: score, mask, topk, compare with a set."""
    known, truth = (np.split(pairs.item_index, pairs.offsets(nodes.users)[1:-1]) for pairs in (seen, held))
    totals = dict.fromkeys((f"{kind}@{k}" for kind in ("recall", "ndcg") for k in CUTOFFS), 0.0)
    discount = 1 / np.log2(np.arange(DEPTH) + 2)
    users = np.unique(held.user_index)
    for user in users:
        scores = scorer.scores(torch.tensor([user]))[0]
        scores[torch.from_numpy(known[user])] = -torch.inf
        relevant = set(truth[user].tolist())
        hits = np.array([item in relevant for item in scores.topk(DEPTH).indices.tolist()])
        for k in CUTOFFS:
            totals[f"recall@{k}"] += hits[:k].sum() / len(relevant)
            totals[f"ndcg@{k}"] += (hits * discount)[:k].sum() / discount[: min(k, len(relevant))].sum()
    return {name: total / len(users) for name, total in totals.items()}


def ranx_seconds(scorer: DotScorer, seen: Pairs, held: Pairs, nodes: NodeSpace) -> tuple[float, dict[str, float]]:
    """Ranx on ready lists, compiled before; making its structures is not counted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ranx import Qrels, Run, evaluate  # noqa: PLC0415

        truth: dict[str, dict[str, int]] = {}
        for user, item in zip(held.user_index.tolist(), held.item_index.tolist(), strict=True):
            truth.setdefault(str(user), {})[str(item)] = 1
        lists = {
            str(user): {str(item): float(DEPTH - place) for place, item in enumerate(items)}
            for part in rank(scorer, nodes, seen, np.unique(held.user_index), DEPTH)
            for user, items in zip(part.user_index.tolist(), part.item_index.tolist(), strict=True)
        }
        qrels, run = Qrels(truth), Run(lists)
        names = [f"{kind}@{k}" for kind in PER_USER for k in CUTOFFS]
        found = evaluate(qrels, run, names)
        return seconds(lambda: evaluate(qrels, run, names), 2), found


def by_scipy(gaps: np.ndarray) -> None:
    """The same intervals, a column at a time."""
    for column in gaps.T:
        scipy_bootstrap((column,), np.mean, n_resamples=RESAMPLES, method="percentile", batch=100, rng=0)


def main() -> None:
    """Print times and ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=6000)
    parser.add_argument("--items", type=int, default=3000)
    sizes = parser.parse_args()
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    kind = random.random((sizes.users, sizes.items))
    seen, held = Pairs.of(*np.nonzero(kind < 0.01)), Pairs.of(*np.nonzero(kind > 0.997))
    nodes = NodeSpace(sizes.users, sizes.items, 0, 0)
    scorer = DotScorer(torch.randn(sizes.users, WIDTH), torch.randn(sizes.items, WIDTH))
    outcome = measure(scorer, nodes, seen, held)
    ours = seconds(lambda: measure(scorer, nodes, seen, held))
    begun = time.process_time()
    slow = by_loop(scorer, seen, held, nodes)
    loop = time.process_time() - begun
    ranx, theirs = ranx_seconds(scorer, seen, held, nodes)
    apart = max(abs(outcome.metrics[name] - value) for name, value in theirs.items())
    print(f"{sizes.users} users x {sizes.items} items")
    print(f"  ours, all of it            {ours:8.3f} s")
    print(f"  a loop over users          {loop:8.3f} s   {loop / ours:6.1f} x ours")
    print(f"  ranx, its metrics alone    {ranx:8.3f} s   {ranx / ours:6.1f} x ours; differs by at most {apart:.1e}")
    print(f"  the loop differs by at most {max(abs(outcome.metrics[name] - slow[name]) for name in slow):.1e}")
    gaps = random.normal(size=(sizes.users, 12))
    mine = seconds(lambda: bootstrap(gaps, 0), 2)
    scipys = seconds(lambda: by_scipy(gaps), 1)
    print(f"intervals of {gaps.shape[1]} differences, {RESAMPLES} resamples")
    print(f"  ours {mine:.3f} s, scipy {scipys:.3f} s: {scipys / mine:.1f} x ours")


if __name__ == "__main__":
    main()

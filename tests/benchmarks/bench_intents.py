"""What intents are worth to IKGR for items that nobody has read, against the items' texts and against neither.

    python -m tests.benchmarks.bench_intents SNAPSHOT [SEEDS]

A fifth of the items is drawn, and every interaction with them is taken out of what is fitted. So are the intents of
users that fewer than two of their other items satisfy: what is left of them could have been said without the drawn
items. Then each model ranks the drawn items alone, without biases. Shown is the NDCG@10 of all interactions with them,
the mean over users and seeds, and the difference to the whole of IKGR with its 95 % interval (paired bootstrap over
users). No split is selected on: the epochs are fixed. Takes about half a minute of processor time a seed on the demo
catalogue, after `cikg extract ikgr` and `cikg snapshot`.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cikg.graph.snapshot import Snapshot, open_snapshot
from cikg.recommend.data.intents import Links
from cikg.recommend.data.nodes import Pairs
from cikg.recommend.data.views import TrainingData, training_data
from cikg.recommend.methods.ikgr import Ikgr, IkgrConfig
from cikg.schema import SplitCode

# ruff: noqa: T201

EPOCHS, SHARE, SUPPORT, DEPTH, RESAMPLES = 12, 0.2, 2, 10, 10_000
VARIANTS: dict[str, dict[str, Any]] = {
    "intents and texts": {},
    "intents": {"item_texts": False},
    "texts": {"knowledge": "none"},
    "neither": {"knowledge": "none", "item_texts": False},
}


def without(data: TrainingData, drawn: np.ndarray) -> TrainingData:
    """The data without the drawn items' interactions, and without what of the users' intents rests on them."""
    kept = ~drawn[data.fit.item_index]
    fit = Pairs(data.fit.user_index[kept], data.fit.item_index[kept])
    has = data.intents.possessed
    proven = has.support(data.intents.satisfied, fit.user_index, fit.item_index) >= SUPPORT
    possessed = Links(has.owner_index[proven], has.intent_index[proven], has.round[proven])
    return dataclasses.replace(data, fit=fit, intents=dataclasses.replace(data.intents, possessed=possessed))


def scores(data: TrainingData, variant: dict[str, Any], seed: int) -> np.ndarray:
    """What a model fitted to the data gives every item, shape (users, items)."""
    torch.manual_seed(seed)
    model = Ikgr(data, IkgrConfig(**variant), torch.device("cpu"))
    (optimiser,), generator = model.optimisers().values(), torch.Generator().manual_seed(seed)
    for epoch in range(EPOCHS):
        for _, loss in model.steps(epoch, generator):
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        scorer = model.scorer()
        scorer.item_bias = torch.zeros_like(scorer.item_bias)  # what nobody has read has learnt none
        return scorer.scores(torch.arange(data.nodes.users)).numpy()


def ndcg(found: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """NDCG@10 of each user who has anything relevant; both of shape (users, items)."""
    best = np.argsort(-found, axis=1, kind="stable")[:, :DEPTH]
    discount = 1 / np.log2(np.arange(2, DEPTH + 2))
    gained = (np.take_along_axis(relevant, best, axis=1) * discount).sum(1)
    ideal = np.concatenate([[0.0], discount.cumsum()])[np.minimum(relevant.sum(1), DEPTH).astype(int)]
    return gained[ideal > 0] / ideal[ideal > 0]


def main(snapshot: Snapshot, seeds: int) -> None:
    """Fit all variants and print the table."""
    random, data = np.random.default_rng(0), training_data(snapshot, (SplitCode.TRAIN, SplitCode.VALID), None)
    drawn = np.zeros(data.nodes.items, dtype=bool)
    drawn[random.choice(data.nodes.items, int(SHARE * data.nodes.items), replace=False)] = True
    read = np.zeros((data.nodes.users, data.nodes.items))
    read[snapshot.interactions.user_index, snapshot.interactions.item_index] = 1
    relevant, fitted = read[:, drawn], without(data, drawn)
    print(f"{drawn.sum()} of {data.nodes.items} items are read by nobody; {len(fitted.fit)} interactions are left")
    whole = None
    for name, variant in VARIANTS.items():
        own = np.mean([ndcg(scores(fitted, variant, seed)[:, drawn], relevant) for seed in range(seeds)], axis=0)
        whole = own if whole is None else whole
        resampled = (whole - own)[random.integers(0, len(own), (RESAMPLES, len(own)))].mean(axis=1)
        low, high = np.percentile(resampled, [2.5, 97.5])
        print(f"{name:20s} {own.mean():.4f}   {whole.mean() - own.mean():+.4f} ({low:+.4f} to {high:+.4f})", flush=True)
    chance = np.mean([ndcg(random.random(relevant.shape), relevant).mean() for _ in range(50)])
    print(f"{'by chance':20s} {chance:.4f}")


if __name__ == "__main__":
    main(open_snapshot(Path(sys.argv[1])), int(sys.argv[2]) if len(sys.argv) > 2 else 3)

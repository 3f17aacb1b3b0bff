"""Datasets of a known size, made where they are needed: the same seed gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

ML_1M = 1_000_209
USERS, ITEMS = 6_040, 3_706
"""Users a million interactions, and items, as MovieLens-1M has them."""

LEAST, MOST = 20, 2_314
"""Its shortest and its longest history."""

TESTED = 0.2
"""The share of each history that becomes `test.txt`."""


def movielens_sized(folder: Path, interactions: int = ML_1M, seed: int = 0) -> None:
    """Write `train.txt` and `test.txt`, a user's number and those of the items a line.

    Users grow with the interactions and items do not; histories and popularities are as skewed as MovieLens-1M's. Each
    pair of user and item occurs once.

    Args:
        folder: made if it is not there.
        interactions: train and test together; at least 1,000.
        seed: of all that is random.
    """
    random = np.random.default_rng(seed)
    lengths = _lengths(random, max(round(USERS * interactions / ML_1M), 2), interactions)
    popularity = -1.2 * np.log(np.arange(ITEMS) + 10)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "train.txt").open("w") as train, (folder / "test.txt").open("w") as test:
        for user, length in enumerate(lengths.tolist()):
            # The largest of popularity plus Gumbel noise: a draw without replacement.
            chosen = np.argpartition(-(popularity + random.gumbel(size=ITEMS)), length - 1)[:length]
            random.shuffle(chosen)
            tested = round(length * TESTED)
            print(user, *chosen[tested:].tolist(), file=train)
            print(user, *chosen[:tested].tolist(), file=test)


def _lengths(random: np.random.Generator, users: int, interactions: int) -> np.ndarray:
    """Log-normal lengths of histories with an exact sum; shape (users,)."""
    drawn = random.lognormal(sigma=1.0, size=users)
    lengths = np.clip(drawn * interactions / drawn.sum(), LEAST, MOST).astype(np.int64)
    while missing := interactions - int(lengths.sum()):
        movable = np.flatnonzero(lengths < MOST if missing > 0 else lengths > LEAST)
        chosen = random.choice(movable, size=min(abs(missing), len(movable)), replace=False)
        lengths[chosen] += np.sign(missing)
    return lengths

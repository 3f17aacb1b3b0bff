"""Cuts a validation split from the training interactions of a dataset that came without one."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cikg.datasets.tables import SPLITS, Tables
from cikg.schema import Split


def cut_valid(tables: Tables, share: float, seed: int) -> Tables:
    """Mark some train interactions of each user as `valid`.

    A user with n of them gives ⌊n·share + u⌋, where u is uniform in [0, 1): the expected share is exact for every n.
    The last one always stays in train. Which they are depends on the seed and the ids alone, so that users who are
    added or removed do not change the split of the others.

    Args:
        tables: the dataset; returned as it is where it has a valid split already.
        share: from 0 to below 1.
        seed: any integer.
    """
    split = tables.interactions.split
    if share == 0 or (split == SPLITS.index(Split.VALID)).any():
        return tables
    cut = split.copy()
    train = np.flatnonzero(split == SPLITS.index(Split.TRAIN))
    users = tables.interactions.user_index[train]
    for rows in np.split(train, np.flatnonzero(np.diff(users)) + 1):
        if len(rows):
            user = tables.users[tables.interactions.user_index[rows[0]]].id
            items = [tables.items[index].id for index in tables.interactions.item_index[rows]]
            cut[rows[_chosen(user, items, share, seed)]] = SPLITS.index(Split.VALID)
    return replace(tables, interactions=replace(tables.interactions, split=cut))


def _chosen(user: str, items: Sequence[str], share: float, seed: int) -> list[int]:
    """Positions of the items that one user gives."""
    salt = hashlib.blake2b(repr((seed, user)).encode(), digest_size=16).digest()
    uniform = int.from_bytes(salt[:8], "big") / 2**64
    count = min(math.floor(len(items) * share + uniform), len(items) - 1)
    if count == 0:
        return []
    drawn = [hashlib.blake2b(item.encode(), key=salt, digest_size=8).digest() for item in items]
    return sorted(range(len(items)), key=drawn.__getitem__)[:count]

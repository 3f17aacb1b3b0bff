"""Negatives of an epoch of interactions, and of facts: ours against loops over rows as published code has, in one run.

python -m tests.benchmarks.bench_negatives [--users N] [--items N] [--each N]
"""

from __future__ import annotations

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch

from cikg.recommend.parts.sampling import NegativeSampler
from cikg.recommend.parts.translation import Facts, Translation


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The least over repetitions: what others do on the machine only adds."""
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return min(spent)


def by_row(user: list[int], item: list[int], items: int, batch: int) -> Callable[[], object]:
    """One Python call a row, in a data loader, a set of each user's items to look a draw up in."""
    known: dict[int, set[int]] = defaultdict(set)
    for u, i in zip(user, item, strict=True):
        known[u].add(i)

    class Rows(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(user)

        def __getitem__(self, row: int) -> tuple[int, int, int]:
            while (drawn := random.randint(0, items - 1)) in known[user[row]]:
                pass
            return user[row], item[row], drawn

    loader = torch.utils.data.DataLoader(Rows(), shuffle=True, batch_size=batch)
    return lambda: [None for _ in loader]


def by_head(facts: Facts, batch: int) -> Callable[[], object]:
    """A batch of facts, a head at a time: one of its facts, and tails drawn until one is false."""
    known: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for head, relation, tail in zip(facts.head.tolist(), facts.relation.tolist(), facts.tail.tolist(), strict=True):
        known[head].append((relation, tail))
    heads = list(known)

    def draw() -> None:
        for head in random.sample(heads, batch):
            relation, _ = known[head][np.random.randint(0, len(known[head]), size=1)[0]]
            while (relation, np.random.randint(facts.first, facts.last, size=1)[0]) in known[head]:
                pass

    return draw


def show(title: str, rows: int, loop: Callable[[], object], ours: Callable[[], object]) -> None:
    peer, mine = seconds(loop, 3) * 1e3, seconds(ours, 20) * 1e3
    found = {"rows": rows, "loop, ms": peer, "ours, ms": mine, "loop / ours": peer / mine}
    print(title, {name: round(value, 2) for name, value in found.items()})  # noqa: T201


def main() -> None:
    """Print a line for interactions and one for facts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=5_576)
    parser.add_argument("--items", type=int, default=2_680)
    parser.add_argument("--each", type=int, default=9, help="items a user")
    parser.add_argument("--batch", type=int, default=1024)
    size = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    user = torch.arange(size.users).repeat_interleave(size.each)
    item = torch.rand(size.users, size.items, generator=generator).topk(size.each).indices.flatten()
    sampler = NegativeSampler(user, item, 0, size.items)

    def ours() -> None:
        order = torch.randperm(len(user), generator=generator)
        users, items = user[order], item[order]
        drawn = sampler.draw(users, generator)
        list(zip(users.split(size.batch), items.split(size.batch), drawn.split(size.batch), strict=True))

    show("interactions", len(user), by_row(user.tolist(), item.tolist(), size.items, size.batch), ours)
    ends = [np.random.default_rng(column).integers(0, top, 268_446) for column, top in enumerate((8_900, 26, 8_900))]
    facts = Facts(*ends, relations=26, first=0, last=8_900)
    translation = Translation(facts, 8, 4096, torch.device("cpu"), steps=1)
    show("facts", 4096, by_head(facts, 4096), lambda: list(translation.batches(generator)))


if __name__ == "__main__":
    main()

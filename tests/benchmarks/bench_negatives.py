"""Negatives for every interaction of an epoch: ours against a loop over rows, as published code draws them, in one run.

python -m tests.benchmarks.bench_negatives [--users N] [--items N] [--each N]
"""

from __future__ import annotations

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Callable

import torch

from cikg.recommend.sampling import NegativeSampler


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


def main() -> None:
    """Print one line."""
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

    loop = by_row(user.tolist(), item.tolist(), size.items, size.batch)
    peer, mine = seconds(loop, 3), seconds(ours, 10)
    found = {"rows": len(user), "loop, ms": peer * 1e3, "ours, ms": mine * 1e3, "loop / ours": peer / mine}
    print({name: round(value, 2) for name, value in found.items()})  # noqa: T201


if __name__ == "__main__":
    main()

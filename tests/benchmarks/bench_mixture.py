"""The mixture against the tuned classics and CIKGRec's published figures, by the honest protocol.

    python -m tests.benchmarks.bench_mixture SNAPSHOT [--seeds 3] [--published dbbook2014|book-crossing] [--methods …]

SNAPSHOT is the folder of a snapshot (`cikg snapshot` prints it). Runs are kept in CIKG_HOME and found again, so that
the benchmark can be interrupted. Every figure is of the test split, opened after selection on valid and a refit; the
seconds are those of training with selection. With --published, each figure is followed by its ratio to that one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

from cikg.graph.snapshot import open_snapshot
from cikg.recommend.engine import train
from cikg.recommend.evaluation import evaluate
from cikg.settings import load_settings

METRICS = ("recall@50", "ndcg@50", "recall@100", "ndcg@100")
PUBLISHED = {
    "dbbook2014": (0.4642, 0.2494, 0.5756, 0.2739),
    "book-crossing": (0.1791, 0.0889, 0.2455, 0.1041),
}
"""CIKGRec's table 4: its best epoch on test."""
CLASSICS = ("item-knn", "rp3beta", "ease", "gf-cf", "ials", "simplex")
SEEDED = ("mixture", "ials", "simplex", "lightgcn", "cikgrec")
"""Methods whose figures depend on the seed."""


def main() -> None:
    """Train, evaluate, print a row a run and a mean a method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--published", choices=PUBLISHED)
    parser.add_argument("--methods", nargs="+", default=["mixture", *CLASSICS])
    chosen = parser.parse_args()
    snapshot, settings = open_snapshot(chosen.snapshot), load_settings(with_embedded=False)
    base = PUBLISHED.get(chosen.published)
    print(f"{snapshot.dataset}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {', '.join(METRICS)}")  # noqa: T201
    for method in chosen.methods:
        rows = []
        for seed in range(chosen.seeds if method in SEEDED else 1):
            start = time.perf_counter()
            trained = train(snapshot, method, settings=settings, seed=seed)
            seconds = "reused" if trained.reused else f"{time.perf_counter() - start:.0f} s"
            test = evaluate(trained.path, snapshot)["test"]
            rows.append(tuple(test[metric] for metric in METRICS))
            print(f"  {method:10} seed {seed}  {_figures(rows[-1], base)}  {seconds}", flush=True)  # noqa: T201
        mean = tuple(statistics.mean(column) for column in zip(*rows, strict=True))
        print(f"{method:12} mean    {_figures(mean, base)}", flush=True)  # noqa: T201


def _figures(values: tuple[float, ...], base: tuple[float, ...] | None) -> str:
    if base is None:
        return "  ".join(f"{value:.4f}" for value in values)
    return "  ".join(f"{value:.4f} ({value / own:.3f}×)" for value, own in zip(values, base, strict=True))


if __name__ == "__main__":
    main()

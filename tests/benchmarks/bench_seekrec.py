"""What profiles are worth: SeeKRec, CoLaKG and the flagship against a tuned LightGCN, paired by user, and their parts.

python -m tests.benchmarks.bench_seekrec SNAPSHOT [--seeds 0 1 2] [--peer popularity] [--only seekrec colakg …]

SNAPSHOT is a folder of `cikg snapshot` with embedded profiles: for LastFM those that CoLaKG's authors published (see
`docs/importing.md`), embedded with `CIKG_EMBEDDER=lexical:2048`; for the demo catalogue those of its own jobs.
Runs are kept beside it: one that is there is not trained again. All is selected on valid and fitted again to train and
valid. The bars: recall@20 and NDCG@20 above LightGCN's with intervals above 0; 3 minutes a training of LastFM.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cikg.graph.snapshot import Snapshot, open_snapshot
from cikg.recommend.engine import Trained, train
from cikg.recommend.evaluation.comparison import Interval, compare
from cikg.recommend.evaluation.groups import by_sparsity
from cikg.recommend.evaluation.measuring import evaluate
from cikg.settings import Settings

METRICS = ("recall@20", "ndcg@20")
TUNED = {"layers": 2}
"""What LightGCN's tuning on valid of LastFM found; SeeKRec and CoLaKG have it by default."""
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "lightgcn": ("lightgcn", TUNED),
    "popularity": ("popularity", {}),
    "seekrec": ("seekrec", {}),
    "colakg": ("colakg", {}),
    "mixture": ("mixture", TUNED),
    "seekrec w/o tastes": ("seekrec", {"taste_weight": 0.0}),
    "seekrec w/o neighbours": ("seekrec", {"neighbours": 0}),
    "seekrec w/o distillation": ("seekrec", {"distillation": False}),
    "seekrec, one gate for all": ("seekrec", {"gate": "global"}),
    "seekrec w/o gate": ("seekrec", {"gate": "equal"}),
    "seekrec, items' profiles alone": ("seekrec", {"semantics": "items"}),
    "seekrec w/o profiles": ("seekrec", {"semantics": "none"}),
    "colakg w/o tastes": ("colakg", {"taste_weight": 0.0}),
    "colakg, a third of the texts": ("colakg", {"text_weight": 0.3}),
    "colakg w/o neighbours": ("colakg", {"neighbours": 0}),
}


def trained(snapshot: Snapshot, settings: Settings, method: str, seeds: list[int], **overrides: Any) -> list[Trained]:
    """Runs of one configuration, evaluated, one a seed."""
    runs = [train(snapshot, method, settings=settings, seed=seed, overrides=overrides) for seed in seeds]
    for run in runs:
        evaluate(run.path, snapshot)
    return runs


def row(name: str, peer: list[Trained], runs: list[Trained], snapshot: Snapshot) -> str:
    """A configuration's means, its differences, and the slowest training in seconds."""
    compared = compare([run.path for run in (peer if runs is peer else [*peer, *runs])])
    means = "".join(f"{compared.entries[-1].figures(metric).mean():>10.4f}" for metric in METRICS)
    shown: list[Interval] = []
    if runs is not peer:
        (found,) = compared.differences(METRICS)
        coldest = [each for each in by_sparsity(compared, snapshot, "users", "ndcg@10") if each.most > 0][-1]
        shown = [*(found[metric] for metric in METRICS), coldest.differences[-1]]
    differences = "  ".join(f"{each.mean:+.4f} ({each.low:+.4f} to {each.high:+.4f})" for each in shown)
    seconds = max(run.manifest["timings"]["total"] for run in runs)
    return f"{name:<32}{means}  {differences:<88}{seconds:>6.0f}"


def main() -> None:
    """Train, and print a line for each configuration."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--peer", default="lightgcn", choices=list(CASES), help="What to compare with.")
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    options = parser.parse_args()
    snapshot = open_snapshot(options.snapshot.resolve())
    settings = Settings(home=snapshot.path.parents[2], device="cpu")

    def runs(name: str) -> list[Trained]:
        method, overrides = CASES[name]
        return trained(snapshot, settings, method, options.seeds, **overrides)

    peer = runs(options.peer)
    heads = [f"{metric} beyond, 95 %" for metric in (*METRICS, "ndcg@10 of coldest")]
    print(f"{'':<32}{METRICS[0]:>10}{METRICS[1]:>10}  {'  '.join(f'{head:<28}' for head in heads)}     s")  # noqa: T201
    print(row(options.peer, peer, peer, snapshot), flush=True)  # noqa: T201
    for name in (name for name in options.only if name != options.peer):
        print(row(name, peer, runs(name), snapshot), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()

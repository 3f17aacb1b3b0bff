"""What SeeKRec's profiles are worth: against LightGCN in the same engine, paired by user, with each part left out.

python -m tests.benchmarks.bench_seekrec SNAPSHOT [--seeds 0 1 2] [--peer popularity] [--only whole …]

SNAPSHOT is a folder of `cikg snapshot` with embedded profiles: for LastFM those that CoLaKG's authors published (see
`docs/importing.md`), embedded with `CIKG_EMBEDDER=lexical:256`; for the demo catalogue those of `cikg extract seekrec`.
Runs are kept beside it: one that is there is not trained again. All is selected on valid and fitted again to train and
valid. The bars: recall@20 and NDCG@20 above LightGCN's with intervals above 0; 3 minutes a training of LastFM.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cikg.graph.snapshot import Snapshot, open_snapshot
from cikg.recommend.comparison import compare
from cikg.recommend.engine import Trained, train
from cikg.recommend.evaluation import evaluate
from cikg.recommend.groups import by_sparsity
from cikg.settings import Settings

METRICS = ("recall@20", "ndcg@20")
PARTS: dict[str, dict[str, Any]] = {
    "whole": {},
    "w/o neighbours": {"neighbours": 0},
    "w/o experts": {"semantics": "none"},
    "w/o distillation": {"distillation": False},
    "one gate for all": {"gate": "global"},
    "w/o gate": {"gate": "equal"},
    "items' profiles alone": {"semantics": "items"},
}


def trained(snapshot: Snapshot, settings: Settings, method: str, seeds: list[int], **overrides: Any) -> list[Trained]:
    """Runs of one configuration, evaluated, one a seed."""
    runs = [train(snapshot, method, settings=settings, seed=seed, overrides=overrides) for seed in seeds]
    for run in runs:
        evaluate(run.path, snapshot)
    return runs


def row(name: str, peer: list[Trained], runs: list[Trained], snapshot: Snapshot) -> str:
    """A configuration's means, its differences, and the slowest training in seconds."""
    compared = compare([run.path for run in (*peer, *runs)])
    means = [compared.entries[-1].figures(metric).mean() for metric in METRICS]
    (found,) = compared.differences(METRICS)
    shown = [found[metric] for metric in METRICS]
    coldest = [each for each in by_sparsity(compared, snapshot, "users", "ndcg@10") if each.most > 0][-1]
    shown.append(coldest.differences[-1])
    seconds = max(run.manifest["timings"]["total"] for run in runs)
    differences = (f"{each.mean:+.4f} ({each.low:+.4f} to {each.high:+.4f})" for each in shown)
    return f"{name:<24}{means[0]:>10.4f}{means[1]:>9.4f}  {'  '.join(differences)}{seconds:>7.0f}"


def main() -> None:
    """Train, and print a line for each configuration."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--peer", default="lightgcn", help="The method to compare with.")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    options = parser.parse_args()
    snapshot = open_snapshot(options.snapshot.resolve())
    settings = Settings(home=snapshot.path.parents[2], device="cpu")
    peer = trained(snapshot, settings, options.peer, options.seeds)
    figures = [{metric: evaluate(run.path, snapshot)["test"][metric] for metric in METRICS} for run in peer]
    means = [sum(figure[metric] for figure in figures) / len(figures) for metric in METRICS]
    heads = [f"{metric} against it, 95 %" for metric in (*METRICS, "ndcg@10 of the coldest")]
    print(f"{'':<24}{METRICS[0]:>10}{METRICS[1]:>9}  {'  '.join(f'{head:<29}' for head in heads)}  s")  # noqa: T201
    print(f"{options.peer:<24}{means[0]:>10.4f}{means[1]:>9.4f}", flush=True)  # noqa: T201
    for name in options.only:
        runs = trained(snapshot, settings, "seekrec", options.seeds, **PARTS[name])
        print(row(name, peer, runs, snapshot), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()

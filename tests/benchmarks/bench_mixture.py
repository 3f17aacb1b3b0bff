"""The mixture against tuned classics and CIKGRec's published figures, by the honest protocol.

    python -m tests.benchmarks.bench_mixture SNAPSHOT [--published dbbook2014|book-crossing] [--trials 20] [--methods …]

SNAPSHOT is the folder of a snapshot (`cikg snapshot` prints it). The mixture is trained as it is; of every classic the
settings are sought on valid first, as `cikg tune METHOD --trials …` does, TRIALS times or what `--trials ease=12` says
of one. Then each is fitted to train and valid with what was chosen, and measured on test: three seeds where the seed
matters. Below the means stands how far each classic is from the mixture, with the interval of a paired bootstrap over
users. Trials and runs are kept in CIKG_HOME and found again, so that the benchmark can be interrupted. With
--published, each figure is followed by its ratio to that one.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cikg.graph.snapshot import Snapshot, open_snapshot
from cikg.recommend import tuning
from cikg.recommend.engine import Trained, train
from cikg.recommend.evaluation.comparison import compare
from cikg.recommend.evaluation.measuring import evaluate
from cikg.settings import Settings, load_settings

METRICS = ("recall@50", "ndcg@50", "recall@100", "ndcg@100")
PUBLISHED = {
    "dbbook2014": (0.4642, 0.2494, 0.5756, 0.2739),
    "book-crossing": (0.1791, 0.0889, 0.2455, 0.1041),
}
"""CIKGRec's table 4: its best epoch on test."""
FLAGSHIP = "mixture"
CLASSICS = ("item-knn", "rp3beta", "gf-cf", "ease", "ials", "simplex")
SEEDED = (FLAGSHIP, "ials", "simplex", "lightgcn")
"""Methods whose figures depend on the seed."""


def main() -> None:
    """Tune, train and measure each method; print a row a run, a mean a method, and the differences."""
    chosen = _arguments()
    snapshot, settings = open_snapshot(chosen.snapshot), load_settings(with_embedded=False)
    base = PUBLISHED.get(chosen.published)
    print(f"{snapshot.dataset}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {', '.join(METRICS)}")  # noqa: T201
    paths: list[Path] = []
    for method in chosen.methods:
        overrides = {} if method == FLAGSHIP else _tuned(snapshot, settings, method, chosen.trials)
        rows = []
        for seed in range(chosen.seeds if method in SEEDED else 1):
            trained = train(snapshot, method, settings=settings, overrides=overrides, seed=seed)
            test = evaluate(trained.path, snapshot)["test"]
            rows.append([test[metric] for metric in METRICS])
            paths.append(trained.path)
            print(f"  {method:10} seed {seed}  {_figures(rows[-1], base)}  {_seconds(trained)}", flush=True)  # noqa: T201
        mean = [statistics.mean(column) for column in zip(*rows, strict=True)]
        print(f"{method:12} mean    {_figures(mean, base)}", flush=True)  # noqa: T201
    _differences(paths)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--published", choices=PUBLISHED)
    parser.add_argument("--methods", nargs="+", default=[FLAGSHIP, *CLASSICS])
    parser.add_argument("--trials", nargs="+", default=["20"], metavar="[METHOD=]TRIALS")
    return parser.parse_args()


def _tuned(snapshot: Snapshot, settings: Settings, method: str, trials: Sequence[str]) -> dict[str, Any]:
    """The best settings on valid of as many trials as were asked for."""
    asked = dict(each.rpartition("=")[::2] for each in trials)
    count = int(asked.get(method, asked.get("", "20")))
    nothing = {"text_weight": 0.0} if method == "ease" and not any(snapshot.item_text) else {}
    found = tuning.tune(snapshot, method, settings=settings, overrides=nothing, trials=count)
    best = found.best.settings.items()
    shown = " ".join(f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in best)
    seconds = sum(trial.seconds for trial in found.trials)
    print(f"  {method:10} {len(found.trials)} trials in {seconds:.0f} s: {shown}", flush=True)  # noqa: T201
    return found.best.settings


def _seconds(trained: Trained) -> str:
    return f"{trained.manifest['timings']['total']:.0f} s"


def _figures(values: Sequence[float], base: Sequence[float] | None) -> str:
    if base is None:
        return "  ".join(f"{value:.4f}" for value in values)
    return "  ".join(f"{value:.4f} ({value / own:.3f}×)" for value, own in zip(values, base, strict=True))


def _differences(paths: Sequence[Path]) -> None:
    """How much better or worse than the first method each other is, user by user."""
    found = compare(paths)
    for entry, difference in zip(found.entries[1:], found.differences(METRICS), strict=True):
        cells = [f"{each.mean:+.4f} [{each.low:+.4f}, {each.high:+.4f}]" for each in difference.values()]
        print(f"{entry.name} - {found.entries[0].name}:  {'  '.join(cells)}")  # noqa: T201


if __name__ == "__main__":
    main()

"""CIKGRec as published: on its own splits, best epoch on test (`paper` protocol), beside the published figures.

python -m tests.benchmarks.bench_cikgrec SNAPSHOT CONFIG --results FILE [--fidelity paper] [--seeds 0 1] [--ablations]

SNAPSHOT is a folder of `cikg snapshot`, CONFIG the published code's settings for that dataset in JSON. Each run is a
row of FILE, JSON a line; runs that are there already are left out, and one that was interrupted goes on from its
checkpoint, so the command may be stopped and repeated. It needs an hour or more a run on one core.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cikg.graph.snapshot import open_snapshot
from cikg.recommend.engine import train
from cikg.recommend.evaluation.measuring import evaluate
from cikg.recommend.workshop import Progress
from cikg.settings import Settings

SHOWN = ("recall@50", "ndcg@50", "recall@100", "ndcg@100")
SELECTED = "recall@50+ndcg@50"
"""What the published code chooses its epoch by. NDCG alone peaks later, when recall has begun to fall."""
PUBLISHED = {
    "dbbook2014": (0.4642, 0.2494, 0.5756, 0.2739),
    "book-crossing": (0.1791, 0.0889, 0.2455, 0.1041),
}
"""Table 1 of the paper, in the order of `SHOWN`."""

ABLATIONS: dict[str, dict[str, Any]] = {
    "whole": {},
    "w/o UIK": {"graph": "ckg"},
    "w/o UIR": {"reconstruction_weight": 0},
    "w/o CL": {"contrast_weight": 0},
    "w/o DMR": {"mask_growth": "fixed"},
    "w linear": {"mask_growth": "lin"},
}
"""Table 3 of the paper, in its order."""

NAMES = {
    "layer": "layers",
    "dim": "dimension",
    "lr": "learning_rate",
    "lr_kg": "translation_learning_rate",
    "l2_reg": "weight_decay",
    "l2_reg_kge": "translation_decay",
    "use_kge": "translation",
    "cf_weight": "recommendation_weight",
    "edge_dropout": "edge_dropout",
    "add_self_loops": "self_loops",
    "gcl_temp": "contrast_temperature",
    "gcl_weight": "contrast_weight",
    "eps": "noise",
    "batch_size": "batch_size",
    "replace_rate": "replace_rate",
    "edge_mask_drop_edge_rate": "mask_edge_dropout",
    "interest_recon_weight": "reconstruction_weight",
    "emb_mask_loss_alpha": "reconstruction_power",
    "min_mask_rate": "mask_start",
    "max_mask_rate": "mask_end",
    "total_epoch": "mask_epochs",
    "increase_type": "mask_growth",
}
"""The published code's names of settings -> ours."""


def settings_of(published: dict[str, Any], fidelity: str) -> dict[str, Any]:
    """Our settings for the published code's."""
    return {"fidelity": fidelity} | {ours: published[theirs] for theirs, ours in NAMES.items()}


def wanted(arguments: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """Fidelity, ablation and seed of each run: whole ones first."""
    for seed in arguments.seeds:
        for fidelity in arguments.fidelity:
            yield fidelity, "whole", seed
    if arguments.ablations:
        for ablation in list(ABLATIONS)[1:]:
            yield arguments.fidelity[0], ablation, arguments.seeds[0]


def main() -> None:
    """Run what is not there yet, and print a line a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("config", type=Path)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--fidelity", nargs="+", choices=["paper", "reference"], default=["paper", "reference"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--patience", type=int, default=50, help="epochs; the code's 10 stop within the first slump")
    parser.add_argument("--ablations", action="store_true", help="also, with the first seed and fidelity")
    arguments = parser.parse_args()
    snapshot, published = open_snapshot(arguments.snapshot), json.loads(arguments.config.read_text())
    done = arguments.results.read_text().splitlines() if arguments.results.exists() else []
    known = {tuple(json.loads(line)["what"]) for line in done}
    for what in wanted(arguments):
        key = (published["dataset"], *what)
        if key in known:
            continue
        fidelity, ablation, seed = what
        start = time.time()

        def tell(progress: Progress, key: tuple[Any, ...] = key) -> None:
            if progress.done % 10 == 0:
                print(*key, progress.done, progress.loss, progress.metric, progress.best, flush=True)  # noqa: T201

        trained = train(
            snapshot,
            "cikgrec",
            settings=Settings(home=arguments.results.parent, device="cpu"),
            overrides=settings_of(published, fidelity) | ABLATIONS[ablation],
            seed=seed,
            protocol="paper",
            metric=SELECTED,
            epochs=published["num_epoch"],
            patience=arguments.patience,
            checkpoint_seconds=60,
            observer=tell,
        )
        found = evaluate(trained.path, snapshot)["test"]
        row = {"what": key, "epoch": trained.manifest["chosen_epoch"], "minutes": (time.time() - start) / 60}
        row |= {name: round(found[name], 4) for name in SHOWN}
        row["of published"] = [
            round(found[name] / figure, 4) for name, figure in zip(SHOWN, PUBLISHED[key[0]], strict=True)
        ]
        with arguments.results.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()

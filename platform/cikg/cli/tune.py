"""`cikg tune`: look for a method's best hyperparameters on the validation split."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cikg.cli._completion import completing
from cikg.cli._output import dataset_option, json_option, messages, note, print_json, print_table
from cikg.cli.train import check, overridden, snapshot_of, watch_trials, with_device
from cikg.recommend import methods
from cikg.settings import load_settings

if TYPE_CHECKING:
    from cikg.graph.snapshot import Snapshot
    from cikg.recommend.tuning import Tuned

LISTED = 10
"""Trials that are shown, the best first."""


@click.command("tune")
@click.argument("method", shell_complete=completing(methods.names))
@dataset_option
@click.option(
    "--trials", default=50, show_default=True, type=click.IntRange(min=1), help="Number of configurations to try."
)
@click.option("--seconds", type=click.FloatRange(min=0), help="Start no further trial after this many seconds.")
@click.option("--seed", default=0, show_default=True, help="Seed of the search and of each training.")
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="Fix a hyperparameter instead of searching it; can be repeated.",
)
@click.option(
    "--metric",
    default="ndcg@50",
    show_default=True,
    metavar="NAME@K",
    help="Metric to maximise on valid, or a sum, as for train.",
)
@click.option(
    "--epochs", type=click.IntRange(min=1), help="Maximum number of epochs per trial.  [default: the method's own]"
)
@click.option("--patience", type=click.IntRange(min=1), help="Epochs without improvement before a trial stops.")
@click.option("--device", help="Device to train on: auto, cpu, cuda, cuda:1.  [default: CIKG_DEVICE, else auto]")
@click.option(
    "--snapshot",
    "snapshot_path",
    type=click.Path(path_type=Path),
    help="Tune on this snapshot folder; needs no database.  [default: the dataset as it is now]",
)
@json_option
def command(
    *,
    method: str,
    dataset: str,
    pairs: tuple[str, ...],
    metric: str,
    device: str | None,
    snapshot_path: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Search METHOD's hyperparameters, fitting train and judging on valid; test stays closed.

    Repeat the command to continue after an interruption, or with more --trials to add some. `cikg train METHOD
    --tuned` trains with the best settings; `--tune N` does both. Use `cikg jobs queue tune …` to tune on a worker.
    """
    settings = with_device(load_settings(), device)
    check(method, overrides := overridden(pairs), metric)
    from cikg.recommend.tuning import tune  # noqa: PLC0415 - torch loads for seconds

    snapshot = snapshot_of(settings, dataset, snapshot_path, quiet=as_json)
    known: list[Tuned] = []
    try:
        with watch_trials(method, options["trials"], known, quiet=as_json) as observer:
            arguments = options | {"overrides": overrides, "metric": metric, "observer": observer}
            tuned = tune(snapshot, method, settings=settings, **arguments)
    except KeyboardInterrupt:
        if known and not as_json:
            _show(snapshot, known[-1])
        raise
    if as_json:
        print_json(
            {"method": method, "dataset": snapshot.dataset, "snapshot": snapshot.hash, "metric": metric}
            | {"best": asdict(tuned.best), "trials": [asdict(trial) for trial in tuned.trials]}
            | {"warnings": tuned.warnings}
        )
    else:
        _show(snapshot, tuned)


def _show(snapshot: Snapshot, tuned: Tuned) -> None:
    for warning in tuned.warnings:
        note(warning)
    complete = [trial for trial in tuned.trials if trial.state == "complete"]
    ranked = sorted(complete, key=lambda trial: -(trial.value or 0.0))[:LISTED]
    names = list(tuned.best.settings)
    rows = [[trial.value, *[trial.settings[name] for name in names], trial.seconds] for trial in ranked]
    states = [f"{sum(trial.state == state for trial in tuned.trials)} {state}" for state in ("pruned", "failed")]
    title = f"{tuned.method} on {snapshot.dataset}, valid: {len(tuned.trials)} trials, {', '.join(states)}"
    print_table(title, [tuned.metric, *names, "seconds"], rows, fold=True)
    flags = "" if tuned.metric == "ndcg@50" else f" --metric {tuned.metric}"
    messages.print(f"Next: cikg train {tuned.method} --dataset {snapshot.dataset} --tuned{flags}")

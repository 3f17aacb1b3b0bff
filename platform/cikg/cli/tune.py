"""`cikg tune`: look for a method's best hyper-parameters on the validation split."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cikg.cli._completion import completing
from cikg.cli._output import dataset_option, json_option, messages, print_json, print_table
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
@click.option("--trials", default=50, show_default=True, type=click.IntRange(min=1), help="Configurations to try.")
@click.option("--seconds", type=click.FloatRange(min=0), help="Begin no other trial after this time.")
@click.option("--seed", default=0, show_default=True, help="Seed of trainings and of what is tried.")
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a hyper-parameter, and do not search it; repeat for more.",
)
@click.option(
    "--metric",
    default="ndcg@50",
    show_default=True,
    metavar="NAME@K",
    help="What to look for, on valid; or a sum, as for train.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="The most epochs of a trial.  [default: the method's own]")
@click.option("--patience", type=click.IntRange(min=1), help="Epochs without improvement before a trial stops.")
@click.option("--device", help="Where to train: auto, cpu, cuda, cuda:1.  [default: CIKG_DEVICE, else auto]")
@click.option(
    "--snapshot",
    "snapshot_path",
    type=click.Path(path_type=Path),
    help="Tune on this folder, without a database.  [default: the dataset as it is now]",
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
    """Try configurations of METHOD, fitted to train and judged on valid; test stays closed.

    The same command goes on where it was interrupted, and adds trials where --trials asks for more. `cikg train METHOD
    --tuned` trains with the best; `--tune N` does both. `cikg jobs queue tune …` has a worker do it.
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
        )
    else:
        _show(snapshot, tuned)


def _show(snapshot: Snapshot, tuned: Tuned) -> None:
    complete = [trial for trial in tuned.trials if trial.state == "complete"]
    ranked = sorted(complete, key=lambda trial: -(trial.value or 0.0))[:LISTED]
    names = list(tuned.best.settings)
    rows = [[trial.value, *[trial.settings[name] for name in names], trial.seconds] for trial in ranked]
    states = [f"{sum(trial.state == state for trial in tuned.trials)} {state}" for state in ("pruned", "failed")]
    title = f"{tuned.method} on {snapshot.dataset}, valid: {len(tuned.trials)} trials, {', '.join(states)}"
    print_table(title, [tuned.metric, *names, "seconds"], rows, fold=True)
    flags = "" if tuned.metric == "ndcg@50" else f" --metric {tuned.metric}"
    messages.print(f"Next: cikg train {tuned.method} --dataset {snapshot.dataset} --tuned{flags}", markup=False)

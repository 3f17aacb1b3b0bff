"""`cikg publish`: serve a trained model's recommendations, or those that were served before."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import click

from cikg.cli._completion import completing, trained
from cikg.cli._output import json_option, print_facts, print_json, progress_bar
from cikg.errors import InputError
from cikg.graph import connect
from cikg.recommend import runs
from cikg.serving.publish import Published, publish, roll_back
from cikg.settings import Settings, load_settings


@click.command("publish")
@click.argument("run", required=False, shell_complete=completing(trained))
@click.option("--k", default=20, show_default=True, type=click.IntRange(1, 1000), help="Recommendations per user.")
@click.option("--dataset", metavar="NAME", help="Refuse a run of another dataset; with --back, go back in this one.")
@click.option("--back", is_flag=True, help="Serve the previous recommendations again; a second --back undoes it.")
@json_option
def command(*, run: str | None, k: int, dataset: str | None, back: bool, as_json: bool) -> None:
    """Write the recommendations of RUN to the graph, each with its explanation, and serve them.

    The previous model is served until everything is written; repeat the command to complete an interrupted
    publication. The previous recommendations are kept, so that --back can restore them at once.
    """
    settings, started = load_settings(), time.monotonic()
    if back:
        if dataset is None:
            raise InputError("--back needs a dataset", cure="Give it: `cikg publish --back --dataset demo`")
        with connect(settings) as graph:
            done = roll_back(graph, dataset, run)
    else:
        if run is None:
            raise click.UsageError("Missing argument 'RUN'; --back restores what was served before.")
        dataset, done = _publish(settings, run, k, dataset, quiet=as_json)
    facts: dict[str, Any] = asdict(done) | {"dataset": dataset, "seconds": round(time.monotonic() - started, 2)}
    if as_json:
        print_json(facts)
    else:
        print_facts(f"{dataset}: served", facts)


def _publish(settings: Settings, run: str, k: int, dataset: str | None, *, quiet: bool) -> tuple[str, Published]:
    path = runs.directory(settings, run)
    trained_on = str(runs.read_json(path / runs.MANIFEST)["dataset"])
    if dataset is not None and dataset != trained_on:
        raise InputError(
            f"the run {path.name} was trained on {trained_on!r}, not on {dataset!r}",
            cure="Correct --dataset, or leave it out",
        )
    recommender = runs.load(path)
    snapshot = runs.snapshot(settings, recommender.manifest)
    with connect(settings) as graph, progress_bar("publishing", len(snapshot.users), quiet=quiet) as advance:
        return trained_on, publish(graph, snapshot, recommender, k, advance)

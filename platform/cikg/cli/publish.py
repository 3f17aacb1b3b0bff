"""`cikg publish`: serve a trained model's recommendations."""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from cikg.cli._output import json_option, print_facts, print_json, progress_bar
from cikg.errors import InputError
from cikg.graph import connect
from cikg.graph.snapshot import open_snapshot
from cikg.settings import load_settings


@click.command("publish")
@click.argument("run")
@click.option("--k", default=20, show_default=True, type=click.IntRange(1, 1000), help="Recommendations a user.")
@click.option("--dataset", metavar="NAME", help="Refuse a run of another dataset than this.")
@json_option
def command(run: str, k: int, dataset: str | None, as_json: bool) -> None:
    """Write the recommendations of RUN to the graph, each with its explanation, and serve them.

    The model served before stays until all are written; an interrupted publication is completed by repeating it.
    """
    from cikg.recommend import runs  # noqa: PLC0415 - torch loads for seconds; help must not
    from cikg.serving.publish import publish  # noqa: PLC0415

    settings = load_settings()
    started = time.monotonic()
    recommender = runs.load(runs.directory(settings, run))
    trained_on = str(recommender.manifest["dataset"])
    if dataset is not None and dataset != trained_on:
        raise InputError(f"the run {recommender.run_id} was trained on {trained_on!r}, not on {dataset!r}")
    snapshot = open_snapshot(settings.snapshots / trained_on / recommender.snapshot_hash[:16])
    with (
        connect(settings) as graph,
        progress_bar("Users", len(snapshot.users), quiet=as_json) as advance,
    ):
        done = publish(graph, snapshot, recommender, k, advance)
    facts = asdict(done) | {"dataset": trained_on, "seconds": round(time.monotonic() - started, 2)}
    if as_json:
        print_json(facts)
    else:
        print_facts(f"{trained_on}: served", facts)

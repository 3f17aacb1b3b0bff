"""`cikg snapshot`: a dataset's graph as files that training reads."""

from __future__ import annotations

import time
from functools import partial

import click

from cikg.cli._output import dataset_option, json_option, print_facts, print_json, progress_bar
from cikg.graph import connect
from cikg.graph.snapshot import take
from cikg.memory import peak_memory
from cikg.settings import load_settings


@click.command("snapshot")
@dataset_option
@json_option
def command(dataset: str, as_json: bool) -> None:
    """Export the dataset's graph for training.

    An unchanged dataset is not exported again; the same graph always gives the same hash.
    """
    started = time.perf_counter()
    settings = load_settings()
    with connect(settings) as graph:
        snapshot = take(graph, dataset, settings, partial(progress_bar, quiet=as_json))
    seconds = round(time.perf_counter() - started, 3)
    if as_json:
        facts = {"dataset": dataset, "hash": snapshot.hash, "path": str(snapshot.path), "reused": snapshot.reused}
        print_json(facts | {"counts": snapshot.counts, "seconds": seconds, "peak_memory": peak_memory()})
        return
    shown = {kind.replace("_", " "): count for kind, count in snapshot.counts.items()}
    measured = {"seconds": seconds, "peak memory, MiB": peak_memory() // 2**20}
    print_facts(
        f"{dataset}: snapshot {snapshot.hash[:16]}",
        shown | {"path": str(snapshot.path), "already there": snapshot.reused} | measured,
    )

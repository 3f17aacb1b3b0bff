"""`cikg runs`: the trained runs that this home keeps, and removing them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from cikg.cli._completion import completing, trained
from cikg.cli._output import (
    confirm,
    dataset_option,
    json_option,
    messages,
    note,
    print_json,
    print_table,
    yes_option,
)
from cikg.errors import UnreachableError
from cikg.graph import connect, datasets
from cikg.recommend import stored
from cikg.recommend.stored import Stored
from cikg.settings import Settings, load_settings

SHOWN = (("valid", "ndcg@50"), ("test", "recall@50"), ("test", "ndcg@50"))
"""Split and metric of each figure that a table has room for."""


@click.group("runs")
def command() -> None:
    """List the trained runs on this machine with their metrics, and remove them."""


@command.command("list", short_help="Show all trained runs of a dataset.")
@click.option("--all", "everywhere", is_flag=True, help="Include all datasets.")
@dataset_option
@json_option
def list_all(*, everywhere: bool, dataset: str, as_json: bool) -> None:
    """List the dataset's trained runs, newest first, with their metrics and size."""
    settings = load_settings()
    found = stored.stored(settings, None if everywhere else dataset)
    served = _served(settings, found, None if everywhere else dataset)
    if as_json:
        print_json({"runs": [_described(each, served) for each in found]})
        return
    rows = [
        [each.run, _moment(each.trained_at)]
        + [getattr(each, split).get(metric) for split, metric in SHOWN]
        + [each.bytes, _state(each, served)]
        for each in found
    ]
    columns = ["run", "trained (UTC)", *(f"{split} {metric}" for split, metric in SHOWN), "bytes", ""]
    empty = "There are no trained runs. `cikg train mixture` trains one."
    print_table("Runs" if everywhere else f"{dataset}: runs", columns, rows, fold=True, empty=empty)


@command.command(short_help="Remove trained runs.")
@click.argument("chosen", metavar="RUN...", nargs=-1, required=True, shell_complete=completing(trained))
@yes_option
@json_option
def remove(*, chosen: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Remove each RUN, its name or a prefix of it: its files, and what the graph says of it.

    A run that is served stays. One that was served before can be removed; `cikg publish --back` cannot go back to
    it then. Its snapshot goes with the next `cikg snapshot gc`, unless something else needs it.
    """
    settings = load_settings()
    found = {each.run: each for each in (stored.find(settings, name) for name in chosen)}
    size = sum(each.bytes for each in found.values())
    with connect(settings) as graph:
        for each in found.values():
            stored.check_unserved(graph, each)
        if not yes:
            loss = f"This removes {', '.join(map(_named, found.values()))}: {size:,} bytes."
            confirm(loss, "Remove it?" if len(found) == 1 else "Remove them?", "Nothing was removed.", as_json=as_json)
        for each in found.values():
            stored.remove(graph, each)
    if as_json:
        print_json({"removed": list(found), "bytes_freed": size})
        return
    messages.print(f"Removed {', '.join(found)}: {size:,} bytes.", highlight=False, soft_wrap=True)


def _served(settings: Settings, found: list[Stored], dataset: str | None) -> set[str]:
    """The names of those that are served.

    Raises:
        NotFoundError: there is no such dataset, and no run of it.
    """
    try:
        with connect(settings, retry_seconds=1) as graph:
            if dataset is not None and not found:
                datasets.check(graph, dataset)
            return {each.run for each in found if stored.is_served(graph, each)}
    except UnreachableError:
        note("Neo4j does not answer, so nobody knows which run is served")
        return set()


def _described(run: Stored, served: set[str]) -> dict[str, Any]:
    return asdict(run) | {"path": str(run.path), "ended": run.ended, "served": run.run in served}


def _state(run: Stored, served: set[str]) -> str:
    return "served" if run.run in served else "" if run.ended else "incomplete"


def _named(run: Stored) -> str:
    return run.run if run.ended else f"{run.run} (incomplete: if its training is under way, it will fail)"


def _moment(time: str | None) -> str | None:
    return time and time[:16].replace("T", " ")

"""`cikg import`: a dataset of any known format into the graph."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from cikg.cli._output import dataset_option, json_option, print_facts, print_json, progress_bar
from cikg.datasets.loader import load
from cikg.datasets.registry import format_named
from cikg.graph import connect
from cikg.memory import peak_memory
from cikg.settings import load_settings


@click.command("import")
@click.argument("format_name", metavar="FORMAT")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@dataset_option
@click.option("--replace", is_flag=True, help="Drop what the dataset holds now, if it is something else.")
@click.option(
    "--valid-share",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.125,
    show_default=True,
    help="Expected share of each user's train interactions that becomes the validation split.",
)
@click.option("--valid-seed", type=int, default=0, show_default=True, help="Which ones they are.")
@json_option
def command(
    *,
    format_name: str,
    path: Path | None,
    dataset: str,
    replace: bool,
    valid_share: float,
    valid_seed: int,
    as_json: bool,
) -> None:
    """Import a dataset in FORMAT from PATH.

    Everything is checked before anything is written. Repeating a finished import changes nothing; repeating an
    interrupted one completes it.
    """
    format_named(format_name)
    with connect(load_settings()) as graph:
        report = load(
            graph,
            format_name,
            path,
            dataset,
            replace=replace,
            valid_share=valid_share,
            valid_seed=valid_seed,
            progress=partial(progress_bar, quiet=as_json),
        )
    if as_json:
        print_json(report.as_dict() | {"peak_memory": peak_memory()})
        return
    duplicates = {f"repeated {kind}, left out": count for kind, count in report.duplicates.items() if count}
    seconds = {"seconds": report.seconds, "peak memory, MiB": peak_memory() // 2**20}
    title = f"{dataset}: unchanged" if report.unchanged else f"{dataset}: imported"
    print_facts(
        title, {kind.replace("_", " "): count for kind, count in (report.counts | duplicates | seconds).items()}
    )

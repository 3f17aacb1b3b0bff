"""`cikg report`: what a run owes to what was extracted for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cikg.cli import evaluate, train
from cikg.cli._completion import completing, trained
from cikg.cli._output import json_option, messages, print_json, print_table
from cikg.errors import InputError
from cikg.extraction import control
from cikg.files import write_file
from cikg.graph import Graph, connect
from cikg.recommend import runs
from cikg.recommend.stages import METRIC, drawing, measure, of_method, priced
from cikg.settings import load_settings

if TYPE_CHECKING:
    from cikg.recommend.engine import Trained


@click.group("report")
def command() -> None:
    """Report what each extraction stage is worth."""


@command.command()
@click.argument("chosen", metavar="RUN...", nargs=-1, required=True, shell_complete=completing(trained))
@click.option(
    "--metric", default=METRIC, show_default=True, metavar="NAME@K", help="Metric to report; .01 is one point."
)
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="Write a chart of the lifts to this file.")
@click.option("--dataset", metavar="NAME", help="Refuse a run of another dataset than this.")
@json_option
def stages(*, chosen: tuple[str, ...], metric: str, svg: Path | None, dataset: str | None, as_json: bool) -> None:
    """Show what each extraction stage is worth to RUN, and what it cost.

    For each stage, the method is trained again without what that stage wrote, and compared with the full model user
    by user. These trainings are kept as runs, so a second call is quick. Several seeds of one configuration are
    averaged.
    """
    settings = load_settings()
    paths = [path for run in chosen for path in runs.directories(settings, run)]
    manifest = runs.read_json(paths[0] / runs.MANIFEST)
    of_method(manifest["method"])
    if dataset not in (None, manifest["dataset"]):
        raise InputError(
            f"the run {manifest['run']} was trained on {manifest['dataset']!r}, not on {dataset!r}",
            cure="Correct --dataset, or leave it out",
        )
    with connect(settings) as graph:
        watch = partial(train.watch, quiet=as_json)
        found = asdict(measure(settings, paths, watch, partial(_register, graph), metric))
        rows = list(priced(found, control.runs(graph, found["dataset"])))
    if svg is not None:
        write_file(svg, drawing(found).encode())
        messages.print(f"Wrote {svg}")
    if as_json:
        print_json(found | {"stages": rows})
    else:
        _show(found, rows)


def _register(graph: Graph, trained: Trained, evaluation: Mapping[str, Any]) -> None:
    train.register(graph, trained)
    evaluate.register(graph, trained.manifest, evaluation)


def _show(found: Mapping[str, Any], rows: list[dict[str, Any]]) -> None:
    about = f"{found['method']} on {found['dataset']}: {found['metric']} {found['test']:.4f} on test"
    seeds = f", {len(found['runs'])} seeds" if len(found["runs"]) > 1 else ""
    columns = ["stage", "lift on valid", "lift on test", "", "calls", "tokens", "cost", "cost per point"]
    lines = [
        [
            row["stage"],
            _interval(row["valid"]),
            _interval(row["test"]),
            row["verdict"]["test"] or "not measured",
            row["calls"],
            row["tokens"],
            row["cost"],
            "—" if row["cost_a_point"] is None else row["cost_a_point"],
        ]
        for row in rows
    ]
    print_table(about + seeds, columns, lines, fold=True)
    for row in rows:
        messages.print(f"{row['stage']}: {row['left_out']}", highlight=False)


def _interval(found: Mapping[str, float] | None) -> str:
    return f"{found['mean']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})" if found else "—"

"""`cikg compare`: finished runs side by side, with intervals, and by how much is known of users or items."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from cikg.cli._completion import completing, trained
from cikg.cli._output import (
    check_form,
    csv_option,
    json_option,
    messages,
    note,
    print_csv,
    print_json,
    print_table,
)
from cikg.cli.evaluate import with_deviation
from cikg.errors import InputError
from cikg.files import write_file
from cikg.recommend import runs
from cikg.recommend.evaluation.report import SHOWN, Question, answer, drawing
from cikg.settings import load_settings


@click.command("compare")
@click.argument("chosen", metavar="RUN...", nargs=-1, required=True, shell_complete=completing(trained))
@click.option(
    "--split", type=click.Choice(["test", "valid"]), default="test", show_default=True, help="Split to compare on."
)
@click.option("--metric", "metrics", multiple=True, metavar="NAME@K", help="Metric to compare; can be repeated.")
@click.option(
    "--groups",
    type=click.Choice(["users", "items"]),
    help="Also compare groups of users or items by how much is known about them.",
)
@click.option("--groups-metric", default="ndcg@50", show_default=True, metavar="NAME@K", help="Metric for the groups.")
@click.option(
    "--svg", type=click.Path(dir_okay=False, path_type=Path), help="Write a chart of the groups to this file."
)
@click.option(
    "--across-snapshots", is_flag=True, help="Allow snapshots that differ, as long as their interactions are the same."
)
@click.option("--seed", default=0, show_default=True, help="Seed of the bootstrap.")
@json_option
@csv_option
def command(
    *,
    chosen: tuple[str, ...],
    split: Literal["test", "valid"],
    metrics: tuple[str, ...],
    groups: Literal["users", "items"] | None,
    groups_metric: str,
    svg: Path | None,
    across_snapshots: bool,
    seed: int,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Compare RUNs user by user: by their names, paths, or the beginning of several names.

    Runs that differ only in their seed form one entry, with the mean and standard deviation of its figures. Every
    other entry is compared with the first: the mean difference over users, and its 95 % interval from a paired
    bootstrap. Nothing is scored again: runs store the rank of each held-out item.
    """
    check_form(as_csv=as_csv, as_json=as_json)
    if svg is not None and groups is None:
        raise InputError("--svg draws groups, but there are none", cure="Add --groups users or --groups items")
    settings = load_settings()
    paths = tuple(path for run in chosen for path in runs.directories(settings, run))
    question = Question(paths, split, metrics or SHOWN, groups, groups_metric, across_snapshots, seed)
    report = answer(settings, question)
    if svg is not None and groups is not None:
        write_file(svg, drawing(report, groups).encode())
        messages.print(f"Wrote {svg}")
    if as_json:
        print_json(report)
    elif as_csv:
        _as_csv(report)
    else:
        _as_tables(report, groups_metric, groups or "")


def _as_csv(report: dict[str, Any]) -> None:
    columns = ["entry", "runs", "protocol", "split", "metric", "mean", "sd", "difference", "low", "high"]
    rows = []
    for entry in report["entries"]:
        for metric, found in entry["metrics"].items():
            gap = (entry["differences"] or {}).get(metric, {"mean": None, "low": None, "high": None})
            about = [entry["name"], len(entry["runs"]), report["protocol"], report["split"], metric]
            rows.append([*about, found["mean"], found["sd"], gap["mean"], gap["low"], gap["high"]])
    print_csv(columns, rows)


def _as_tables(report: dict[str, Any], groups_metric: str, groups: str) -> None:
    for warning in report["warnings"]:
        note(warning)
    if report["snapshots"] > 1:
        note("the runs saw different graphs; their interactions and splits are the same")
    entries = report["entries"]
    metrics = list(entries[0]["metrics"])
    about = f"{report['dataset']}, {report['split']}, {report['protocol']} protocol"
    rows = [
        [entry["name"], len(entry["runs"]), "yes" if entry["refit"] else "no"]
        + [with_deviation(entry["metrics"][metric]) for metric in metrics]
        for entry in entries
    ]
    print_table(f"{about}: {report['users']:,} users", ["", "runs", "refit", *metrics], rows, fold=True)
    if len(entries) > 1:
        rows = [
            [entry["name"], metric, *_gap(gap), _relative(gap["mean"], entries[0]["metrics"][metric]["mean"])]
            for entry in entries[1:]
            for metric, gap in entry["differences"].items()
        ]
        columns = ["", "metric", "difference", "95 % interval", "sure", "relative"]
        print_table(f"Against {entries[0]['name']}", columns, rows, fold=True)
    if report["groups"]:
        rows = [
            [group["interactions"], group["size"], group["users"], entry["name"], figure["mean"], *gap]
            for group in report["groups"]
            for entry, figure, gap in zip(
                entries, group["figures"], [["", "", ""], *map(_gap, group["differences"])], strict=True
            )
        ]
        columns = ["interactions", groups, "users measured", "", groups_metric, "difference", "95 % interval", "sure"]
        print_table(f"{groups_metric} by what is known of {groups}", columns, rows, fold=True)


def _gap(found: dict[str, float]) -> list[str]:
    sure = found["low"] > 0 or found["high"] < 0
    return [f"{found['mean']:+.4f}", f"{found['low']:+.4f} to {found['high']:+.4f}", "yes" if sure else "no"]


def _relative(gap: float, base: float) -> str:
    return f"{gap / base:+.1%}" if base else ""

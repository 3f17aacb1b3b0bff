"""`cikg dataset`: which datasets there are, what one holds, and dropping or exporting it."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from cikg.cli._output import (
    confirm,
    json_option,
    messages,
    print_facts,
    print_json,
    print_table,
    progress_bar,
    yes_option,
)
from cikg.datasets import drop as dropping
from cikg.datasets.archive import FORMATS, export_dataset
from cikg.datasets.overview import Overview, all_datasets, overview
from cikg.errors import NotFoundError
from cikg.graph import Graph, connect
from cikg.graph.datasets import check
from cikg.schema import dataset_name
from cikg.settings import load_settings

_SHOWN_RUNS = 10
_SHOWN_RELATIONS = 20


_name_argument = click.argument(
    "dataset", metavar="NAME", callback=lambda _context, _parameter, value: dataset_name(value)
)


@click.group("dataset")
def command() -> None:
    """List, show, drop and export datasets."""


@command.command("list")
@json_option
def list_datasets(as_json: bool) -> None:
    """List all datasets in the database."""
    with connect(load_settings()) as graph:
        found = all_datasets(graph)
    if as_json:
        print_json({"datasets": found})
        return
    columns = ("dataset", "format", "state", "users", "items", "interactions")
    rows = [[*(row[column] for column in columns), _moment(row["imported_at"])] for row in found]
    print_table("Datasets", [*columns, "imported"], rows, empty="There is no dataset. `cikg import demo` makes one.")


@command.command(short_help="Show what a dataset holds.")
@_name_argument
@json_option
def show(dataset: str, as_json: bool) -> None:
    """Show what a dataset holds, where it came from, and what was done with it."""
    settings = load_settings()
    with connect(settings) as graph:
        found = overview(graph, dataset, settings)
    if as_json:
        print_json(asdict(found))
        return
    _print_overview(found)


def _print_overview(found: Overview) -> None:
    snapshot = f"{found.snapshot['hash'][:16]} in {found.snapshot['path']}" if found.snapshot else "none"
    print_facts(
        f"{found.dataset}: {found.state}",
        {
            "format": found.format,
            "source": found.source,
            "items are": found.field,
            "interests": found.interests,
            "embeddings": ", ".join(found.embeddings) or "none",
            "published": found.published or "none",
            "snapshot": snapshot,
        },
    )
    print_facts("Counts", {kind.replace("_", " "): count for kind, count in found.counts.items() if count})
    print_facts("Split", {key.replace("_", " "): value for key, value in found.split.items() if value is not None})
    if found.report:
        print_facts("Import", _flat(found.report))
    relations = [[row["relation"], row["type"], row["facts"]] for row in found.relations]
    print_table(
        _some("Relations", relations, _SHOWN_RELATIONS), ["relation", "type", "facts"], relations[:_SHOWN_RELATIONS]
    )
    runs = [[row["run"], row["kind"], row["state"], _moment(row["created_at"])] for row in found.runs]
    print_table(_some("Runs", runs, _SHOWN_RUNS), ["run", "kind", "state", "began"], runs[:_SHOWN_RUNS])


def _flat(report: dict[str, Any]) -> dict[str, Any]:
    """A report's figures and texts, one level deep; what is empty or counted elsewhere is left out."""
    flat: dict[str, Any] = {}
    for key, value in report.items():
        if isinstance(value, dict) and key != "counts":
            flat |= {f"{key.replace('_', ' ')}: {kind}": count for kind, count in value.items() if count}
        elif isinstance(value, (int, float, str)):
            flat[key.replace("_", " ")] = value
    return flat


def _some(title: str, rows: list[Any], shown: int) -> str:
    return title if len(rows) <= shown else f"{title} (the first {shown} of {len(rows):,})"


def _moment(time: str | None) -> str | None:
    """A time to the minute, as a person reads it."""
    return time and time[:16].replace("T", " ")


@command.command(short_help="Drop a dataset.")
@_name_argument
@yes_option
@click.option("--completions", is_flag=True, help="Drop the LLM's answers too: asking again will cost again.")
@click.option(
    "--files", is_flag=True, help="Remove its snapshots, trained runs, trials and lists of rejected rows too."
)
@json_option
def drop(*, dataset: str, yes: bool, completions: bool, files: bool, as_json: bool) -> None:
    """Drop a dataset: all of its nodes and edges, its runs and their ledger.

    The LLM's answers are kept unless --completions is given, and files unless --files is. Repeat the command to
    complete an interrupted drop.
    """
    settings = load_settings()
    with connect(settings) as graph:
        answers, paths = dropping.answers(graph, dataset), dropping.folders(settings, dataset)
        held = dropping.held(graph, dataset)  # without the dataset's own node, which a failed import has not made
        exists = _exists(graph, dataset, or_else=held > 0 or (completions and answers > 0) or (files and bool(paths)))
        nodes = held + exists
        if not yes:
            _confirm(dataset, nodes, answers if completions else 0, paths if files else [], as_json=as_json)
        total = nodes + (answers if completions else 0)
        with progress_bar("dropping", total, quiet=as_json) as advance:
            if nodes:
                dropping.drop(graph, dataset, advance)
                advance(int(exists))
            if completions:
                dropping.drop_answers(graph, dataset, advance)
    if files:
        dropping.remove(paths)
    _report_drop(dataset, nodes, answers, paths, completions=completions, files=files, as_json=as_json)


def _exists(graph: Graph, dataset: str, *, or_else: bool) -> bool:
    """Whether there is a dataset of this name.

    Raises:
        NotFoundError: there is none, nor anything else to drop.
    """
    try:
        check(graph, dataset)
    except NotFoundError:
        if or_else:
            return False
        raise
    return True


def _confirm(dataset: str, nodes: int, answers: int, paths: list[Path], *, as_json: bool) -> None:
    """Say what would be lost, and ask."""
    what = [f"{nodes:,} nodes with all their edges"]
    what += [f"{answers:,} answers of the LLM"] if answers else []
    what += [str(path) for path in paths]
    confirm(
        f"This drops the dataset {dataset}: {', '.join(what)}.", "Drop it?", "Nothing was dropped.", as_json=as_json
    )


def _report_drop(
    dataset: str, nodes: int, answers: int, paths: list[Path], *, completions: bool, files: bool, as_json: bool
) -> None:
    shown = [str(path) for path in paths]
    if as_json:
        print_json(
            {
                "dataset": dataset,
                "nodes": nodes,
                "completions": answers if completions else 0,
                "removed": shown if files else [],
                "kept": {"completions": 0 if completions else answers, "files": [] if files else shown},
            }
        )
        return
    messages.print(f"Dropped {dataset}: {nodes + (answers if completions else 0):,} nodes.", highlight=False)
    if answers and not completions:
        messages.print(f"{answers:,} answers of the LLM are kept; --completions drops them.", highlight=False)
    if paths and not files:
        messages.print(f"Files are kept; --files removes them: {', '.join(shown)}", highlight=False, soft_wrap=True)


@command.command()
@_name_argument
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    default="parquet",
    show_default=True,
    help="parquet: smaller, faster, typed. csv: for spreadsheets.",
)
@json_option
def export(dataset: str, folder: Path, format_name: str, as_json: bool) -> None:
    """Write a dataset into a new FOLDER of tables.

    `cikg import archive FOLDER` restores the same graph from it, with everything that jobs and people added. The
    subfolder `knowledge` holds what a language model added as tables, for spreadsheets and notebooks.
    """
    with connect(load_settings()) as graph:
        made = export_dataset(graph, dataset, folder, format_name, partial(progress_bar, quiet=as_json))
    if as_json:
        print_json(asdict(made))
        return
    print_facts(f"{dataset}: exported to {folder}", made.rows)
    messages.print(f"`cikg import archive {folder} --dataset NAME` restores it.", soft_wrap=True)

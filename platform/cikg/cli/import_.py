"""`cikg import`: a dataset of any known format into the graph."""

from __future__ import annotations

import dataclasses
import time
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from typing_extensions import override

from cikg.cli._completion import completing
from cikg.cli._output import dataset_option, json_option, print_facts, print_json, print_table, progress_bar
from cikg.cli._prepared import prepared
from cikg.cli._store import bulk_store
from cikg.cli._wizard import wizard
from cikg.datasets import additions
from cikg.datasets.bulk import PAYS
from cikg.datasets.checking import Rules, check
from cikg.datasets.filters import Filters
from cikg.datasets.loader import load
from cikg.datasets.registry import format_named, formats
from cikg.datasets.report import MAX_REJECTED, ImportReport
from cikg.datasets.splits import SplitKind, SplitRule
from cikg.graph import connect
from cikg.memory import peak_memory
from cikg.progress import Progress
from cikg.settings import Settings, load_settings

_SHARE = click.FloatRange(0, 1, max_open=True)


_OTHERS = {"wizard": wizard, "prepared": prepared}


class _Import(click.Command):
    """Imports; but `wizard` and `prepared`, where a format would stand, are commands of their own."""

    @override
    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args and args[0] in _OTHERS:
            return _OTHERS[args[0]].make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@click.command("import", cls=_Import)
@click.argument(
    "format_name", metavar="FORMAT", required=False, shell_complete=completing(lambda: [*formats(), *_OTHERS])
)
@click.argument("path", required=False, type=click.Path(path_type=Path))
@dataset_option
@click.option("--list", "list_formats", is_flag=True, help="List the formats, then exit.")
@click.option("--dry-run", is_flag=True, help="Read, check and report only; needs no database.")
@click.option(
    "--add",
    is_flag=True,
    help="Add what is new in the source, as train, to the dataset. All else in it stays: splits, intents, corrections, "
    "lists.",
)
@click.option(
    "--replace",
    is_flag=True,
    help="If the dataset holds something else, drop all of it first: intents, corrections, jobs and lists, too.",
)
@click.option(
    "--max-rejected",
    type=click.FloatRange(0, 1),
    default=MAX_REJECTED,
    show_default=True,
    metavar="SHARE",
    help="Largest share of unusable rows to skip; above it, nothing is written.",
)
@click.option("--min-rating", type=float, metavar="RATING", help="Skip interactions rated lower than this.")
@click.option(
    "--core",
    type=click.IntRange(min=1),
    metavar="COUNT",
    help="Remove users and items with fewer interactions, until all that remain have at least this many.",
)
@click.option(
    "--split",
    "kind",
    type=click.Choice([str(kind) for kind in SplitKind]),
    help="given: as in the source. ratio: a random share of each user's interactions. leave-one-out: each user's last "
    "interaction is test, the one before it valid. temporal: at the same points in time for everyone.  [default: given "
    "if the source has a test split, else ratio]",
)
@click.option(
    "--test-share", type=_SHARE, metavar="SHARE", help="Share of all interactions that becomes test.  [default: 0.2]"
)
@click.option(
    "--valid-share",
    type=_SHARE,
    metavar="SHARE",
    help="Share of the remaining interactions that becomes valid.  [default: 0.125]",
)
@click.option("--split-seed", type=int, default=0, show_default=True, help="Seed of a random split.")
@click.option(
    "--bulk/--no-bulk",
    default=None,
    help="Build the whole database from files, which only an empty embedded Neo4j allows; or never do so.  "
    f"[default: from {PAYS:,} rows on]",
)
@json_option
def command(
    *,
    format_name: str | None,
    path: Path | None,
    dataset: str,
    list_formats: bool,
    dry_run: bool,
    add: bool,
    replace: bool,
    max_rejected: float,
    min_rating: float | None,
    core: int | None,
    kind: str | None,
    test_share: float | None,
    valid_share: float | None,
    split_seed: int,
    bulk: bool | None,
    as_json: bool,
) -> None:
    """Import a dataset in FORMAT from PATH; `--list` shows the formats.

    For plain tables, `cikg import wizard FILE` proposes what their columns mean.

    Everything is read and checked before anything is written. Rows that cannot be used are skipped, reported and
    listed in a file; too many of them stop the import. Repeating a finished import changes nothing; repeating an
    interrupted one completes it. With `--add`, the source may have the new rows alone, or all of them again.
    """
    if list_formats:
        _list(as_json=as_json)
        return
    if format_name is None:
        raise click.UsageError("Missing argument 'FORMAT'; --list shows them all.")
    format_named(format_name)
    if add:
        _refuse_beside_add(click.get_current_context())
    rules = Rules(
        split=SplitRule(SplitKind(kind) if kind else None, test_share, valid_share, split_seed),
        filters=Filters(min_rating, core),
        max_rejected=max_rejected,
    )
    settings, progress, began = load_settings(), partial(progress_bar, quiet=as_json), time.perf_counter()
    what = (format_name, path, dataset, rules)
    if dry_run:
        checked = check(*what, home=settings.home, progress=progress)
        report = dataclasses.replace(checked.report, seconds=round(time.perf_counter() - began, 3))
    else:
        report = _write(settings, *what, add=add, replace=replace, bulk=bulk, progress=progress)
    if as_json:
        print_json(report.as_dict() | {"dry_run": dry_run, "peak_memory": peak_memory()})
    else:
        done = "added" if add else "imported"
        _show(report, "checked; nothing was written" if dry_run else "unchanged" if report.unchanged else done)


def _write(
    settings: Settings,
    format_name: str,
    path: Path | None,
    dataset: str,
    rules: Rules,
    *,
    add: bool,
    replace: bool,
    bulk: bool | None,
    progress: Progress,
) -> ImportReport:
    """Import a dataset, or add to it."""
    home = settings.home
    with connect(settings) as graph:
        written = partial(
            additions.add if add else load, graph, format_name, path, dataset, home=home, progress=progress
        )
        if add:
            return written(min_rating=rules.filters.min_rating, max_rejected=rules.max_rejected)
        return written(rules=rules, replace=replace, bulk=bulk_store(settings, bulk))


def _refuse_beside_add(context: click.Context) -> None:
    """Refuse options that are about a whole dataset."""
    names = ("replace", "core", "kind", "test_share", "valid_share", "split_seed", "bulk", "dry_run")
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            (option,) = (each for each in context.command.params if each.name == name)
            raise click.UsageError(f"{option.opts[0]} cannot be used with --add.")


def _list(*, as_json: bool) -> None:
    found = [{"name": kind.name, "help": kind.help} for kind in formats().values()]
    if as_json:
        print_json({"formats": found})
    else:
        print_table("Formats", ["format", "what is expected at PATH"], [list(row.values()) for row in found])


def _show(report: ImportReport, outcome: str) -> None:
    """The report as a person reads it."""
    rows = {"rows read": report.rows, "rows rejected": report.rejected} if report.rows else {}
    left_out = {f"{kind}, left out": count for kind, count in report.left_out.items() if count}
    repeated = {f"repeated {kind}, left out": count for kind, count in report.duplicates.items() if count}
    spent = {"seconds": report.seconds, "peak memory, MiB": peak_memory() // 2**20}
    facts = rows | report.counts | {"split": report.split["split"]} | left_out | repeated | spent
    print_facts(f"{report.dataset}: {outcome}", {name.replace("_", " "): value for name, value in facts.items()})
    if report.reasons:
        reasons = [
            [found.reason if found.rows > 1 else found.example, found.rows, f"{Path(found.file).name}:{found.line}"]
            for found in report.reasons
        ]
        print_table("Rejected rows", ["reason", "rows", "first in"], reasons)
        click.echo(f"All of them are in {report.rejected_file}")

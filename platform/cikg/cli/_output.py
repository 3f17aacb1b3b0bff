"""What the commands share: `--json`, `--csv`, `--dataset`, tables, progress bars, the connection."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from cikg.cli._visible import visible
from cikg.errors import InputError
from cikg.progress import Advance, tell
from cikg.schema import dataset_name
from cikg.spreadsheet import csv_text


class _Console(Console):
    """Prints texts as they are, since other people wrote many of them: none has styles or moves the cursor."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, markup=False, emoji=False)

    @override
    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **options)


console = _Console()
messages = _Console(stderr=True)
"""Progress and remarks go to standard error, so that standard output holds data alone."""
_UNCUT = 10_000
"""Characters of a line that goes to a file or another program: no terminal's width cuts it."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
csv_option = click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead of a table.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")


def _check_dataset(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    return dataset_name(value)


dataset_option = click.option(
    "--dataset",
    default="demo",
    show_default=True,
    callback=_check_dataset,
    metavar="NAME",
    help="The dataset to work on.",
)


_NUMBER = re.compile(r"-?[\d.,]+( \S)?")
"""A number as `_show` writes it, or one with a sign of its unit."""


def check_form(*, as_csv: bool, as_json: bool) -> None:
    """Refuse two forms at once.

    Raises:
        InputError: CSV and JSON are both asked for.
    """
    if as_csv and as_json:
        raise InputError("--csv and --json exclude each other", cure="Leave out one of them")


def confirm(loss: str, question: str, otherwise: str, *, as_json: bool) -> None:
    """Ask before something is lost.

    Args:
        loss: what will be, as a sentence.
        question: what is asked.
        otherwise: what to say where the answer is no.
        as_json: whether a program reads the output, which cannot answer.

    Raises:
        InputError: nobody is there to answer.
        click.exceptions.Exit: the answer is no.
    """
    if as_json or not sys.stdin.isatty():
        raise InputError("there is no terminal to ask in", cure="Give --yes, or run this in a terminal")
    messages.print(loss, highlight=False)
    if not click.confirm(question, err=True):
        messages.print(otherwise)
        raise click.exceptions.Exit(0)


def note(text: str) -> None:
    """A remark on what is shown."""
    messages.print(Text.assemble(("Note: ", "yellow"), visible(text)))


def ticked(what: str, seconds: float, result: str = "", *, failed: bool = False) -> None:
    """A step that is over."""
    sign = ("✗", "red") if failed else ("✓", "green")
    took = (f"{seconds:.1f} s", "dim")
    messages.print(Text.assemble(sign, f" {what} ", took, result and f" {result}"), highlight=False)


def print_json(data: Any) -> None:
    """Print `data` as one line of JSON."""
    click.echo(json.dumps(data, default=str, ensure_ascii=False))


def print_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows as CSV with a header."""
    sys.stdout.write(csv_text(columns, rows))


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, fold: bool = False, empty: str = ""
) -> None:
    """Print rows under named columns; numbers align right. Columns without names are printed without a header.

    Where there are no rows, `empty` says so instead, and what to do.

    On a terminal, or where COLUMNS says how wide, words that are longer than their column are cut, or folded where
    `fold` says so.
    """
    if empty and not rows:
        messages.print(empty, highlight=False, soft_wrap=True)
        return
    named = any(columns)
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=SIMPLE_HEAD)
    table.show_header = named
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(_NUMBER.fullmatch(_show(row[index])) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold" if fold else "ellipsis")
    for row in rows:
        table.add_row(*[Text(_show(value)) for value in row])  # a name may look like markup
    _Console(width=None if console.is_terminal or "COLUMNS" in os.environ else _UNCUT).print(table)


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """Print names and values as two columns; a path is folded, not cut, so that it can be copied."""
    print_table(title, ["", ""], [[name, _show(value)] for name, value in facts.items()], fold=True)


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        return ", ".join(_show(each) for each in value)
    if isinstance(value, tuple):  # lines of one cell
        return "\n".join(_show(each) for each in value)
    text = "" if value is None else str(value)
    return text if text.isprintable() else visible(text).replace("\n", "\ufffd")


@contextmanager
def working(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Show on standard error what is being done, where nobody can say how much of it there is."""
    tell(what)
    with nullcontext() if quiet else messages.status(what):
        yield


@contextmanager
def progress_bar(description: str, total: int | None, *, quiet: bool) -> Iterator[Advance]:
    """A bar with count, elapsed and remaining time on standard error; yields `advance(n)`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=messages, disable=quiet) as progress:
        task = progress.add_task(description, total=total)

        def advance(n: int) -> None:
            progress.advance(task, n)
            tell(f"{description}: {progress.tasks[task].completed:,.0f}" + (f" of {total:,}" if total else ""))

        yield advance

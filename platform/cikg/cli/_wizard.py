"""`cikg import wizard`: looks at tables, asks what they mean, and writes the mapping that an import needs."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from pathlib import Path

import click

from cikg.cli._output import json_option, messages, print_json, print_table
from cikg.datasets.mapping.conversation import Question, agree, answer, converse, dataset_of, mapping_path
from cikg.datasets.mapping.model import Mapping, render
from cikg.datasets.mapping.preview import Preview, preview
from cikg.errors import ConflictError, InputError


@click.command("wizard")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Take every guess, and ask nothing.")
@click.option("--output", type=click.Path(path_type=Path), help="Where to write the mapping.  [default: beside FILE]")
@click.option("--force", is_flag=True, help="Write the mapping even where there is one already.")
@json_option
def wizard(*, files: tuple[Path, ...], yes: bool, output: Path | None, force: bool, as_json: bool) -> None:
    """Look at FILEs of plain tables (CSV or Parquet), and write a mapping that says what their columns mean.

    Each guess is asked about; Enter takes it, `-` stands for none. Then the first ten rows are shown as they would be
    imported. `cikg import table` takes the mapping, a TOML file. `--json` writes nothing: it prints what would be
    proposed.
    """
    path = output or mapping_path(files[0])
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent}", cure="Choose another place with --output")
    if path.exists() and not (force or as_json):
        raise ConflictError(f"{path} already exists", cure="Edit it, or give --force to replace it")
    talk = converse(files, path.parent)
    asks = not (yes or as_json)
    if asks and not sys.stdin.isatty():
        raise InputError(
            "there is no terminal to ask in", cure="Give --yes to take every guess, or run this in a terminal"
        )
    mapping, questions = answer(talk, _ask) if asks else agree(talk)
    seen = preview(mapping, path)
    command = f"cikg import table {shlex.quote(str(path))} --dataset {dataset_of(path.name)}"
    if as_json:
        _print_proposal(path, mapping, questions, seen, command)
        return
    _show(seen)
    if asks and not click.confirm(f"Write {path}?", default=True, err=True):
        messages.print("Nothing was written.")
        return
    try:
        path.write_text(render(mapping), encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"it cannot be written: {error.strerror}", path, cure="Choose another place with --output"
        ) from None
    messages.print(f"Wrote {path}. Edit it if needed, then run:", highlight=False, soft_wrap=True)
    click.echo(command)


def _ask(question: Question) -> str:
    """Put a question to the person at the terminal."""
    if question.problem:
        messages.print(question.problem, style="red", highlight=False)
    if question.why:
        messages.print(question.why, style="dim", highlight=False)
    choices = f" ({', '.join(question.choices)})" if question.choices else ""
    reply: str = click.prompt(f"{question.key}: {question.text}{choices}", default=question.guess, err=True)
    return reply


def _show(seen: Preview) -> None:
    columns = [name for name in (seen.rows[0] if seen.rows else {}) if any(row[name] for row in seen.rows)]
    print_table(
        "The first rows, as they would be imported", columns, [[row[name] for name in columns] for row in seen.rows]
    )
    if seen.rejected:
        messages.print(f"{seen.rejected:,} of the first {seen.read:,} rows cannot be used:", highlight=False)
        for one in seen.wrong[:5]:
            messages.print(f"  {one.file}:{one.line}: {one.reason}", highlight=False)


def _print_proposal(path: Path, mapping: Mapping, questions: list[Question], seen: Preview, command: str) -> None:
    guesses = [{"question": question.key, "guess": question.guess, "why": question.why} for question in questions]
    print_json(
        {
            "path": str(path),
            "mapping": mapping.model_dump(exclude_unset=True, exclude_none=True),
            "toml": render(mapping),
            "guesses": guesses,
            **asdict(seen),
            "next": command,
        }
    )

"""`cikg query`: the library's questions, and a person's own, in read transactions alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from cikg.cli._output import dataset_option, json_option, messages, print_json, print_table
from cikg.errors import InputError
from cikg.graph import Statement, connect, library
from cikg.graph.migrations import split
from cikg.graph.statements import named
from cikg.settings import load_settings


def _parameters(given: Iterable[str]) -> dict[str, Any]:
    """Read `key=value` pairs; a value that is no JSON is text."""
    parameters: dict[str, Any] = {}
    for pair in given:
        key, separator, value = pair.partition("=")
        if not separator or not key.isidentifier():
            raise InputError(f"{pair!r} is no parameter", cure="Write -p key=value")
        try:
            parameters[key] = json.loads(value)
        except ValueError:
            parameters[key] = value
    return parameters


def _readable() -> list[Statement]:
    """The statements a person can ask, the ones made for it first."""
    statements = [statement for statement in library().values() if not statement.writes]
    return sorted(statements, key=lambda statement: (statement.domain != "analysis", statement.domain, statement.name))


def _chosen(name: str, parameters: dict[str, Any]) -> str:
    """The text of a named statement.

    Raises:
        InputError: it writes, or the parameters are not those it declares.
        NotFoundError: there is none of this name.
    """
    statement = named(name)
    if statement.writes:
        raise InputError(f"{name} writes, and `cikg query` only reads", cure="`cikg query --list` shows what reads")
    missing = [key for key in statement.parameters if key not in parameters]
    unknown = [key for key in parameters if key not in (*statement.parameters, "dataset")]
    if missing or unknown:
        wrong = f"lacks {', '.join(missing)}" if missing else f"does not take {', '.join(unknown)}"
        raise InputError(f"{name}({', '.join(statement.parameters)}) {wrong}", cure="Give each with -p key=value")
    return statement.text


def _from_file(path: Path) -> str:
    """The one statement of a file.

    Raises:
        InputError: the file cannot be read, or holds none or several.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"it cannot be read: {error}", path) from None
    statements = split(text)
    if len(statements) != 1:
        raise InputError(f"expected one statement, found {len(statements)}", path)
    return statements[0] if statements[0].upper().startswith("CYPHER ") else f"CYPHER 25 {statements[0]}"


def _show_list(as_json: bool) -> None:
    if as_json:
        keys = ("name", "parameters", "domain", "help")
        print_json([{key: getattr(statement, key) for key in keys} for statement in _readable()])
        return
    rows = [
        [f"{statement.name}({', '.join(statement.parameters)})", statement.domain, statement.help]
        for statement in _readable()
    ]
    print_table("What can be asked", ["name", "in", "purpose"], rows)


@click.command("query")
@click.argument("name", required=False)
@click.option("-p", "--parameter", "given", multiple=True, metavar="KEY=VALUE", help="A parameter, as JSON or text.")
@click.option("--file", "path", type=click.Path(path_type=Path), help="Ask the Cypher in this file instead.")
@click.option("--list", "as_list", is_flag=True, help="Show what can be asked.")
@click.option("--limit", type=click.IntRange(1), default=1_000, show_default=True, help="The most rows to show.")
@dataset_option
@json_option
def command(
    *,
    name: str | None,
    given: tuple[str, ...],
    path: Path | None,
    as_list: bool,
    limit: int,
    dataset: str,
    as_json: bool,
) -> None:
    """Ask the graph the question NAME of the library, or the Cypher in a file.

    Only reads. The parameter `dataset` is taken from --dataset.
    """
    if as_list:
        _show_list(as_json)
        return
    if (name is None) == (path is None):
        raise InputError(
            "expected the name of a question or --file", cure="`cikg query --list` shows what can be asked"
        )
    parameters = {"dataset": dataset} | _parameters(given)
    text = _from_file(path) if path else _chosen(str(name), parameters)
    with connect(load_settings()) as graph:
        answer = graph.look(text, parameters, limit)
    if as_json:
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        print_json({"columns": answer.columns, "rows": rows, "truncated": answer.truncated})
        return
    print_table(name or str(path), answer.columns, answer.rows)
    if answer.truncated:
        messages.print(f"Only the first {limit:,} rows; --limit shows more.")

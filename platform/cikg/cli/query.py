"""`cikg query`: the library's questions, and a person's own, in read transactions alone."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from cikg.cli._completion import completing
from cikg.cli._output import (
    check_form,
    console,
    csv_option,
    dataset_option,
    json_option,
    messages,
    print_csv,
    print_facts,
    print_json,
    print_table,
)
from cikg.errors import InputError, NotFoundError
from cikg.graph import Statement, connect
from cikg.graph.console import check
from cikg.graph.database import Answer, Graph, Operator
from cikg.graph.questions import (
    PARAMETERS,
    SURROUNDINGS,
    arguments,
    asked,
    check_existence,
    loose_value,
    readable,
    signature,
)
from cikg.graph.schema_files import split
from cikg.graph.statements import named
from cikg.settings import load_settings

_WIDEST = 8
"""Columns of a table; what has more is shown a row at a time, as names and values."""


@click.command("query")
@click.argument("name", required=False, shell_complete=completing(lambda: [each.name for each in readable()]))
@click.option(
    "-p", "--parameter", "given", multiple=True, metavar="KEY=VALUE", help="A query parameter; can be repeated."
)
@click.option("--file", "path", type=click.Path(path_type=Path), help="Run the Cypher in this file instead.")
@click.option("--list", "as_list", is_flag=True, help="List the queries and their parameters, then exit.")
@click.option("--all", "with_all", is_flag=True, help="With --list, include the platform's own read statements.")
@click.option(
    "--explain", is_flag=True, help="Show purpose, parameters, cost, Cypher and plan instead of running the query."
)
@click.option(
    "--profile", is_flag=True, help="Run the query, and show the cost of each step of its plan instead of the answer."
)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Maximum number of rows to show.")
@click.option("--timeout", type=click.FloatRange(0.1), default=60.0, show_default=True, help="Time limit in seconds.")
@dataset_option
@csv_option
@json_option
def command(
    *,
    name: str | None,
    given: tuple[str, ...],
    path: Path | None,
    as_list: bool,
    with_all: bool,
    explain: bool,
    profile: bool,
    limit: int,
    timeout: float,
    dataset: str,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Run the library query NAME, or the Cypher in a file, on the graph.

    Read-only. The parameter `dataset` comes from --dataset, and `limit` from --limit.

    \b
      cikg query --list
      cikg query users_by_intent --explain
      cikg query users_by_intent -p intent="gothic tales" --csv
    """  # noqa: D301 - a backspace tells click to leave the lines as they are
    check_form(as_csv=as_csv, as_json=as_json)
    if as_list:
        _show_list(as_json=as_json, with_all=with_all)
        return
    if (name is None) == (path is None):
        raise InputError("expected the name of a query or --file", cure="`cikg query --list` shows all queries")
    statement = None if name is None else _readable(name)
    text = statement.text if statement else _from_file(Path(str(path)))
    if explain and not as_json:
        _show_documentation(statement, text)
    parameters = {} if explain and not profile else _parameters(statement, _pairs(given), dataset, limit)
    with connect(load_settings()) as graph:
        if path is not None:
            text, _ = check(graph, text, timeout)
        if explain or profile:
            plan = graph.plan(text, parameters, profile=profile, seconds=timeout)
            _show_plan(statement, text, plan, as_json=as_json)
            return
        answer = _ask(graph, statement, text, parameters, limit=limit, seconds=timeout)
    _show_answer(name or str(path), statement, answer, as_csv=as_csv, as_json=as_json)


def _pairs(given: Iterable[str]) -> dict[str, str]:
    """Read `key=value` pairs."""
    pairs: dict[str, str] = {}
    for pair in given:
        key, separator, value = pair.partition("=")
        if not separator or not key.isidentifier():
            raise InputError(f"{pair!r} is not a parameter", cure="Write -p key=value")
        if key in pairs:
            raise InputError(f"{key} is given twice", cure="Give it once")
        pairs[key] = value
    return pairs


def _readable(name: str) -> Statement:
    """The reading statement of this name.

    Raises:
        InputError: it writes.
        NotFoundError: there is none of this name.
    """
    statement = named(name)
    if statement.writes:
        raise InputError(f"{name} writes, but `cikg query` only reads", cure="`cikg query --list` shows all queries")
    return statement


def _parameters(statement: Statement | None, pairs: dict[str, str], dataset: str, limit: int) -> dict[str, Any]:
    """The parameters of a question: one row more than is shown tells whether there are more."""
    if statement is None:
        return {"dataset": dataset} | {key: loose_value(value) for key, value in pairs.items()}
    return arguments(statement, pairs, dataset, limit + 1)


def _from_file(path: Path) -> str:
    """The one statement of a file, without the version of the language.

    Raises:
        InputError: the file cannot be read, or holds none or several.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror}", path) from None
    except UnicodeDecodeError:
        raise InputError("it cannot be read: it is not UTF-8 text", path) from None
    statements = split(text)
    if len(statements) != 1:
        raise InputError(f"expected one statement, found {len(statements)}", path)
    return re.sub(r"(?i)^CYPHER\s+25\s", "", statements[0]).strip()  # the guard puts it before every statement


def _ask(
    graph: Graph, statement: Statement | None, text: str, parameters: dict[str, Any], *, limit: int, seconds: float
) -> Answer:
    """Ask; where nothing is found, make sure that what was asked about exists.

    Raises:
        NotFoundError: it does not.
    """
    answer = graph.look(text, parameters, limit, seconds=seconds)
    if statement and (not answer.rows or statement.kind == "one"):
        check_existence(graph, statement, parameters)
        if not answer.rows and statement.kind == "one":
            raise NotFoundError(f"{statement.name} found nothing", cure="Check its parameters with --explain")
    return answer


def _show_answer(title: str, statement: Statement | None, answer: Answer, *, as_csv: bool, as_json: bool) -> None:
    if as_json:
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        print_json({"columns": answer.columns, "rows": rows, "truncated": answer.truncated})
        return
    if as_csv:
        print_csv(answer.columns, answer.rows)
    elif (statement and statement.kind == "one") or len(answer.columns) > _WIDEST:
        for row in answer.rows:
            print_facts(title, dict(zip(answer.columns, row, strict=True)))
    else:
        print_table(title, answer.columns, answer.rows, fold=True)
    if not answer.rows:
        messages.print("No rows.")
    if answer.truncated:
        messages.print(f"Only the first {len(answer.rows):,} rows; --limit shows more.")


def _described(statement: Statement) -> dict[str, Any]:
    """A statement as `--json` shows it."""
    parameters = {
        name: {"meaning": each.meaning, "kind": each.kind, "default": each.default}
        for name, each in asked(statement).items()
    }
    keys = ("name", "parameters", "domain", "section", "help", "purpose", "cost")
    return {key: getattr(statement, key) for key in keys} | {"asked": parameters}


def _show_list(*, as_json: bool, with_all: bool) -> None:
    """All questions in their sections, and what their parameters mean."""
    if as_json:
        print_json({"queries": [_described(statement) for statement in readable()]})
        return
    others = sum(not statement.section for statement in readable())
    section, used = None, set()
    for statement in readable():
        if not (statement.section or with_all):
            break
        heading = statement.section or "Used by the platform's own pages and jobs; keys are `dataset:id`"
        if heading != section:
            section = heading
            console.print(f"\n{heading}", style="bold")
        used |= set(asked(statement))
        name, *parameters = signature(statement).split(" ")
        console.print(Text.assemble("  ", (name, "cyan"), *(f" {each}" for each in parameters)), highlight=False)
        _indented(statement.purpose.split(". ")[0].rstrip(".") + ".", 6)
    rows = [[name, parameter.meaning] for name, parameter in PARAMETERS.items() if name in used]
    console.print()
    print_table("Parameters: -p name=value", ["", ""], rows)
    if not with_all:
        messages.print(
            f"--all adds {others} read statements of pages and jobs, --file runs your own, --explain documents one."
        )


def _show_documentation(statement: Statement | None, text: str) -> None:
    """What a question is for and what it costs, and its Cypher."""
    if statement:
        console.print(f"{signature(statement)}\n", style="bold", highlight=False)
        _indented(statement.purpose, 2)
        if statement.cost:
            console.print()
            _indented(f"Cost: {statement.cost}", 2)
        wanted = asked(statement)
        if wanted:
            rows = [
                [name, each.kind, "" if each.default is None else f"{each.default:g}", each.meaning]
                for name, each in wanted.items()
            ]
            console.print()
            print_table("Parameters", ["-p", "is a", "default", "meaning"], rows)
        options = [f"--{name}" for name in SURROUNDINGS if name in statement.parameters]
        if options:
            _indented(f"Options that it uses: {', '.join(options)}.", 2)
    console.print("\nCypher\n", style="bold")
    click.echo(text)
    console.print()


def _show_plan(statement: Statement | None, text: str, plan: Sequence[Operator], *, as_json: bool) -> None:
    """The steps of a plan, the last one first; what feeds a step stands below it, further in."""
    profiled = any(step.hits is not None for step in plan)
    if as_json:
        steps = [vars(step) for step in plan]
        print_json((_described(statement) if statement else {}) | {"cypher": text, "plan": steps})
        return
    columns = ["step", "rows expected", *(["rows", "reads"] if profiled else []), "what"]
    rows = [
        [
            " " * step.depth + step.name,
            round(step.estimated),
            *([step.rows, step.hits] if profiled else []),
            step.details if len(step.details) <= 160 else step.details[:159] + "…",
        ]
        for step in plan
    ]
    print_table("Plan" + (f", {sum(step.hits or 0 for step in plan):,} store reads" if profiled else ""), columns, rows)


def _indented(text: str, spaces: int) -> None:
    margin = " " * spaces
    click.echo(textwrap.fill(text, console.width, initial_indent=margin, subsequent_indent=margin))

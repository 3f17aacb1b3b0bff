"""`cikg schema`: the database's constraints and indexes, and whether they are what the platform needs."""

from __future__ import annotations

from typing import Any

import click

from cikg.cli._output import json_option, messages, print_json, print_table
from cikg.errors import DriftError
from cikg.graph import connect
from cikg.graph.migrations import migrate, refuse
from cikg.graph.schema_files import available
from cikg.graph.schema_state import SchemaState, Shown, inspect
from cikg.settings import load_settings


@click.group("schema")
def command() -> None:
    """Show, apply and repair the database's constraints and indexes.

    They come from the numbered files in cypher/schema, each applied once, and from `cikg embed`. `cikg up` and
    `cikg import` apply new files automatically.
    """


@command.command("status")
@json_option
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """Show files, constraints, indexes and embeddings.

    Exits with 2 if the database has drifted from what its files define.
    """
    with connect(load_settings()) as graph:
        state = inspect(graph, available())
    try:
        refuse(state)
        error = None
    except DriftError as drifted:
        error = drifted
    if as_json:
        print_json(_facts(state) | (error.as_dict() if error else {}))
    else:
        _show(state)
    if error is not None:
        if not as_json:
            messages.print(f"cikg: {error}", style="red", soft_wrap=True)
        context.exit(error.exit_code)


@command.command("migrate")
@click.option("--repair", is_flag=True, help="Recreate what was dropped, has failed or was changed.")
@json_option
def apply(repair: bool, as_json: bool) -> None:
    """Apply the files that the database does not have yet. Running it again, or twice at once, is safe.

    A database that has drifted is refused; --repair fixes it where that cannot lose anything.
    """
    with connect(load_settings()) as graph, messages.status("Migrating"):
        changes = migrate(graph, repair=repair)
    if as_json:
        print_json({"applied": changes.applied, "repaired": changes.repaired})
        return
    for title, names in (("applied", changes.applied), ("recreated", changes.repaired)):
        if names:
            click.echo(f"{title}: {', '.join(names)}")
    if not changes.applied and not changes.repaired:
        click.echo("The schema is up to date.")


def _facts(state: SchemaState) -> dict[str, Any]:
    return {
        "files": state.files,
        "objects": _objects(state),
        "embeddings": [{"embedding": name, "datasets": where} for name, where in state.embeddings.items()],
        "drift": [{"message": one.message, "cure": one.cure} for one in state.drift],
    }


def _objects(state: SchemaState) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "kind": f"{shown.definition.kind} {shown.definition.what}",
            "on": str(shown.definition),
            "state": shown.state,
            "percent": shown.percent,
            "from": shown.origin,
            **({"options": shown.definition.options} if shown.definition.kind == "vector" else {}),
        }
        for name, shown in state.shown.items()
    ]


def _show(state: SchemaState) -> None:
    files = [
        [f"{file['version']} {file['name']}", file["state"], file["checksum"][:12], (file["applied_at"] or "")[:19]]
        for file in state.files
    ]
    print_table("Files of cypher/schema", ["file", "state", "checksum", "applied at"], files)
    rows = [
        [name, one.definition.kind, str(one.definition), _progress(one), one.origin]
        for name, one in state.shown.items()
    ]
    print_table("Constraints and indexes", ["name", "kind", "on", "state", "from"], rows)
    if state.embeddings:
        embeddings = [[*name.split("/"), ", ".join(where)] for name, where in state.embeddings.items()]
        print_table("Embeddings", ["nodes", "model and dimension", "datasets"], embeddings)
    if len(state.drift) > 1:
        print_table("Differences", ["what is wrong", "what to do"], [[one.message, one.cure] for one in state.drift])


def _progress(shown: Shown) -> str:
    return f"{shown.state}, {shown.percent:.0f} %" if shown.state == "populating" else shown.state

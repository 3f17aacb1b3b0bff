"""`cikg import prepared`: carries out an import that was prepared in the dashboard or over the API."""

from __future__ import annotations

import click

from cikg.cli._output import json_option, messages, print_json
from cikg.cli._store import bulk_store
from cikg.datasets.prepared.carrying_out import carry_out
from cikg.memory import peak_memory
from cikg.settings import load_settings


@click.command("prepared")
@click.argument("identifier", metavar="ID")
@json_option
def prepared(*, identifier: str, as_json: bool) -> None:
    """Carry out the import ID that was prepared in the dashboard or over the API, as a worker would.

    It can be repeated: an interrupted import is completed, and a finished one changes nothing.
    """
    settings = load_settings()
    report = carry_out(settings, identifier, bulk_store(settings, None))
    if as_json:
        print_json(report.as_dict() | {"peak_memory": peak_memory()})
    else:
        messages.print(f"{report.dataset}: {'unchanged' if report.unchanged else 'imported'}")

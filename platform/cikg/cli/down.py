"""`cikg down`: stop the embedded services."""

from __future__ import annotations

import click

from cikg.cli._output import json_option, messages, print_json
from cikg.embedded import supervisor
from cikg.settings import load_settings


@click.command("down")
@json_option
def command(as_json: bool) -> None:
    """Stop every embedded service of this home; its data is kept."""
    settings = load_settings(with_embedded=False)
    with messages.status("Stopping the services"):
        stopped = supervisor.down(settings)
    if as_json:
        print_json({"stopped": stopped})
    else:
        click.echo(f"Stopped {', '.join(stopped)}." if stopped else f"No service is running in {settings.home}.")

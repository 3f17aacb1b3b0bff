"""`cikg login`: a fresh link into the dashboard."""

from __future__ import annotations

import click

from cikg.access.sessions import LINK_SECONDS, one_time_link
from cikg.cli._output import json_option, print_json
from cikg.settings import load_settings


@click.command("login")
@json_option
def command(as_json: bool) -> None:
    """Print a link that logs you into the dashboard once, within 15 minutes."""
    link = one_time_link(load_settings())
    if as_json:
        print_json({"link": link, "seconds": LINK_SECONDS})
    else:
        click.echo(link)

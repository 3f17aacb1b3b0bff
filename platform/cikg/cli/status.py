"""`cikg status`: which services run, where, and since when."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

import click

from cikg import __version__
from cikg.cli._output import json_option, print_json, print_table
from cikg.embedded import supervisor
from cikg.settings import load_settings


@click.command("status")
@json_option
def command(as_json: bool) -> None:
    """Show each service: state, address, process, uptime and number of restarts."""
    settings = load_settings()
    services = supervisor.status(settings)
    if as_json:
        print_json(
            {"version": __version__, "home": settings.home, "services": [asdict(service) for service in services]}
        )
        return
    rows = [
        [
            service.name,
            service.state,
            service.address,
            str(service.pid or ""),
            "" if service.uptime is None else str(timedelta(seconds=service.uptime)),
            "" if service.restarts is None else str(service.restarts),
        ]
        for service in services
    ]
    print_table(
        f"cikg {__version__} in {settings.home}", ["service", "state", "address", "pid", "uptime", "restarts"], rows
    )

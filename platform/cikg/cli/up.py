"""`cikg up`: start the embedded services."""

from __future__ import annotations

import signal
import threading
from dataclasses import asdict

import click

from cikg.cli._output import json_option, messages, note, print_json, ticked
from cikg.embedded import fetch, redis, supervisor
from cikg.embedded.diagnosis import KEY_ALONE, KEY_ALONE_CURE
from cikg.embedded.services import ALL, Service
from cikg.settings import Settings, load_settings


@click.command("up")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(ALL),
    help="Start this service and what it needs; can be repeated.  [default: all]",
)
@click.option(
    "--foreground/--detach",
    default=False,
    show_default=True,
    help="Stay in the foreground, and stop all services on Ctrl-C.",
)
@json_option
def command(only: tuple[str, ...], foreground: bool, as_json: bool) -> None:
    """Start Neo4j, Redis, the stand-in LLM, a worker and the dashboard, except those that the settings replace.

    Running it again starts what is missing and leaves the rest alone.
    """
    settings = load_settings(with_embedded=False)

    def report(service: Service, seconds: float) -> None:
        ticked(service.title, seconds)

    needed = supervisor.needed(settings, only or ALL)
    if "neo4j" in needed:
        fetch.fetch_jars(settings)  # now, so that its progress bar has the screen for itself
    if "redis" in needed:
        redis.ensure(settings)
    with messages.status("Starting the services"):
        complete = supervisor.up(settings, only or ALL, attached=foreground, report=report)
    _show(complete, as_json, foreground)
    if "stand-in" in needed and settings.openai_api_key is not None:
        note(f"{KEY_ALONE}. {KEY_ALONE_CURE}.")
    if foreground:
        _stay(settings)


def _show(settings: Settings, as_json: bool, foreground: bool) -> None:
    services = supervisor.status(settings)
    if as_json:
        print_json({"home": settings.home, "services": [asdict(service) for service in services]})
        return
    for service in services:
        if service.address:
            click.echo(f"{service.name:<9} {service.address}")
    click.echo(f"Stop with {'Ctrl-C' if foreground else '`cikg down`'}; log in with `cikg login`.")


def _stay(settings: Settings) -> None:
    """Wait for Ctrl-C or SIGTERM, then stop everything."""
    stop = threading.Event()
    for order in (signal.SIGINT, signal.SIGTERM):
        signal.signal(order, lambda *_: stop.set())
    while not stop.wait(0.5):  # a library's thread may receive the signal
        pass
    with messages.status("Stopping the services"):
        supervisor.down(settings)

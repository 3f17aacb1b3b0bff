"""`cikg audit`: who changed what."""

from __future__ import annotations

import click

from cikg.access import audit
from cikg.cli._output import json_option, messages, print_json, print_table
from cikg.graph import connect
from cikg.settings import load_settings


@click.command("audit")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Maximum number of entries to show."
)
@click.option("--actor", default="", metavar="NAME", help="Only the actions of this account or token.")
@click.option("--action", default="", metavar="NAME", help="Only this action, such as account.add.")
@json_option
def command(*, limit: int, actor: str, action: str, as_json: bool) -> None:
    """Show the audit log, newest first.

    It has changes to accounts and tokens, and what was changed in the dashboard, over the API and by
    `cikg corrections`.
    """
    with connect(load_settings()) as graph:
        entries = audit.read(graph, limit, actor=actor, action=action)
        if not entries:
            audit.check(graph, actor=actor, action=action)
    if as_json:
        print_json({"entries": [vars(entry) for entry in entries]})
        return
    if not entries:
        messages.print("No such change is logged." if actor or action else "No change is logged yet.")
        return
    rows = [
        [entry.at[:19].replace("T", " "), entry.actor, entry.action, entry.target, _in_words(entry)]
        for entry in entries
    ]
    print_table("Changes (UTC)", ["at", "who", "what", "to", "detail"], rows)


def _in_words(entry: audit.Entry) -> str:
    return ", ".join(f"{name} {value}" for name, value in entry.detail.items())

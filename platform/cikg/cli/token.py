"""`cikg token`: tokens, which programs use instead of passwords."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from cikg.access import accounts, tokens
from cikg.access.accounts import Scope
from cikg.access.audit import command_line
from cikg.cli._output import json_option, messages, print_json, print_table
from cikg.graph import connect
from cikg.settings import load_settings

MOST_SHOWN = 10_000


@click.group("token")
def command() -> None:
    """Create and revoke tokens for the API: `Authorization: Bearer TOKEN`."""


@command.command()
@click.argument("name")
@click.option("--user", "account", metavar="NAME", help="Owner of the token.  [default: you, who can do everything]")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([str(scope) for scope in Scope]),
    multiple=True,
    default=[str(Scope.READ)],
    show_default=True,
    help="What the token allows; can be repeated.",
)
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="Days until it expires.")
@json_option
def create(*, name: str, account: str | None, scopes: tuple[str, ...], days: float | None, as_json: bool) -> None:
    """Create a token and print it, only this once. NAME says what it is for.

    read: see everything. write: start jobs and publish. query: run Cypher. admin: manage users.
    """
    with connect(load_settings()) as graph:
        wanted = [Scope(scope) for scope in scopes]
        identifier, text = tokens.create(graph, account, name, wanted, actor=command_line(), days=days)
    if as_json:
        print_json({"id": identifier, "token": text, "scopes": scopes})
        return
    click.echo(text)
    messages.print("Save it now: it is shown only once. `cikg token revoke` revokes it.")


@command.command("list")
@click.option("--user", "account", metavar="NAME", help="Only this user's tokens.")
@json_option
def list_tokens(*, account: str | None, as_json: bool) -> None:
    """List all tokens, without their secrets."""
    with connect(load_settings()) as graph:
        if account is not None:
            accounts.find(graph, account)
        found = tokens.listed(graph, MOST_SHOWN, account=account)
    if as_json:
        print_json({"tokens": [vars(each) for each in found]})
        return
    rows = [
        [
            each.id,
            each.name,
            each.account or "operator",
            " ".join(each.scopes),
            _day(each.expires_at),
            _day(each.used_at),
            (each.revoked_at or "")[:10],
        ]
        for each in found
    ]
    columns = ["id", "name", "user", "scopes", "expires", "last used", "revoked"]
    print_table("Tokens", columns, rows, empty="There are no tokens. `cikg token create NAME` makes one.")


@command.command()
@click.argument("identifier", metavar="ID")
@json_option
def revoke(*, identifier: str, as_json: bool) -> None:
    """Revoke the token ID at once."""
    with connect(load_settings()) as graph:
        tokens.revoke(graph, identifier, command_line())
    if as_json:
        print_json({"id": identifier, "revoked": True})
    else:
        click.echo(f"{identifier} is revoked.")


def _day(moment: float | None) -> str:
    return "" if moment is None else datetime.fromtimestamp(moment, UTC).date().isoformat()

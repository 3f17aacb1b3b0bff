"""`cikg user`: who may use the dashboard and the API."""

from __future__ import annotations

import sys

import click

from cikg.access import accounts
from cikg.access.accounts import Passwords, Role
from cikg.access.audit import command_line
from cikg.cli._output import confirm, json_option, print_json, print_table, yes_option
from cikg.graph import connect
from cikg.settings import load_settings

MOST_SHOWN = 10_000
_role = click.Choice([str(role) for role in Role])


@click.group("user")
def command() -> None:
    """Manage who may use the dashboard and the API: accounts, each with a role.

    A viewer sees everything; an editor can also start jobs, publish models and run Cypher; an admin also manages
    accounts. If you can run these commands you need no account: `cikg login` opens the dashboard.
    """


@command.command()
@click.argument("name")
@click.option("--role", type=_role, default=str(Role.VIEWER), show_default=True, help="Role of the account.")
@click.option(
    "--password/--no-password",
    "with_password",
    default=True,
    show_default=True,
    help="Set a password; without one, only tokens work.",
)
@json_option
def add(*, name: str, role: str, with_password: bool, as_json: bool) -> None:
    """Create the account NAME. The password is prompted for twice, or read from standard input."""
    settings = load_settings()
    password = Passwords(settings).hash(_ask_password()) if with_password else None
    with connect(settings) as graph:
        accounts.add(graph, name, Role(role), password, command_line())
    _say(f"{name} is a new {role}.", {"name": name, "role": role}, as_json)


@command.command("list")
@json_option
def list_accounts(*, as_json: bool) -> None:
    """List all accounts."""
    with connect(load_settings()) as graph:
        found = accounts.listed(graph, MOST_SHOWN)
    if as_json:
        print_json({"users": [vars(each) for each in found]})
        return
    rows = [[each.name, each.role, each.has_password, each.tokens, each.created_at[:10]] for each in found]
    empty = "There are no accounts, and you need none: `cikg login` opens the dashboard. `cikg user add NAME` adds one."
    print_table("Users of the platform", ["name", "role", "password", "tokens", "since"], rows, empty=empty)


@command.command("role")
@click.argument("name")
@click.argument("role", type=_role)
@json_option
def change_role(*, name: str, role: str, as_json: bool) -> None:
    """Make the account NAME a ROLE: viewer, editor or admin."""
    with connect(load_settings()) as graph:
        accounts.set_role(graph, name, Role(role), command_line())
    _say(f"{name} is now {role}.", {"name": name, "role": role}, as_json)


@command.command("password")
@click.argument("name")
@json_option
def change_password(*, name: str, as_json: bool) -> None:
    """Change the password of the account NAME, and end its sessions."""
    settings = load_settings()
    with connect(settings) as graph:
        accounts.find(graph, name)
        accounts.set_password(graph, name, Passwords(settings).hash(_ask_password()), command_line())
    _say(f"{name} has a new password.", {"name": name}, as_json)


@command.command()
@click.argument("name")
@yes_option
@json_option
def remove(*, name: str, yes: bool, as_json: bool) -> None:
    """Remove the account NAME with its sessions and tokens. Its actions stay in the audit log."""
    with connect(load_settings()) as graph:
        found = accounts.shown(graph, name)
        if not yes:
            loss = f"This removes the account {name} ({found.role}) with its sessions and {found.tokens:,} tokens."
            confirm(loss, "Remove it?", "Nothing was removed.", as_json=as_json)
        accounts.remove(graph, name, command_line())
    _say(f"{name} is removed.", {"name": name}, as_json)


def _ask_password() -> str:
    """From the terminal twice, unseen; else one line of standard input, so that no argument ever shows it."""
    stream = sys.stdin
    if stream.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return str(stream.readline()).rstrip("\n")


def _say(sentence: str, facts: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json(facts)
    else:
        click.echo(sentence)

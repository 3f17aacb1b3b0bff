"""`cikg corrections`: say what is wrong about a user or an item, or that it stands after all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from itertools import chain
from typing import Any, NamedTuple

import click

from cikg.access import audit
from cikg.cli._output import dataset_option, json_option, messages, print_json, print_table
from cikg.errors import CikgError, InputError, NotFoundError
from cikg.graph import Graph, connect, datasets
from cikg.recommend import runs
from cikg.schema import Label, uid
from cikg.serving import corrections
from cikg.serving.corrections import LONGEST_REASON, Claim, Kind, Owner
from cikg.serving.counterfactual import Served
from cikg.serving.publish import relist
from cikg.serving.ranking import known_items
from cikg.settings import Settings, load_settings

OWNERS: tuple[Owner, ...] = (Label.USER, Label.ITEM)
KINDS: tuple[Kind, ...] = ("interest", "intent")
MOST_NAMED = 8


class Choice(NamedTuple):
    """What can be meant."""

    kind: Kind
    id: str
    name: str


def _about(function: Callable[..., Any]) -> Callable[..., Any]:
    """Whom or what it is about: options that `add` and `undo` share."""
    for option in (
        click.option("--kind", type=click.Choice(KINDS), help="Needed where an interest and an intent share the name."),
        click.option("--item", metavar="ID", help="The item concerned."),
        click.option("--user", metavar="ID", help="The user concerned."),
    ):
        function = option(function)
    return function


@click.group("corrections")
def command() -> None:
    """Record what is wrong about a user or an item, and undo it.

    Nothing is deleted. What is corrected disappears from pages, queries and the user's list at once, and from
    clustering and training the next time they run; no job brings it back.
    """


@command.command(short_help="Record that an interest or intent is wrong.")
@click.argument("what")
@_about
@click.option("--reason", default="", help=f"Reason, at most {LONGEST_REASON} characters.")
@dataset_option
@json_option
def add(
    *, what: str, user: str | None, item: str | None, kind: Kind | None, reason: str, dataset: str, as_json: bool
) -> None:
    """Record that the interest or intent WHAT (name or id) is wrong about a user or an item."""
    settings = load_settings()
    with connect(settings) as graph:
        owner, identifier = _owner(graph, dataset, user, item)
        found = _find(what, kind, _claimed(graph, dataset, owner, identifier), identifier)
        claim = Claim(dataset, owner, identifier, found.kind, found.id)
        corrections.correct(graph, claim, by=audit.command_line(), reason=reason)
        _report(settings, graph, claim, found.name, "wrong", reason=reason, as_json=as_json)


@command.command(short_help="Undo a correction.")
@click.argument("what")
@_about
@dataset_option
@json_option
def undo(*, what: str, user: str | None, item: str | None, kind: Kind | None, dataset: str, as_json: bool) -> None:
    """Undo the correction of the interest or intent WHAT (name or id)."""
    settings = load_settings()
    with connect(settings) as graph:
        owner, identifier = _owner(graph, dataset, user, item)
        found = _find(what, kind, _corrected(graph, dataset, owner, identifier), identifier)
        claim = Claim(dataset, owner, identifier, found.kind, found.id)
        corrections.take_back(graph, claim)
        _report(settings, graph, claim, found.name, "stands", as_json=as_json)


@command.command("list", short_help="Show the corrections, by whom and why.")
@dataset_option
@json_option
def list_all(*, dataset: str, as_json: bool) -> None:
    """Show the corrections of users and items, by whom and why."""
    with connect(load_settings()) as graph:
        datasets.check(graph, dataset)
        found = [
            (owner, each, one)
            for owner in OWNERS
            for each in corrections.of(graph, dataset, owner).values()
            for one in each.corrections
        ]
    if as_json:
        rows = [{owner.lower(): each.id, "name": each.name, "wrong": asdict(one)} for owner, each, one in found]
        print_json({"dataset": dataset, "corrections": rows})
        return
    shown = [[each.name, one.kind, one.name, one.by, one.reason] for _, each, one in found]
    empty = f"Nothing of {dataset} has been corrected. `cikg corrections add WHAT --user USER` records what is wrong."
    print_table(f"{dataset}: corrections", ["about", "kind", "wrong", "says", "because"], shown, empty=empty)


def _owner(graph: Graph, dataset: str, user: str | None, item: str | None) -> tuple[Owner, str]:
    """Whom or what it is about.

    Raises:
        InputError: it is about nobody, or about both.
        NotFoundError: there is no such dataset, user or item.
    """
    datasets.check(graph, dataset)
    if (user is None) == (item is None):
        raise InputError("a correction is about one user or one item", cure="Give --user ID or --item ID")
    owner: Owner = Label.ITEM if user is None else Label.USER
    identifier = user or item or ""
    if not graph.many("find_labelled", label=owner, uid=uid(dataset, identifier)):
        raise NotFoundError(
            f"the dataset {dataset!r} has no {owner.lower()} {identifier!r}", cure="The dashboard's lists show every id"
        )
    return owner, identifier


def _claimed(graph: Graph, dataset: str, owner: Owner, identifier: str) -> list[Choice]:
    """What is said of a user or an item now; interests before the intents that go with them."""
    if owner == Label.ITEM:
        rows = graph.many("intents_of_item", dataset=dataset, item=identifier)
        return [Choice("intent", row["intent"], row["name"]) for row in rows]
    key = uid(dataset, identifier)
    return [Choice("interest", row["id"], row["name"]) for row in graph.many("user_interests", user=key)] + [
        Choice("intent", row["id"], row["name"]) for row in graph.many("user_intents", user=key)
    ]


def _corrected(graph: Graph, dataset: str, owner: Owner, identifier: str) -> list[Choice]:
    """What stands corrected about a user or an item."""
    found = corrections.about(graph, dataset, owner, identifier)
    return [Choice(one.kind, one.id, one.name) for one in found.corrections + found.implied]


def _find(what: str, kind: Kind | None, choices: list[Choice], about: str) -> Choice:
    """The first that is meant: by its id, else by its name.

    Raises:
        InputError: nothing has that name.
    """
    wanted = [each for each in choices if kind in {None, each.kind}]
    by_id = (each for each in wanted if each.id == what)
    by_name = (each for each in wanted if each.name.casefold() == what.casefold())
    for found in chain(by_id, by_name):
        return found
    there = ", ".join(f"“{each.name}”" for each in wanted[:MOST_NAMED]) or "nothing"
    raise InputError(f"{about!r} has no {kind or 'interest or intent'} {what!r} here", cure=f"There is {there}")


def _report(
    settings: Settings, graph: Graph, claim: Claim, name: str, verdict: str, *, reason: str = "", as_json: bool
) -> None:
    """Log what was said, have a user's list heed it where the served model is on this machine, and say so."""
    detail = {"kind": claim.kind, "id": claim.target} | ({"reason": reason} if reason else {})
    audit.record(graph, audit.command_line(), f"corrections.{verdict}", uid(claim.dataset, claim.id), detail)
    anew = claim.owner == Label.USER and _relist(settings, graph, claim)
    if as_json:
        about = {"dataset": claim.dataset, claim.owner.lower(): claim.id, "kind": claim.kind, "id": claim.target}
        print_json(about | {"verdict": verdict, "list_made_again": anew})
        return
    verb = "is wrong about" if verdict == "wrong" else "counts again for"
    messages.print(f"The {claim.kind} “{name}” {verb} {claim.id}.")
    messages.print(
        "The list was updated." if anew else "The next training and publication take it into account.", style="dim"
    )


def _relist(settings: Settings, graph: Graph, claim: Claim) -> bool:
    model = graph.many("served_model", dataset=claim.dataset)[0]["run"]
    if model is None:
        return False
    try:
        recommender = runs.load(runs.directory(settings, model))
        snapshot = runs.snapshot(settings, recommender.manifest)
    except CikgError:  # trained on another machine: the next publication heeds it
        return False
    return relist(graph, Served(snapshot, recommender, known_items(snapshot)), claim.id)

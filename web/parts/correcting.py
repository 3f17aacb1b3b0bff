"""What people say is wrong about users and items, said here: kept, logged, and heeded by the user's list at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import cast, get_args

from werkzeug.datastructures import MultiDict

from cikg.access import audit
from cikg.errors import CikgError, NotFoundError
from cikg.graph import Graph
from cikg.schema import Label, uid
from cikg.serving import corrections
from cikg.serving.corrections import Claim, Kind, Owner, Step
from cikg.serving.publish import relist
from web import login
from web.parts import served


def claim(dataset: str, owner: Owner, identifier: str, kind: str, target: str) -> Claim:
    """What is said of a user or an item, from the parts of an address or a form.

    Raises:
        NotFoundError: there is no such kind.
    """
    if kind not in get_args(Kind):
        raise NotFoundError(f"{kind!r} cannot be corrected", cure="Name an `interest` or an `intent`")
    return Claim(dataset, owner, identifier, cast("Kind", kind), target)


def correct(graph: Graph, claims: Sequence[Claim], reason: str, also: Sequence[Step] = ()) -> None:
    """Say in the caller's name that claims about one user or item are wrong: all of them, or none.

    Args:
        graph: the graph.
        claims: what is wrong.
        reason: why, in a person's words.
        also: what is written with it.

    Raises:
        InputError: one of them was never made, or the reason is too long.
    """
    by = login.caller().name
    steps = [step for each in claims for step in corrections.correction(graph, each, by=by, reason=reason)]
    graph.write_together([*steps, *also])
    _heed(graph, claims)


def take_back(graph: Graph, claims: Sequence[Claim], also: Sequence[Step] = ()) -> None:
    """Let claims about one user or item stand again: all of them, or none. `also` is written with it.

    Raises:
        InputError: one of them was never made.
    """
    graph.write_together([*(step for each in claims for step in corrections.undoing(graph, each)), *also])
    _heed(graph, claims)


def decide(graph: Graph, dataset: str, owner: Owner, identifier: str, form: MultiDict[str, str]) -> None:
    """Carry out what a page's form asks for, and log it.

    Args:
        graph: the graph.
        dataset: the dataset.
        owner: whether it is about a user or an item.
        identifier: of the user or item.
        form: `verdict` is `wrong`, `stands`, or `again` for the user's list alone; each `piece` a kind and an id, as
            `interest:42`; `reason` may be empty.

    Raises:
        InputError: a claim was never made, or the reason is too long.
        NotFoundError: there is no such verdict or kind, or no model that could make the list again.
    """
    verdict, reason = form["verdict"], form.get("reason", "")
    pieces = [piece.partition(":")[::2] for piece in form.getlist("piece")]
    claims = [claim(dataset, owner, identifier, kind, target) for kind, target in pieces]
    who, node, given = login.caller().name, uid(dataset, identifier), {"reason": reason} if reason else {}
    logged = [
        audit.step(who, f"corrections.{verdict}", node, {"kind": each.kind, "id": each.target} | given)
        for each in claims
    ]
    match verdict:
        case "wrong":
            correct(graph, claims, reason, logged)
        case "stands":
            take_back(graph, claims, logged)
        case "again":
            relist(graph, served.load(graph, dataset), identifier)
            audit.record(graph, who, "corrections.again", node)
        case _:
            raise NotFoundError(f"there is no verdict {verdict!r}", cure="Use `wrong` or `stands`")


def _heed(graph: Graph, claims: Sequence[Claim]) -> None:
    """Have a user's list heed what changed. Where the model's files are elsewhere, the page says that it does not."""
    for about in claims[:1]:
        if about.owner == Label.USER:
            with suppress(CikgError):
                relist(graph, served.load(graph, about.dataset), about.id)

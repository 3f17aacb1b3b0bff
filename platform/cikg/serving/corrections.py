"""What people say is wrong about a user or an item: it is kept in the graph, and nobody has to say it twice.

A correction prunes edges that a model wrote, or that were imported, by `person:NAME` and with the reason that was
given. Questions, pages and lists heed it at once, clustering and training the next time. Taken back, everything stands
as before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from cikg.errors import InputError
from cikg.graph import Graph
from cikg.schema import Label, uid
from cikg.serving.counterfactual import Evidence

Owner = Literal[Label.USER, Label.ITEM]
Kind = Literal["interest", "intent"]
BY = "person:"
"""What `pruned_by` of a correction begins with; where a job pruned, the key of its run stands there."""
LONGEST_REASON = 500


@dataclass(frozen=True)
class Claim:
    """That a user has an interest or an intent, or that an item serves an intent.

    Attributes:
        dataset: the dataset.
        owner: whether it is about a user or an item.
        id: of the user or item.
        kind: `interest` or `intent`.
        target: its id.
    """

    dataset: str
    owner: Owner
    id: str
    kind: Kind
    target: str

    @property
    def parameters(self) -> dict[str, Any]:
        """What both statements that change something take."""
        key = [uid(self.dataset, self.target)]
        intents, interests = (key, []) if self.kind == "intent" else ([], key)
        node = uid(self.dataset, self.id)
        return {"dataset": self.dataset, "label": self.owner, "node": node, "intents": intents, "interests": interests}


@dataclass(frozen=True)
class Correction:
    """Something that is said to be wrong.

    Attributes:
        kind: `interest` or `intent`.
        id: id of the interest or intent.
        name: its name.
        by: who recorded it.
        reason: why, in their words; empty if they gave none.
    """

    kind: Kind
    id: str
    name: str
    by: str
    reason: str


@dataclass(frozen=True)
class Corrected:
    """What was corrected about a user or an item.

    Attributes:
        id: of the user or item.
        name: its name.
        times: how often something was corrected or taken back: a list made at another count is not up to date.
        corrections: what stands corrected now.
        implied: intents that are corrected with an interest which they lead to.
        merged: the ids of intents that were merged into one of these: a model of before knows them.
    """

    id: str
    name: str
    times: int
    corrections: tuple[Correction, ...]
    implied: tuple[Correction, ...] = ()
    merged: tuple[str, ...] = ()

    @property
    def evidence(self) -> Evidence:
        """What is wrong, as `counterfactual` takes it."""
        interests, intents = (
            [one.id for one in self.corrections if one.kind == kind] for kind in ("interest", "intent")
        )
        return Evidence(interests=interests, intents=[*intents, *self.merged])


Step = tuple[str, dict[str, Any]]
"""A statement and its parameters, for `Graph.write_together`."""


def correct(graph: Graph, claim: Claim, *, by: str, reason: str = "") -> None:
    """Say that a claim is wrong. Said twice, it is said once.

    Args:
        graph: the graph.
        claim: what is wrong.
        by: who says so.
        reason: why, in a person's words.

    Raises:
        InputError: nobody ever claimed this, or the reason is too long.
    """
    graph.write_together(correction(graph, claim, by=by, reason=reason))


def take_back(graph: Graph, claim: Claim) -> None:
    """Let a claim stand again that was corrected. Where it stands already, nothing changes.

    Raises:
        InputError: nobody ever claimed this.
    """
    graph.write_together(undoing(graph, claim))


def correction(graph: Graph, claim: Claim, *, by: str, reason: str = "") -> list[Step]:
    """What `correct` writes, for those who write more with it; nothing where it was said before.

    Raises:
        InputError: as `correct` does.
    """
    words = " ".join(reason.split())
    if len(words) > LONGEST_REASON:
        raise InputError(f"the reason has {len(words):,} characters, and may have {LONGEST_REASON}", cure="Shorten it")
    return [("correct", {**claim.parameters, "by": BY + by, "reason": words})] if _stands(graph, claim) else []


def undoing(graph: Graph, claim: Claim) -> list[Step]:
    """What `take_back` writes, likewise.

    Raises:
        InputError: as `take_back` does.
    """
    return [] if _stands(graph, claim) else [("take_back_corrections", claim.parameters)]


def of(graph: Graph, dataset: str, owner: Owner, ids: Iterable[str] | None = None) -> dict[str, Corrected]:
    """What was corrected about users or items, by id: about some, or about all of the dataset."""
    keys = None if ids is None else [uid(dataset, each) for each in ids]
    return {
        row["id"]: Corrected(
            row["id"],
            row["name"],
            row["corrected"],
            tuple(Correction(**each) for each in row["rows"]),
            tuple(Correction(**each) for each in row["implied"]),
            tuple(row["merged"]),
        )
        for row in graph.many("corrected_nodes", dataset=dataset, label=owner, nodes=keys)
    }


def about(graph: Graph, dataset: str, owner: Owner, identifier: str) -> Corrected:
    """What was corrected about one user or item; nothing where there is none of that id."""
    found = of(graph, dataset, owner, [identifier])
    return found.get(identifier, Corrected(identifier, identifier, 0, ()))


def _stands(graph: Graph, claim: Claim) -> bool:
    """Whether a claim stands, or was corrected."""
    node, target = uid(claim.dataset, claim.id), uid(claim.dataset, claim.target)
    for row in graph.many("said_of", label=claim.owner, node=node, kind=claim.kind, target=target):
        stands: bool = row["stands"]
        return stands
    owner, verb = (claim.owner.lower(), "has" if claim.owner == Label.USER else "serves")
    raise InputError(
        f"nobody says that the {owner} {claim.id!r} {verb} the {claim.kind} {claim.target!r}",
        cure=f"The {owner}'s page shows what is said, and what shows it",
    )

"""SeeKRec's third and fourth stages, which belong together: pruning a neighbourhood, and judging whether it is enough.

A neighbourhood is a list of edges for each hop. A model is shown the first hop and says which edges to keep; then it is
asked whether what it kept is SUFFICIENT. If not, it is asked again with the next hop added, as long as there is one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from cikg.extraction.job import Request, Subject, UnusableAnswerError, Work
from cikg.extraction.parts.phrases import data_line
from cikg.llm.prompts import template
from cikg.schema import Label

ROUNDS = 3
"""How often a subject is pruned at most: once for each hop."""


class SubgraphPruning(BaseModel):
    """The answer to pruning: the numbers of the edges to keep."""

    model_config = ConfigDict(extra="forbid")

    kept: list[int]


class SubgraphEvaluation(BaseModel):
    """The answer to evaluating."""

    model_config = ConfigDict(extra="forbid")

    verdict: Literal["SUFFICIENT", "INSUFFICIENT"]


@dataclass(frozen=True, slots=True)
class Edge:
    """One edge of a neighbourhood.

    Attributes:
        shown: what a prompt says of it, as JSON values.
        intent: the uid of the subject's own intent that it leads to, if it does.
        item: the id of the item that the subject chose, if it says that.
    """

    shown: dict[str, Any]
    intent: str | None = None
    item: str | None = None


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """A user's or an item's edges by hop, the nearest first."""

    id: str
    hops: tuple[tuple[Edge, ...], ...]


@dataclass(frozen=True, slots=True)
class Subgraph:
    """What a conversation kept of a neighbourhood.

    Attributes:
        kept: edges, as `plan` wrote them.
        left_out: those that were offered and not kept.
        rounds: how often it was pruned.
        sufficient: the last verdict.
    """

    kept: list[dict[str, Any]]
    left_out: list[dict[str, Any]]
    rounds: int
    sufficient: bool


def plan(found: Iterable[Neighbourhood], field: str) -> Iterator[Subject]:
    """One subject a neighbourhood that has any edge."""
    for each in found:
        hops = [[_as_input(edge) for edge in hop] for hop in each.hops]
        if any(hops):
            yield Subject(each.id, {"field": field, "hops": hops})


def _as_input(edge: Edge) -> dict[str, Any]:
    values = {"shown": edge.shown, "intent": edge.intent, "item": edge.item}
    return {name: value for name, value in values.items() if value is not None}


def converse(subject: Subject, pruning: str, evaluating: str) -> Work:
    """Prune, judge, and where that was not enough, widen and prune again.

    Args:
        subject: whose neighbourhood it is.
        pruning: the prompt that asks what to keep.
        evaluating: the prompt that asks whether it is enough.

    Raises:
        UnusableAnswerError: an answer names edges, and none of them was offered.
    """
    field, offered, result = subject.input["field"], list[dict[str, Any]](), Subgraph([], [], 0, sufficient=False)
    for hop in subject.input["hops"][:ROUNDS]:
        if not hop:
            continue
        offered += hop
        asked: SubgraphPruning = yield Request(
            template(pruning).render(field=field, edges=numbered(offered)), SubgraphPruning
        )
        kept = _chosen(offered, asked.kept)
        judged: SubgraphEvaluation = yield Request(
            template(evaluating).render(field=field, edges=numbered(kept)), SubgraphEvaluation
        )
        left_out = [edge for edge in offered if edge not in kept]
        result = Subgraph(kept, left_out, result.rounds + 1, judged.verdict == "SUFFICIENT")
        if result.sufficient:
            break
    return result


def numbered(edges: Sequence[dict[str, Any]]) -> str:
    """Edges as a prompt shows them: a line of JSON each, numbered from 1."""
    return "\n".join(data_line({"n": number, **edge["shown"]}) for number, edge in enumerate(edges, start=1))


def _chosen(offered: list[dict[str, Any]], numbers: Iterable[int]) -> list[dict[str, Any]]:
    """The edges with these numbers, in order. Where a user's own choices are all left out, the latest one stays."""
    wanted = {number for number in numbers if 1 <= number <= len(offered)}
    if numbers and not wanted:
        raise UnusableAnswerError("no number is that of an edge")
    choices = [number for number, edge in enumerate(offered, start=1) if "item" in edge]
    if choices and not wanted.intersection(choices):
        wanted.add(choices[0])
    return [edge for number, edge in enumerate(offered, start=1) if number in wanted]


def apply(subject: Subject, found: Subgraph, about: Label) -> dict[str, Any]:
    """Turn a conversation's outcome into the row that `keep_subgraphs` takes."""
    return {
        "label": str(about),
        "lines": [json.dumps(edge["shown"], ensure_ascii=False) for edge in found.kept],
        "items": [edge["item"] for edge in found.kept if "item" in edge],
        "rounds": found.rounds,
        "sufficient": found.sufficient,
        "pruned": sorted(edge["intent"] for edge in found.left_out if "intent" in edge),
        "reason": f"left out of the subgraph of {about.lower()} {subject.id} in round {found.rounds}",
    }

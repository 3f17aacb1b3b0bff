"""SeeKRec's last stage, for users and items alike: what was kept of a neighbourhood becomes a text, the profile."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from cikg.extraction.job import Subject, UnusableAnswerError
from cikg.extraction.parts.phrases import data_line
from cikg.extraction.parts.portions import portions
from cikg.extraction.parts.subgraphs import Neighbourhood
from cikg.graph import Graph
from cikg.schema import Label, uid


@dataclass(frozen=True, slots=True)
class Kept:
    """A subgraph to describe.

    Attributes:
        id: of the user or item.
        edges: what a prompt shows of each edge.
        items: ids of the items that it rests on.
        known: what else is known, as JSON values.
    """

    id: str
    edges: list[dict[str, Any]]
    items: list[str]
    known: dict[str, Any] = field(default_factory=dict)


def at_most(words: int) -> Callable[[str], str]:
    """Checks that a text has so many words at most, and puts its spaces right."""

    def check(value: str) -> str:
        said = value.split()
        if not said or len(said) > words:
            raise ValueError(f"a profile has 1 to {words} words, and this one has {len(said)}")
        return " ".join(said)

    return check


def read(
    graph: Graph,
    dataset: str,
    chosen: Sequence[str],
    about: Label,
    neighbourhoods: Callable[[Sequence[str]], Iterable[Neighbourhood]],
) -> Iterator[Kept]:
    """Yield what was kept of neighbourhoods; of those that no model was asked about, the nearest edges.

    Args:
        graph: the graph.
        dataset: the dataset's name.
        chosen: ids of users or items.
        about: which of both.
        neighbourhoods: reads those of some of them.
    """
    for part in portions(chosen):
        uids = [uid(dataset, each) for each in part]
        rows = graph.many("kept_subgraphs", label=str(about), uids=uids)
        unpruned = [row["id"] for row in rows if row["lines"] is None]
        nearest = {each.id: each.hops[0] for each in neighbourhoods(unpruned)} if unpruned else {}
        for row in rows:
            if row["lines"] is not None:
                yield Kept(row["id"], [json.loads(line) for line in row["lines"]], row["items"])
            else:
                edges = nearest.get(row["id"], ())
                items = [row["id"]] if about == Label.ITEM else [edge.item for edge in edges if edge.item is not None]
                yield Kept(row["id"], [edge.shown for edge in edges], items)


def plan(found: Iterable[Kept], field_name: str) -> Iterator[Subject]:
    """One subject for each that there is anything to say about. Its input is what the prompt will hold."""
    for kept in found:
        if kept.edges or kept.known:
            lines = [data_line(each) for each in chain([kept.known] if kept.known else [], kept.edges)]
            yield Subject(kept.id, {"field": field_name, "edges": "\n".join(lines), "items": sorted(kept.items)})


def row(subject: Subject, text: str, about: Label, dataset: str, made: str = "refined") -> dict[str, Any]:
    """The row that `replace_profiles` takes. `made` tells profiles that different jobs make of the same node.

    Raises:
        UnusableAnswerError: there is nothing that it could rest on.
    """
    if not subject.input["items"]:
        raise UnusableAnswerError("nothing of what it describes is in train any more")
    identifier = f"{made}/{about}/{subject.id}"
    return {
        "label": str(about),
        "profile": uid(dataset, identifier),
        "profile_id": identifier,
        "text": text,
        "evidence": subject.input["items"],
    }

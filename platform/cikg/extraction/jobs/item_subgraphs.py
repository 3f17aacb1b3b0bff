"""Job `item_subgraphs`: what of an item's neighbourhood tells what it is; more of it where that is too little.

Paper: SeeKRec, "semantic subgraph pruning" and "evaluating": numbered edges, the numbers to keep, then SUFFICIENT or
INSUFFICIENT, which sends the item back with a wider neighbourhood, three rounds at most.
Departures: of the edges left out, those that a model wrote are marked as pruned, while facts stay as they are for
training; the third hop is what the item's users chose as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cikg.extraction.job import Job, Subject, Work
from cikg.extraction.parts import histories, neighbourhoods, subgraphs
from cikg.extraction.parts.subgraphs import Neighbourhood, Subgraph
from cikg.graph import Graph
from cikg.schema import Label

NAME = "item_subgraphs"


def read(graph: Graph, dataset: str, chosen: Sequence[str]) -> Iterator[Neighbourhood]:
    """Yield the neighbourhoods of items."""
    return neighbourhoods.items(graph, dataset, chosen, NAME)


def work(subject: Subject) -> Work:
    """Prune and judge."""
    return subgraphs.converse(subject, "item_pruning", "item_evaluating")


def apply(subject: Subject, found: Subgraph, _dataset: str) -> dict[str, Any]:
    """Turn the outcome into a row."""
    return subgraphs.apply(subject, found, Label.ITEM)


JOB = Job(
    name=NAME,
    help="Which parts of each item's neighbourhood characterise it; prunes the intents that do not.",
    about=Label.ITEM,
    prompts=("item_pruning", "item_evaluating"),
    ids=histories.items,
    read=read,
    plan=subgraphs.plan,
    work=work,
    apply=apply,
    write="keep_subgraphs",
    questions=2,
    answer_tokens=20,
)

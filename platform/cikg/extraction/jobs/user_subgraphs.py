"""Job `user_subgraphs`: what of a user's neighbourhood tells their taste; more of it where that is too little.

Paper: SeeKRec, "semantic subgraph pruning" and "evaluating": numbered edges, the numbers to keep, then SUFFICIENT or
INSUFFICIENT, which sends the user back with a wider neighbourhood, three rounds at most.
Departures: an edge that leads to the same from several choices is one line; of the edges left out, those that a model
wrote are marked as pruned, while interactions and facts stay as they are for training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cikg.extraction.job import Job, Subject, Work
from cikg.extraction.parts import histories, neighbourhoods, subgraphs
from cikg.extraction.parts.subgraphs import Neighbourhood, Subgraph
from cikg.graph import Graph
from cikg.schema import Label

NAME = "user_subgraphs"


def read(graph: Graph, dataset: str, chosen: Sequence[str]) -> Iterator[Neighbourhood]:
    """Yield the neighbourhoods of users."""
    return neighbourhoods.users(graph, dataset, chosen, NAME)


def work(subject: Subject) -> Work:
    """Prune and judge."""
    return subgraphs.converse(subject, "user_pruning", "user_evaluating")


def apply(subject: Subject, found: Subgraph, _dataset: str) -> dict[str, Any]:
    """Turn the outcome into a row."""
    return subgraphs.apply(subject, found, Label.USER)


JOB = Job(
    name=NAME,
    help="Which parts of each user's neighbourhood reveal their taste; prunes the intents that do not.",
    about=Label.USER,
    prompts=("user_pruning", "user_evaluating"),
    ids=histories.users,
    read=read,
    plan=subgraphs.plan,
    work=work,
    apply=apply,
    write="keep_subgraphs",
    questions=2,
    answer_tokens=20,
)

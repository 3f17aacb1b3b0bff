"""Interests made of the phrases that were found: whether there are any, and how far a worker is with them."""

from __future__ import annotations

from dataclasses import dataclass

from cikg.access import audit
from cikg.graph import Graph
from cikg.settings import Settings
from web.parts import queued
from web.parts.queued import Followed


@dataclass(frozen=True)
class Clustering(Followed):
    """What there is to cluster, and what is done about it.

    Attributes:
        phrases: how many intents the dataset has.
        interests: how many interests.
    """

    phrases: int
    interests: int


def load(graph: Graph, dataset: str) -> Clustering:
    """What there is to cluster in a dataset, and how far it is."""
    counts = graph.one("dataset_detail", dataset=dataset)
    return Clustering(queued.under_way(graph, dataset, "cluster"), counts["intents"], counts["interests"])


def begin(graph: Graph, settings: Settings, dataset: str, *, clusters: int | None = None, seed: int = 0) -> str:
    """Have a worker group a dataset's phrases into interests; the id of its run among the commands.

    Args:
        graph: the graph.
        settings: of this process.
        dataset: the dataset's name.
        clusters: how many interests to make, chosen from the phrases if None.
        seed: of the clustering.

    Raises:
        UnreachableError: Redis does not answer.
    """
    return queued.once(
        graph, settings, dataset, ["cluster", "--dataset", dataset], clusters=clusters, seed=seed or None
    )


def act(graph: Graph, settings: Settings, dataset: str, actor: str) -> None:
    """Cluster from a page, as the command does without options.

    Raises:
        UnreachableError: Redis does not answer.
    """
    begin(graph, settings, dataset)
    audit.record(graph, actor, "interests.cluster", dataset)

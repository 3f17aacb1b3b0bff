"""Clustering of intents into interests: what users like, in as many words as can be told apart.

The previous clustering is replaced in one transaction that also counts the dataset's `version` up. Neo4j lets a query
that runs during a commit see part of it, so a reader that needs one clustering compares the version before and after,
as the snapshot does. So does clustering itself: what changed since it read the intents, such as a correction, is read
again. An interest's id is a digest of its name: one that is found again is the same node.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cikg.digests import digest
from cikg.errors import ConflictError, InputError
from cikg.extraction.parts.histories import dataset_row
from cikg.graph import Graph
from cikg.schema import uid
from cikg.text.clustering import Cluster, cluster

JOB_NAME = "interests"
ATTEMPTS = 3
"""How often the intents are clustered if the dataset changes meanwhile."""


@dataclass(frozen=True)
class Clustering:
    """What a clustering made.

    Attributes:
        run: its uid.
        intents: phrases clustered.
        interests: clusters made of them.
        users: users that have at least one.
        edges: `HAS_INTEREST` edges.
        largest: names and numbers of users of the ten most held.
        changed: False if the graph held just this already.
    """

    run: str
    intents: int
    interests: int
    users: int
    edges: int
    largest: list[tuple[str, int]]
    changed: bool


def cluster_intents(graph: Graph, dataset: str, *, clusters: int | None = None, seed: int = 0) -> Clustering:
    """Cluster a dataset's intents and write the interests; writes nothing if they are there already.

    Args:
        graph: the graph.
        dataset: the dataset's name.
        clusters: how many interests to make, chosen from the phrases if None.
        seed: of the clustering.

    Raises:
        NotFoundError: there is no such dataset.
        InputError: it has no intents.
        ConflictError: it is not whole, or keeps changing.
    """
    for _ in range(ATTEMPTS):
        made = _attempt(graph, dataset, clusters, seed)
        if made is not None:
            return made
    raise ConflictError(
        f"the dataset {dataset!r} changed whenever its intents were clustered",
        cure="Wait until its import, drop or jobs have ended, then repeat",
    )


def _attempt(graph: Graph, dataset: str, clusters: int | None, seed: int) -> Clustering | None:
    """Cluster a dataset's intents as they are now; None if anything changed meanwhile."""
    version = dataset_row(graph, dataset)["version"]
    holders = graph.many("intent_holders", dataset=dataset)
    if not holders:
        raise InputError(f"the dataset {dataset!r} has no intents to cluster", cure="Run `cikg extract` first")
    parameters = {"clusters": clusters, "seed": seed, "embedder": "lexical", "input": digest(holders)}
    identifier = f"{JOB_NAME}-{digest(parameters)[:16]}"
    run = uid(dataset, identifier)
    phrases = {entry["intent"]: entry["name"] for row in holders for entry in row["intents"]}
    changed = graph.many("clustering_runs", dataset=dataset) != [{"run": run}]
    if changed:
        names = Counter(phrases[intent] for row in holders for intent in {entry["intent"] for entry in row["intents"]})
        interests, edges = _rows(dataset, phrases, cluster(names, clusters=clusters, seed=seed), holders)
        node = {
            "dataset": dataset,
            "id": identifier,
            "kind": "cluster",
            "name": JOB_NAME,
            "total": len(phrases),
            "parameters": json.dumps(parameters, sort_keys=True),
        }
        kept = [row["uid"] for row in interests]
        written = graph.write_together(
            [
                ("clear_interests", {"dataset": dataset, "version": version, "kept": kept}),
                ("write_interests", {"dataset": dataset, "run": run, "rows": interests}),
                ("write_holders", {"run": run, "rows": edges}),
                ("record_run", {"run": run, "properties": node}),
            ],
            guarded=True,
        )
        if not written[0]:
            return None
    held = [(row["name"], row["users"]) for row in graph.many("held_interests", dataset=dataset)]
    edges_written = sum(users for _, users in held)
    return Clustering(run, len(phrases), len(held), len(holders), edges_written, held[:10], changed)


def _rows(
    dataset: str, phrases: dict[str, str], found: Sequence[Cluster], holders: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of interests with their intents, and of users with theirs, both sorted by key."""
    by_phrase: dict[str, list[str]] = defaultdict(list)
    for intent in sorted(phrases):
        by_phrase[phrases[intent]].append(intent)
    interests, interest_of = [], {}
    for each in found:
        identifier = hashlib.sha256(each.name.casefold().encode()).hexdigest()[:12]
        intents = sorted(intent for phrase in each.members for intent in by_phrase[phrase])
        interests.append({"uid": uid(dataset, identifier), "id": identifier, "name": each.name, "intents": intents})
        interest_of.update(dict.fromkeys(intents, uid(dataset, identifier)))
    edges: dict[tuple[str, str], dict[str, Any]] = {}
    for row in holders:
        for entry in row["intents"]:
            key = (row["user"], interest_of[entry["intent"]])
            edge = edges.setdefault(key, {"user": key[0], "interest": key[1], "completion": None, "evidence": []})
            edge["completion"] = min(filter(None, (edge["completion"], entry["completion"])), default=None)
            edge["evidence"] = sorted({*edge["evidence"], *(entry["evidence"] or [])})
    return sorted(interests, key=lambda row: str(row["uid"])), [edges[key] for key in sorted(edges)]

"""Publishing: every user's top k with an explanation each, written to the graph and served from one moment to the next.

The new model's edges are written beside the served ones; one transaction then switches the dataset to them. Stopped
anywhere, the model served before is still whole, and the same command goes on. Its edges stay, unseen, until the next
publication, so that going back to it is one transaction too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cikg.errors import ConflictError, InputError
from cikg.graph import Graph, datasets
from cikg.graph.snapshot import Snapshot
from cikg.schema import SplitCode, uid
from cikg.serving.explain import Explainer

SCORED_AT_ONCE = 1_024
"""Users a chunk: bounds the dense scores to 1,024 × items."""
WRITTEN_AT_ONCE = 500
"""Users a transaction."""


class Recommender(Protocol):
    """What publishing needs of a trained model."""

    @property
    def run_id(self) -> str:
        """The run that trained it."""

    @property
    def snapshot_hash(self) -> str:
        """The snapshot it was trained on."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """How it was trained; holds `method`."""

    def scores(self, user_index: NDArray[np.int64]) -> NDArray[Any]:
        """Scores of all items, shape (B, I), for B users."""

    def shares(self, user_index: NDArray[np.int64], item_index: NDArray[np.int64]) -> tuple[list[str], NDArray[Any]]:
        """Names of the experts that a score is the sum of, if any, and their shares in it: shape (B, k, experts)."""


@dataclass(frozen=True)
class Published:
    """What a publication did.

    Attributes:
        model: the run that is served now.
        users: users with recommendations.
        recommendations: edges written.
        explained: the share of them that an interest explains, 0 to 1.
    """

    model: str
    users: int
    recommendations: int
    explained: float


@dataclass(frozen=True)
class TopK:
    """The best items of B users: `item_index` and `score` of shape (B, k); an index of -1 fills up short lists."""

    item_index: NDArray[np.int64]
    score: NDArray[np.float64]


def publish(
    graph: Graph,
    snapshot: Snapshot,
    recommender: Recommender,
    k: int = 20,
    progress: Callable[[int], None] | None = None,
) -> Published:
    """Write the recommendations of every user and serve them.

    Args:
        graph: the graph that holds the snapshot's dataset.
        snapshot: the one that the model was trained on.
        recommender: the model.
        k: recommendations a user; items of train and valid are left out.
        progress: called with the number of users done.

    Raises:
        InputError: the model was trained on another snapshot, or k is below 1.
        ConflictError: another publication of this dataset ran at the same time.
    """
    if k < 1:
        raise InputError(f"k is {k}, but at least one recommendation a user is needed")
    if recommender.snapshot_hash != snapshot.hash:
        raise InputError(
            f"the run {recommender.run_id} was trained on the snapshot {recommender.snapshot_hash[:12]}, "
            f"not on {snapshot.hash[:12]}",
            cure="Train again on the present snapshot, or publish with the one that it was trained on",
        )
    dataset = snapshot.dataset
    model = uid(dataset, recommender.run_id)
    graph.write(
        "register_model",
        uid=model,
        dataset=dataset,
        id=recommender.run_id,
        method=str(recommender.manifest.get("method", "")),
        manifest=json.dumps(dict(recommender.manifest), sort_keys=True, default=str),
    )
    written = explained = 0
    for rows in _rows(snapshot, recommender, k):
        graph.write_rows("write_recommendations", rows, batch=WRITTEN_AT_ONCE, advance=progress, model=model)
        entries = [entry for row in rows for entry in row["items"]]
        written += len(entries)
        explained += sum(entry["because"] is not None for entry in entries)
    done = Published(recommender.run_id, len(snapshot.users.ids), written, explained / max(written, 1))
    facts = {"users": done.users, "explained": done.explained}
    if not graph.write("switch_model", dataset=dataset, model=model, expected=written, **facts):
        raise ConflictError(
            f"recommendations of {recommender.run_id} vanished while they were written; the model served before stays",
            cure="Let other publications and imports of this dataset end, then publish again",
        )
    kept = [model, *(row["model"] for row in graph.many("formerly_served", dataset=dataset))]
    stale = graph.many("users_with_other_models", dataset=dataset, models=kept)
    graph.write_rows("remove_other_models", stale, batch=WRITTEN_AT_ONCE, models=kept)
    return done


def roll_back(graph: Graph, dataset: str, to: str | None = None) -> Published:
    """Serve again what was served before the present model, from one moment to the next. Done twice, it is undone.

    Args:
        graph: the graph.
        dataset: the dataset.
        to: the run that is expected to be served then; where it is served already, nothing changes.

    Raises:
        NotFoundError: there is no such dataset.
        ConflictError: nothing else was ever served, it is not the one expected, or its recommendations are gone.
    """
    served = graph.many("served_model", dataset=dataset)
    if not served:
        raise datasets.unknown(graph, dataset)
    if to is not None and served[0]["run"] == to:
        return Published(**graph.many("model_facts", model=served[0]["model"])[0])
    before = graph.many("formerly_served", dataset=dataset)
    if not before:
        raise ConflictError(f"no other model of {dataset!r} was ever served", cure="Publish one with `cikg publish`")
    former = before[0]
    if to is not None and former["run"] != to:
        raise ConflictError(
            f"before the model that is served now it was {former['run']}, not {to}", cure=f"Publish {to} again"
        )
    found = graph.write("serve_former", dataset=dataset, model=former["model"])
    if not found:
        raise ConflictError(
            f"the recommendations of {former['run']} are no longer all there", cure=f"Publish {former['run']} again"
        )
    return Published(**found[0])


def known_items(snapshot: Snapshot) -> sparse.csr_array:
    """What each user read in train and valid, shape (U, I)."""
    known = np.asarray(snapshot.interactions.split) != SplitCode.TEST
    users = np.asarray(snapshot.interactions.user_index)[known]
    items = np.asarray(snapshot.interactions.item_index)[known]
    shape = (len(snapshot.users.ids), len(snapshot.items.ids))
    return sparse.csr_array((np.ones(len(users), dtype=np.int8), (users, items)), shape=shape)


def top_k(scores: NDArray[Any], known: sparse.csr_array, k: int) -> TopK:
    """The k best unknown items of each user; equal scores in the order of the items.

    Args:
        scores: shape (B, I).
        known: shape (B, I); its entries are left out.
        k: items a user; fewer where fewer are left.
    """
    masked = np.array(scores, dtype=np.float64)
    rows = np.repeat(np.arange(masked.shape[0]), np.diff(known.indptr))
    masked[rows, known.indices] = -np.inf
    masked[np.isnan(masked)] = -np.inf
    k = min(k, masked.shape[1])
    # A threshold first: sorting all of I for k of them would cost more than the scores themselves.
    threshold = np.partition(masked, masked.shape[1] - k, axis=1)[:, masked.shape[1] - k, None]
    best = np.full((masked.shape[0], k), -1, dtype=np.int64)
    value = np.full((masked.shape[0], k), -np.inf)
    for row, candidates in enumerate(masked >= threshold):
        items = np.flatnonzero(candidates)
        items = items[np.argsort(-masked[row, items], kind="stable")][:k]
        best[row, : len(items)], value[row, : len(items)] = items, masked[row, items]
    best[np.isneginf(value)] = -1
    return TopK(best, value)


def _rows(snapshot: Snapshot, recommender: Recommender, k: int) -> Iterator[list[dict[str, Any]]]:
    """The rows of `write_recommendations`, a chunk of users at a time, in the order of the users' keys."""
    explainer, known = Explainer(snapshot), known_items(snapshot)
    users = np.array(
        sorted(range(len(snapshot.users.ids)), key=lambda index: snapshot.users.ids[index]), dtype=np.int64
    )
    for start in range(0, len(users), SCORED_AT_ONCE):
        chunk = users[start : start + SCORED_AT_ONCE]
        best = top_k(recommender.scores(chunk), known[chunk], k)
        experts, shares = recommender.shares(chunk, np.maximum(best.item_index, 0))
        row, column = np.nonzero(best.item_index >= 0)
        item_index = best.item_index[row, column]
        why = explainer.explain(chunk[row], item_index)
        rows: list[dict[str, Any]] = [
            {"user": uid(snapshot.dataset, snapshot.users.ids[index]), "items": []} for index in chunk
        ]
        for pair in range(len(row)):
            interest = int(why.interest_index[pair])
            found = interest >= 0
            rows[row[pair]]["items"].append(
                {
                    "item": uid(snapshot.dataset, snapshot.items.ids[item_index[pair]]),
                    "rank": int(column[pair]) + 1,
                    "score": float(best.score[row[pair], column[pair]]),
                    "because": uid(snapshot.dataset, snapshot.interests.ids[interest]) if found else None,
                    "support": int(why.support[pair]) if found else None,
                    "cohort": int(why.cohort[pair]) if found else None,
                    "share": float(why.share[pair]) if found else None,
                    "experts": experts or None,
                    "shares": shares[row[pair], column[pair]].tolist() if experts else None,
                }
            )
        yield rows

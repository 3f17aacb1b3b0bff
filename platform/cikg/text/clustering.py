"""Clusters of phrases: KMeans over lexical vectors, seeded, the same for the same phrases in any order.

Paper: CIKGRec clusters the LLM's phrases into κ interests. Departures: the seed is fixed (the published code leaves
KMeans unseeded); phrases of equal normal form are one point, weighted by those who hold it; κ is chosen from the data
unless it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from cikg.text import lexical

MOST_CLUSTERS = 300
SAMPLE = 1_500
"""Forms on which κ is chosen."""
_CANDIDATES = 12
_STARTS = 4


@dataclass(frozen=True, slots=True)
class Cluster:
    """Phrases that mean about the same.

    Attributes:
        name: the most typical of them, in sentence case.
        members: all of them, sorted.
    """

    name: str
    members: tuple[str, ...]


def cluster(holders: Mapping[str, int], *, clusters: int | None = None, seed: int = 0) -> list[Cluster]:
    """Cluster phrases.

    Args:
        holders: phrase -> number of users that hold it, at least 1.
        clusters: κ, the number of clusters wanted; chosen by `choose` if None. There are never more than forms.
        seed: of KMeans and of the sample on which κ is chosen.

    Returns:
        The clusters, sorted by name; their members together are all phrases.
    """
    forms: dict[str, list[str]] = {}
    for phrase in sorted(holders):
        forms.setdefault(lexical.normalise(phrase), []).append(phrase)
    if not forms:
        return []
    names = sorted(forms)
    weights = np.array([sum(holders[phrase] for phrase in forms[name]) for name in names], dtype=np.float64)
    vectors = lexical.embed(names)
    wanted = min(clusters or choose(vectors, weights, seed), len(names))
    labels = _kmeans(vectors, weights, wanted, seed)
    found = []
    for label in sorted(set(labels.tolist())):
        rows = np.flatnonzero(labels == label)
        centre = np.asarray(vectors[rows].T @ weights[rows]).ravel()
        nearness = np.asarray(vectors[rows] @ centre).ravel()
        members = [
            (phrase, float(near)) for row, near in zip(rows, nearness, strict=True) for phrase in forms[names[row]]
        ]
        found.append(Cluster(_name(members, holders), tuple(sorted(phrase for phrase, _ in members))))
    return sorted(found, key=lambda each: (each.name.casefold(), each.members))


def choose(vectors: sp.csr_matrix, weights: NDArray[np.float64], seed: int) -> int:
    """κ with the greatest mean silhouette (cosine; Rousseeuw 1987) among a dozen values.

    They are spread by equal ratios from 2 to three quarters of the forms, at most `MOST_CLUSTERS`. Of more than
    `SAMPLE` forms the most held are judged. With fewer than 6 forms each is an interest of its own.

    Args:
        vectors: (forms, words) rows of length 1.
        weights: (forms,) number of users that hold each.
        seed: of KMeans.
    """
    from sklearn.metrics import silhouette_score  # noqa: PLC0415 - loads for seconds

    forms = vectors.shape[0]
    if forms < 6:
        return forms
    if forms > SAMPLE:
        heaviest = np.sort(np.argsort(-weights, kind="stable")[:SAMPLE])
        vectors, weights = vectors[heaviest], weights[heaviest]
    top = min(max(2, vectors.shape[0] * 3 // 4), MOST_CLUSTERS)
    candidates = sorted({round(float(value)) for value in np.geomspace(2, top, _CANDIDATES)})
    scores = {}
    for count in candidates:
        labels = _kmeans(vectors, weights, count, seed)
        if 1 < len(set(labels.tolist())) < vectors.shape[0]:
            scores[count] = float(silhouette_score(vectors, labels, metric="cosine"))
    return max(scores, key=lambda count: (round(scores[count], 6), -count), default=1)


def _kmeans(vectors: sp.csr_matrix, weights: NDArray[np.float64], clusters: int, seed: int) -> NDArray[np.int64]:
    """Labels (forms,) of weighted KMeans over rows of length 1."""
    from sklearn.cluster import KMeans  # noqa: PLC0415 - loads for seconds

    if clusters >= vectors.shape[0]:
        return np.arange(vectors.shape[0])
    model = KMeans(clusters, n_init=_STARTS, random_state=seed, algorithm="lloyd")
    labels: NDArray[np.int64] = model.fit(vectors, sample_weight=np.sqrt(weights)).labels_.astype(np.int64)
    return labels


def _name(cluster: Sequence[tuple[str, float]], holders: Mapping[str, int]) -> str:
    """The phrase nearest to the centre; of equally near ones the most held, then the shortest; in sentence case."""
    ordered = [(-round(nearness, 9), -holders[phrase], len(phrase), phrase) for phrase, nearness in cluster]
    phrase = min(ordered)[-1]
    return phrase[:1].upper() + phrase[1:]

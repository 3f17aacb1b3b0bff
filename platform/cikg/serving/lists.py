"""Lists as they are written into the graph: the best items of a user, why each, and what its score is made of.

What people corrected since the model's snapshot is heeded: what the model does with those who have the evidence is
taken from the user's scores (`counterfactual` has the formula), as a share of its own, and a corrected interest is no
reason any more. A model that is trained afterwards heeds it by itself, as its snapshot is without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cikg.graph.snapshot import Snapshot
from cikg.schema import uid
from cikg.serving.corrections import Corrected
from cikg.serving.counterfactual import Indices, Scores, Served, effect_of
from cikg.serving.explain import Explainer
from cikg.serving.ranking import chunks, top_k

CORRECTIONS = "corrections"
"""The share of a score that stands for what people corrected."""

Rows = list[dict[str, Any]]
"""Rows of the statement `write_recommendations`."""


def everyone(served: Served) -> Indices:
    """All users of a model in the order of their ids: the order in which lists are written, shape (U,)."""
    ids = served.snapshot.users.ids
    return np.array(sorted(range(len(ids)), key=lambda index: ids[index]), dtype=np.int64)


def lists(served: Served, user_index: Indices, k: int, corrected: Mapping[str, Corrected]) -> Iterator[Rows]:
    """The lists of some users, a chunk at a time.

    Args:
        served: the model.
        user_index: the users, shape (U,).
        k: items a user; items of train and valid are left out.
        corrected: what was corrected, by the users' ids.
    """
    ids = served.snapshot.users.ids
    heeded = {index: corrected[ids[index]] for index in user_index.tolist() if ids[index] in corrected}
    explainer = Explainer(served.snapshot, _wrong(served.snapshot, heeded))
    for users in chunks(user_index, len(served.snapshot.items.ids)):
        yield _chunk(served, explainer, users, k, heeded)


def _chunk(served: Served, explainer: Explainer, users: Indices, k: int, heeded: Mapping[int, Corrected]) -> Rows:
    """The lists of B users."""
    snapshot, recommender = served.snapshot, served.recommender
    scores = np.array(recommender.scores(users), dtype=np.float64)
    taken: dict[int, Scores] = {}
    for row, index in enumerate(users.tolist()):
        effect = effect_of(served, index, heeded[index].evidence) if index in heeded else None
        if effect is not None and effect.any():
            taken[row] = effect * (scores[row].std() or 1.0)  # effects are in deviations of the user's scores
            scores[row] -= taken[row]
    best = top_k(scores, served.known[users], k)
    experts, shares = recommender.shares(users, np.maximum(best.item_index, 0))
    owners, places = np.nonzero(best.item_index >= 0)
    item_index = best.item_index[owners, places]
    why = explainer.explain(users[owners], item_index)
    rows: list[dict[str, Any]] = [
        {
            "user": uid(snapshot.dataset, snapshot.users.ids[index]),
            "corrected": heeded[index].times if index in heeded else None,
            "items": [],
        }
        for index in users.tolist()
    ]
    for pair, (owner, place) in enumerate(zip(owners.tolist(), places.tolist(), strict=True)):
        interest, item = int(why.interest_index[pair]), int(item_index[pair])
        found, names, parts = interest >= 0, list(experts), shares[owner, place].tolist()
        if experts and owner in taken:
            names.append(CORRECTIONS)
            parts.append(-float(taken[owner][item]))
        rows[owner]["items"].append(
            {
                "item": uid(snapshot.dataset, snapshot.items.ids[item]),
                "rank": place + 1,
                "score": float(best.score[owner, place]),
                "because": uid(snapshot.dataset, snapshot.interests.ids[interest]) if found else None,
                "support": int(why.support[pair]) if found else None,
                "cohort": int(why.cohort[pair]) if found else None,
                "share": float(why.share[pair]) if found else None,
                "experts": names or None,
                "shares": parts or None,
            }
        )
    return rows


def _wrong(snapshot: Snapshot, heeded: Mapping[int, Corrected]) -> set[tuple[int, int]]:
    """Users and the interests that they do not have, by index."""
    places = {identifier: place for place, identifier in enumerate(snapshot.interests.ids)} if heeded else {}
    return {
        (index, places[interest])
        for index, one in heeded.items()
        for interest in one.evidence.interests
        if interest in places
    }

"""Search for a user: Neo4j's full text finds items, and IKGR puts them in the user's order.

A candidate's score is its BM25, as a share of the best one's, plus `weight` times its IKGR score, stretched from 0 for
the least to 1 for the greatest of the candidates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cikg.errors import InputError, NotFoundError
from cikg.graph import Graph
from cikg.recommend.newcomers.newcomer import KnownIntent, Model, reasons

CANDIDATES = 100
WEIGHT = 1.0


@dataclass(frozen=True)
class UserHit:
    """An item that was found.

    Attributes:
        rank: from 1, in the user's order.
        found: its rank by full text alone.
        item: its id.
        name: its name.
        score: the score it is ranked by.
        bm25: the score of the full text.
        intents: the user's intents that moved it, because it satisfies them or similar ones; most similar first.
    """

    rank: int
    found: int
    item: str
    name: str
    score: float
    bm25: float
    intents: tuple[KnownIntent, ...]


@dataclass(frozen=True)
class UserHits:
    """What was found for a user.

    Attributes:
        dataset: the dataset.
        user: the user's id.
        query: the words that were searched for.
        run: the training run of the model.
        items: in order of rank.
    """

    dataset: str
    user: str
    query: str
    run: str
    items: tuple[UserHit, ...]


def search(graph: Graph, model: Model, query: str, user: str, *, k: int = 10, weight: float = WEIGHT) -> UserHits:
    """Find items and put them in a user's order.

    Args:
        graph: the graph.
        model: the trained IKGR.
        query: words; an item needs one of them in its name or text.
        user: the user's id.
        k: how many items.
        weight: of IKGR's score; 0 leaves BM25's order.

    Raises:
        InputError: the query has no word.
        NotFoundError: the model's snapshot has no such user.
    """
    import torch  # noqa: PLC0415 - takes seconds to load, and the API names these results

    words = re.findall(r"\w+", query.lower())
    if not words:
        raise InputError("the query has no words", cure="Search for letters or digits")
    snapshot, scorer = model.snapshot, model.scorer
    if user not in snapshot.users.index:
        raise NotFoundError(
            f"{model.run} does not know the user {user!r}", cure="Take a snapshot and train again if the user is new"
        )
    quoted = " OR ".join(f'"{word}"' for word in words)  # none of Lucene's operators can occur in it
    rows = graph.many("search_items", dataset=snapshot.dataset, query=quoted, limit=CANDIDATES)
    rows = [row for row in rows if row["id"] in snapshot.items.index]
    if not rows:
        return UserHits(snapshot.dataset, user, query, model.run, ())
    place = snapshot.users.index[user]
    items = torch.tensor([snapshot.items.index[row["id"]] for row in rows])
    bm25 = torch.tensor([row["score"] for row in rows])
    own = scorer.scores(torch.tensor([place]))[0, items]
    stretched = (own - own.min()) / (own.max() - own.min()).clamp_min(1e-9)
    scores = bm25 / bm25.max() + weight * stretched
    order = torch.argsort(scores, descending=True, stable=True)[:k].tolist()
    intents = [each for each in scorer.user_intents[place].tolist() if each >= 0]
    moved = reasons(model, intents, items[order].tolist()) if weight else [()] * len(order)
    hits = tuple(
        UserHit(
            rank=rank,
            found=at + 1,
            item=rows[at]["id"],
            name=rows[at]["name"],
            score=round(float(scores[at]), 4),
            bm25=round(rows[at]["score"], 4),
            intents=because,
        )
        for rank, (at, because) in enumerate(zip(order, moved, strict=True), start=1)
    )
    return UserHits(snapshot.dataset, user, query, model.run, hits)

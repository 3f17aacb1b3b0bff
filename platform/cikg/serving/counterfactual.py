"""What a user would be recommended without some of what is known of them, or with more: no training, no writing.

A piece of evidence e is an interest, an intent or an item of the history. Its effect is what the model itself does
with those who have it. With ẑ_v the scores that the model gives user v, standardised over the items::

    effect(e, i) = mean of ẑ_v(i) over those who have e  −  mean of ẑ_v(i) over everyone
    changed(i)   = ẑ_u(i) − Σ_{e taken away} effect(e, i) / n_e + Σ_{e added} effect(e, i) / (n_e + 1)

where n_e is how many pieces of e's kind the user has. That is an estimate, and is said to be one: the model was not
trained again. Where a model's scores are a sum over the history, a changed history is scored exactly instead
(`fold_in`). Nothing is kept, so that an unchanged question gives the published list, and a change taken back gives it
again. Means are over at most `MOST_HOLDERS` and `MOST_USERS` evenly chosen users, so that an answer takes a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cikg.errors import InputError, NotFoundError
from cikg.graph.snapshot import Snapshot
from cikg.serving.ranking import Recommender, chunks, top_k

MOST_HOLDERS, MOST_USERS = 256, 1024

Indices = NDArray[np.int64]
Scores = NDArray[np.float64]
FoldIn = Callable[[Indices], NDArray[Any]]
"""Scores of all items, shape (I,), for a history: item indices, shape (n,)."""


@dataclass(frozen=True)
class Evidence:
    """What is known of a user, by ids."""

    interests: Sequence[str] = ()
    intents: Sequence[str] = ()
    items: Sequence[str] = ()


NOTHING = Evidence()


@dataclass(frozen=True)
class Change:
    """An item of the changed list.

    Attributes:
        rank: from 1.
        item: its id.
        name: its name.
        before: its rank in the unchanged list; None if it is not in it.
    """

    rank: int
    item: str
    name: str
    before: int | None


@dataclass(frozen=True)
class Counterfactual:
    """The list that a user would have.

    Attributes:
        run: the training run whose model it is.
        estimated: whether the effects were estimated; False if the model itself computed every score.
        items: the changed list.
        gone: items of the unchanged list that are not in it, with their rank before; their `rank` is 0.
    """

    run: str
    estimated: bool
    items: tuple[Change, ...]
    gone: tuple[Change, ...]


@dataclass(frozen=True)
class Served:
    """A model with what it was trained on, made ready once.

    Attributes:
        snapshot: what it was trained on.
        recommender: the model.
        known: what each user read in train and valid, shape (U, I).
        fold_in: scores a history, where the model's scores are a sum over it.
    """

    snapshot: Snapshot
    recommender: Recommender
    known: sparse.csr_array
    fold_in: FoldIn | None = None
    _average: list[Scores] = field(default_factory=list, repr=False, compare=False)

    def average(self) -> Scores:
        """The mean of everyone's standardised scores, shape (I,), made when it is first asked for."""
        if not self._average:
            self._average.append(self._mean(np.arange(self.known.shape[0]), MOST_USERS))
        return self._average[0]

    def effect(self, holders: Indices) -> Scores:
        """What the model does with those who have a piece of evidence, beyond everyone: shape (I,)."""
        if not len(holders):
            return np.zeros(self.known.shape[1])
        return self._mean(np.unique(holders), MOST_HOLDERS) - self.average()

    def standardised(self, user_index: Indices) -> Scores:
        """Scores of B users with mean 0 and deviation 1 over the items, shape (B, I)."""
        return standardise(np.asarray(self.recommender.scores(user_index), dtype=np.float64))

    def _mean(self, users: Indices, most: int) -> Scores:
        chosen = users[np.unique(np.linspace(0, len(users) - 1, min(most, len(users))).astype(np.int64))]
        total = np.zeros(self.known.shape[1])
        for part in chunks(chosen, self.known.shape[1]):
            total += self.standardised(part).sum(axis=0)
        return total / len(chosen)


def standardise(scores: Scores) -> Scores:
    """Scores with mean 0 and deviation 1 along the last axis; scores without deviation become 0."""
    deviation = scores.std(axis=-1, keepdims=True)
    result: Scores = (scores - scores.mean(axis=-1, keepdims=True)) / np.where(deviation > 0, deviation, 1.0)
    return result


def counterfactual(
    served: Served, user: str, without: Evidence, added: Evidence, k: int, *, corrected: Evidence = NOTHING
) -> Counterfactual:
    """What a user would be recommended.

    Args:
        served: the model.
        user: the user's id.
        without: what to take away; the user has it.
        added: what to add; the user has not.
        k: the length of both lists.
        corrected: what people said since is wrong about the user, which both lists heed.

    Raises:
        NotFoundError: the model does not know the user, or a piece of evidence.
        InputError: the user has not what is to be taken away, or has what is to be added.
    """
    snapshot = served.snapshot
    index = _place(snapshot, "users", user)
    owner = np.array([index])
    before = served.standardised(owner)[0] - effect_of(served, index, corrected)
    after, estimated = before.copy(), False
    for kind in _KINDS:
        wrong = set(getattr(without, kind)).intersection(getattr(corrected, kind))
        _require(not wrong, f"the user does not have {min(wrong, default='')!r}: that was corrected")
        shift = _shift(served, index, kind, getattr(without, kind), getattr(added, kind))
        after += shift
        estimated = estimated or bool(shift.any())
    history = served.known[[index]].indices.astype(np.int64)
    kept, taken, more = _history(snapshot, history, without.items, added.items)
    if taken.size or more.size:
        after += _of_history(served, history, kept, taken, more)
        estimated = estimated or served.fold_in is None
    return Counterfactual(
        served.recommender.run_id, estimated, *_compared(snapshot, (before, history), (after, kept), k)
    )


def effect_of(served: Served, user_index: int, evidence: Evidence) -> Scores:
    """What interests and intents of a user do in the model, by the formula above: shape (I,).

    What the model's snapshot does not say of the user does nothing.
    """
    snapshot = served.snapshot
    shift = np.zeros(served.known.shape[1])
    for kind, (table, column) in _KINDS.items():
        wanted = set(getattr(evidence, kind))
        if wanted:
            edges, ids = getattr(snapshot, table), snapshot.nodes(kind).ids
            mine = np.unique(np.asarray(getattr(edges, column))[np.asarray(edges.user_index) == user_index])
            shift -= _shift(served, user_index, kind, [ids[place] for place in mine if ids[place] in wanted], ())
    return shift


def known_of(served: Served, user: str) -> dict[str, list[tuple[str, str]]]:
    """What the model knows of a user: id and name of each piece of evidence, by kind as in `Evidence`.

    Raises:
        NotFoundError: the model does not know the user.
    """
    snapshot = served.snapshot
    index = _place(snapshot, "users", user)
    places = {"items": served.known[[index]].indices}
    for kind, (table, column) in _KINDS.items():
        edges = getattr(snapshot, table)
        places[kind] = np.unique(np.asarray(getattr(edges, column))[np.asarray(edges.user_index) == index])
    named = {kind: snapshot.nodes(kind) for kind in places}
    return {
        kind: [(named[kind].ids[place], named[kind].names[place] or named[kind].ids[place]) for place in found.tolist()]
        for kind, found in places.items()
    }


_KINDS = {"interests": ("has_interest", "interest_index"), "intents": ("possesses", "intent_index")}
"""Evidence by kind: the table that says who has it, and the table's column."""


def _shift(served: Served, user: int, kind: str, without: Sequence[str], added: Sequence[str]) -> Scores:
    """The sum of the effects of one kind of evidence, shape (I,)."""
    snapshot = served.snapshot
    shift = np.zeros(served.known.shape[1])
    if not without and not added:
        return shift
    table, column = _KINDS[kind]
    edges = getattr(snapshot, table)
    holders, held = np.asarray(edges.user_index), np.asarray(getattr(edges, column))
    mine = set(np.unique(held[holders == user]).tolist())
    for identifier in dict.fromkeys(without):
        place = _place(snapshot, kind, identifier)
        _require(place in mine, f"the user does not have {identifier!r}")
        shift -= served.effect(holders[(held == place) & (holders != user)]) / len(mine)
    for identifier in dict.fromkeys(added):
        place = _place(snapshot, kind, identifier)
        _require(place not in mine, f"the user has {identifier!r} already")
        shift += served.effect(holders[held == place]) / (len(mine) + 1)
    return shift


def _history(
    snapshot: Snapshot, history: Indices, without: Sequence[str], added: Sequence[str]
) -> tuple[Indices, Indices, Indices]:
    """The changed history, what was taken from it, and what was added to it."""
    taken = np.array([_place(snapshot, "items", each) for each in dict.fromkeys(without)], dtype=np.int64)
    more = np.array([_place(snapshot, "items", each) for each in dict.fromkeys(added)], dtype=np.int64)
    _require(bool(np.isin(taken, history).all()), "the history does not hold every item that is to be taken from it")
    _require(not np.isin(more, history).any(), "the history holds an item that is to be added")
    return np.concatenate([history[~np.isin(history, taken)], more]), taken, more


def _of_history(served: Served, history: Indices, kept: Indices, taken: Indices, more: Indices) -> Scores:
    """What a changed history changes, shape (I,): exactly where the model can say it, else by its readers."""
    if served.fold_in is not None:
        changed, unchanged = (np.asarray(served.fold_in(each), dtype=np.float64) for each in (kept, history))
        exact: Scores = (changed - unchanged) / (unchanged.std() or 1.0)
        return exact
    readers = served.known.tocsc()
    shift = np.zeros(served.known.shape[1])
    for places, weight in ((taken, -1 / max(len(history), 1)), (more, 1 / (len(history) + 1))):
        for place in places:
            shift += weight * served.effect(readers[:, [place]].indices.astype(np.int64))
    return shift


def _compared(
    snapshot: Snapshot, before: tuple[Scores, Indices], after: tuple[Scores, Indices], k: int
) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """The changed list, and what is no longer in it; each side is the scores and the history that is left out."""
    old, new = (_list(scores, history, k) for scores, history in (before, after))
    rank = {item: place for place, item in enumerate(old, start=1)}
    names = snapshot.items

    def change(item: int, place: int) -> Change:
        return Change(place, names.ids[item], names.names[item] or names.ids[item], rank.get(item))

    items = tuple(change(item, place) for place, item in enumerate(new, start=1))
    return items, tuple(change(item, 0) for item in old if item not in set(new))


def _list(scores: Scores, history: Indices, k: int) -> list[int]:
    known = sparse.csr_array(
        (np.ones(len(history), dtype=np.int8), (np.zeros_like(history), history)), shape=(1, len(scores))
    )
    best = top_k(scores[None], known, k).item_index[0]
    return [int(item) for item in best if item >= 0]


def _place(snapshot: Snapshot, kind: str, identifier: str) -> int:
    """The index of a node.

    Raises:
        NotFoundError: the snapshot has none with this id.
    """
    try:
        return list(snapshot.nodes(kind).ids).index(identifier)
    except ValueError:
        raise NotFoundError(
            f"the served model does not know {identifier!r} among its {kind}", cure="Train and publish again"
        ) from None


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InputError(otherwise, cure="Take away what is there, and add what is not")

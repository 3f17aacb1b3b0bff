"""Intents as columns of training data, and how alike two sets of them are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from scipy import sparse
from torch import Tensor

if TYPE_CHECKING:
    from cikg.graph.snapshot import Snapshot

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Links:
    """Which users or items have which intents, sorted by owner.

    Attributes:
        owner_index: int64, shape (n,).
        intent_index: int64, shape (n,).
        round: 1 exact, 2 related, 0 unknown; int8, shape (n,).
    """

    owner_index: Array
    intent_index: Array
    round: Array

    def __len__(self) -> int:
        return len(self.owner_index)

    @classmethod
    def of(cls, owner_index: Array, intent_index: Array, number: Array) -> Self:
        """Columns of a snapshot, in memory."""
        return cls(np.array(owner_index, np.int64), np.array(intent_index, np.int64), np.array(number, np.int8))

    @classmethod
    def none(cls) -> Self:
        """No links at all."""
        return cls.of(*np.empty((3, 0)))

    def exact(self) -> Links:
        """Those of the first round, and those whose round is not known."""
        kept = self.round < 2
        return Links(self.owner_index[kept], self.intent_index[kept], self.round[kept])

    def padded(self, owners: int, most: int, values: Array | None = None) -> Array:
        """Each owner's intents, or values of theirs, as rows of a table: exact ones first.

        Args:
            owners: how many there may be.
            most: columns; what does not fit is left out.
            values: one for each link, instead of the intents.

        Returns:
            Shape (owners, most), filled up with -1, or 0 for values.
        """
        order = np.lexsort((self.intent_index, self.round, self.owner_index))
        owner = self.owner_index[order]
        place = np.arange(len(owner)) - np.searchsorted(owner, owner)
        chosen = self.intent_index if values is None else values
        table = np.full((owners, most), -1 if values is None else 0, dtype=chosen.dtype)
        kept = place < most
        table[owner[kept], place[kept]] = chosen[order][kept]
        return table

    def support(self, satisfied: Links, user_index: Array, item_index: Array) -> Array:
        """Of how many of a user's items it is that they satisfy the intent, for each link of users; shape (n,).

        Args:
            satisfied: the items' links.
            user_index: who has …
            item_index: … which items.
        """
        users, items, intents = (
            max((int(column.max()) + 1 for column in columns if len(column)), default=1)
            for columns in (
                (self.owner_index, user_index),
                (satisfied.owner_index, item_index),
                (self.intent_index, satisfied.intent_index),
            )
        )
        has = sparse.csr_array((np.ones(len(user_index)), (user_index, item_index)), shape=(users, items))
        serves = (satisfied.owner_index, satisfied.intent_index)
        told = has @ sparse.csr_array((np.ones(len(satisfied)), serves), shape=(items, intents))
        counts: Array = np.asarray(told[self.owner_index, self.intent_index]).ravel() if len(self) else np.zeros(0)
        return counts


@dataclass(frozen=True)
class Intents:
    """What is known of intents.

    Attributes:
        count: how many there are.
        possessed: the users'.
        satisfied: the items'.
        vectors: text vectors of intents, float32, shape (count, d), NaN where there is none; d is 0 without embedding.
        item_vectors: the same of items, in the same space; shape (items, d).
        user_vectors: the same of what a model wrote about users; shape (users, d).
    """

    count: int
    possessed: Links
    satisfied: Links
    vectors: Array
    item_vectors: Array
    user_vectors: Array


def intents(snapshot: Snapshot) -> Intents:
    """The intents of a snapshot, with the vectors of the embedding that intents and items share.

    Of several embeddings the one counts that is not lexical, then the longest, then the last by name.
    """
    counts, known = snapshot.counts, snapshot.embeddings
    shared = set(known.get("intents", [])) & set(known.get("items", []))
    length = {name: int(name.rpartition("_")[2]) for name in shared}
    name = max(shared, key=lambda each: (not each.startswith("lexical_"), length[each], each), default=None)

    def vectors(kind: str, rows: int) -> Array:
        if name is None or name not in known.get(kind, []):
            return np.full((rows, length[name] if name else 0), np.nan, dtype=np.float32)
        return np.asarray(snapshot.embedding(kind, name))

    has, serves = snapshot.possesses, snapshot.satisfies
    return Intents(
        counts["intents"],
        Links.of(has.user_index, has.intent_index, has.round),
        Links.of(serves.item_index, serves.intent_index, serves.round),
        vectors("intents", counts["intents"]),
        vectors("items", counts["items"]),
        vectors("user_profiles", counts["users"]),
    )


def translation(vectors: Tensor, own: Tensor, other: Tensor) -> Tensor:
    """How one set of intents moves to another (IKGR, eq. 8): d = mean over k of (1 - S_k,j(k)) · (e_j(k) - e_k).

    S are cosines, j(k) is the other set's intent that is most like k. The more alike the sets, the smaller d. No
    gradient goes through S.

    Args:
        vectors: e, shape (intents, d).
        own: users' intents, int64, shape (n, k), -1 where there is none.
        other: items' intents, int64, shape (n, l), -1 where there is none.

    Returns:
        Shape (n, d); zero where either set is empty.
    """
    with torch.no_grad():
        unit = F.normalize(vectors, dim=1)
        cosine = unit[own.clamp_min(0)] @ unit[other.clamp_min(0)].transpose(1, 2)  # (n, k, l)
        likeness, place = cosine.masked_fill_((other < 0)[:, None], -torch.inf).max(dim=2)
        valid = (own >= 0) & (other >= 0).any(dim=1, keepdim=True)
        weight = torch.where(valid, 1 - likeness, 0.0) / valid.sum(1, keepdim=True).clamp_min(1)
        nearest = other.gather(1, place)
    bags = torch.cat([nearest, own], dim=1).clamp_min(0)
    return F.embedding_bag(bags, vectors, mode="sum", per_sample_weights=torch.cat([weight, -weight], dim=1))

"""TransE: the tail of a fact lies where its head is, moved by its relation (Bordes et al., NIPS 2013).

A method that alternates with it yields its losses under an optimiser of their own:

    for batch in translation.batches(generator):
        yield "translate", translation(self.embeddings, batch)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from cikg.recommend.data.views import Array, TrainingData
from cikg.recommend.parts import losses
from cikg.recommend.parts.sampling import NegativeSampler


@dataclass(frozen=True)
class Facts:
    """Facts by rows of the embedding table, and where false tails are drawn from.

    Attributes:
        head: int64, shape (facts,).
        relation: int64, shape (facts,).
        tail: int64, shape (facts,).
        relations: how many there are.
        first: the least row that can be a false tail.
        last: one past the greatest.
    """

    head: Array
    relation: Array
    tail: Array
    relations: int
    first: int
    last: int

    def __len__(self) -> int:
        return len(self.head)

    @classmethod
    def of(cls, data: TrainingData) -> Facts:
        """The facts of a snapshot; false tails are items and entities."""
        first = data.nodes.first_item
        ends = data.head_index + first, data.relation_index, data.tail_index + first
        return cls(*ends, max(data.relations, 1), first, data.nodes.first_interest)

    def both_ways(self, user: Array, item: Array) -> Facts:
        """These facts and their inverses, and interactions both ways, all with relations of their own."""
        ends = [(self.head, self.relation, self.tail), (self.tail, self.relation + self.relations, self.head)]
        read, readers = np.full(len(user), 2 * self.relations), np.full(len(user), 2 * self.relations + 1)
        head, relation, tail = zip(*ends, (user, read, item), (item, readers, user), strict=True)
        joined = np.concatenate(head), np.concatenate(relation), np.concatenate(tail)
        return Facts(*joined, 2 * self.relations + 2, self.first, self.last)


class Translation(nn.Module):
    """TransE's loss over facts; its own parameters are the relations' vectors.

    Args:
        facts: what is true.
        width: d, of an embedding.
        batch_size: facts a step.
        device: where batches are made.
        steps: how many steps an epoch has, each with as many different heads as it can and one fact of each; None
            takes every fact once.
    """

    def __init__(
        self,
        facts: Facts,
        width: int,
        batch_size: int,
        device: torch.device,
        *,
        steps: int | None = None,
    ) -> None:
        super().__init__()
        self.moves = nn.Parameter(nn.init.xavier_uniform_(torch.empty(facts.relations, width)).to(device))
        self._relations, self._batch_size, self._steps = facts.relations, batch_size, steps
        order = np.argsort(facts.head, kind="stable")
        self._head, self._relation, self._tail = (
            torch.from_numpy(each[order]).to(device) for each in (facts.head, facts.relation, facts.tail)
        )
        self._first_of, self._facts_of = (
            torch.from_numpy(each).to(device)
            for each in np.unique(facts.head[order], return_index=True, return_counts=True)[1:]
        )
        known = self._head * self._relations + self._relation
        self._false_tails = NegativeSampler(known, self._tail, facts.first, facts.last)

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield facts by number and a false tail of each; int64, shape (n,)."""
        device = self._head.device
        if self._steps is None:
            order = torch.randperm(len(self._head), generator=generator, device=device)
            chosen: Iterator[Tensor] = iter(torch.split(order, self._batch_size))
        else:
            chosen = (self._one_a_head(generator) for _ in range(self._steps))
        for fact in chosen:
            key = self._head[fact] * self._relations + self._relation[fact]
            yield fact, self._false_tails.draw(key, generator)

    def _one_a_head(self, generator: torch.Generator) -> Tensor:
        heads, device = len(self._first_of), self._head.device
        if heads >= self._batch_size:
            head = torch.randperm(heads, generator=generator, device=device)[: self._batch_size]
        else:
            head = torch.randint(heads, (self._batch_size,), generator=generator, device=device)
        within = torch.rand(len(head), generator=generator, device=device) * self._facts_of[head]
        return self._first_of[head] + within.long()

    def forward(self, embeddings: Tensor, batch: tuple[Tensor, Tensor], decay: float) -> Tensor:
        """−ln σ(false distance − true distance), squared distances both, and an L2 penalty.

        Args:
            embeddings: shape (N, d).
            batch: one of `batches`.
            decay: weight of the penalty.
        """
        fact, false = batch
        head, relation, tail = self._head[fact], self._relation[fact], self._tail[fact]
        rows = F.embedding(torch.cat([head, tail, false]), embeddings)  # one look-up: each writes a table's gradient
        heads, tails, others = torch.split(rows, len(fact))
        moves = F.embedding(relation, self.moves)
        near, far = ((heads + moves - each).square().sum(1) for each in (tails, others))
        return losses.bpr(-near, -far) + decay * losses.squared_length(heads, moves, tails, others)

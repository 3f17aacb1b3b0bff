"""The objective of methods whose scores are products of user and item vectors: batches, negatives, loss, scorer.

A method makes the vectors; this turns them into a loss over a batch of interactions:

    for batch in ranking.batches(generator):
        users, items = …
        yield "recommend", ranking.loss(users, items, batch)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor

from cikg.recommend import distributed
from cikg.recommend.data.views import TrainingData
from cikg.recommend.method import Config, Search, Span
from cikg.recommend.parts import losses
from cikg.recommend.parts.sampling import NegativeSampler
from cikg.recommend.scorers import DotScorer

LossName = Literal["softmax", "bsl", "psl", "directau", "cosine", "bpr", "margin"]

FULL = 100_000
"""Items up to which a softmax is over all of them; beyond, over a sample."""

BATCH, STEPS = (2_048, 65_536), 64
"""Interactions a step, at least and at most; steps an epoch in between: each is a propagation over the whole graph."""

PAIRWISE = ("bpr", "margin")
"""Losses of inner products, which compare each interaction with one item drawn for it. All others take cosines."""


class RankingConfig(Config):
    """Hyperparameters of the objective."""

    batch_size: int | None = Field(
        None, ge=1, description="Interactions per step; by default 2,048, or a 64th of all if that is more"
    )
    loss: LossName = Field("softmax", description="The loss: softmax, bsl, psl, directau, cosine, bpr or margin")
    temperature: float = Field(0.2, gt=0, description="τ of softmax, bsl and psl: the smaller, the harder")
    positive_temperature: float = Field(
        1.0, gt=0, description="τ₁ of bsl: the smaller, the less doubtful interactions count"
    )
    activation: losses.Activation = Field("tanh", description="σ of psl: tanh, atan or relu")
    negatives: int = Field(
        1024, ge=1, description="Items drawn for a batch by psl, cosine, and softmax over more than 100,000 items"
    )
    uniformity: float = Field(1.0, ge=0, description="γ of directau")
    margin: float = Field(0.5, description="Margin of the losses margin and cosine")
    negative_weight: float = Field(10.0, ge=0, description="Weight of cosine's negatives")


SEARCH: dict[str, Search] = {
    "loss": ("softmax", "bsl", "psl"),
    "temperature": Span(0.08, 0.4, log=True),
}
"""Where tuning looks for the objective."""


@dataclass(frozen=True)
class Batch:
    """Some interactions.

    Attributes:
        user: int64, shape (n,).
        item: int64, shape (n,).
        negative: for each interaction an item that the user does not have, or items drawn for all of them, or None
            where the loss needs none; int64, shape (n,) or (k,).
        shared: whether they were drawn for all.
    """

    user: Tensor
    item: Tensor
    negative: Tensor | None
    shared: bool = False

    def __len__(self) -> int:
        return len(self.user)

    def __getitem__(self, part: slice) -> Batch:
        """Some of the interactions, with their negatives, or with all where they share them."""
        negative = self.negative
        if negative is not None and not self.shared:
            negative = negative[part]
        return Batch(self.user[part], self.item[part], negative, self.shared)

    def pairs(self, first_item: int) -> Tensor:
        """The interactions and what they are compared with, as pairs of rows of an embedding table.

        Returns:
            int64, shape (2, n + m): the interactions; then each user with an item drawn for them, or each item that was
            drawn for all with itself.
        """
        item = self.item + first_item
        if self.negative is None:
            return torch.stack([self.user, item])
        other = self.negative + first_item
        beside = other if self.shared else self.user
        return torch.stack([torch.cat([self.user, beside]), torch.cat([item, other])])

    def numbered(self) -> Batch:
        """The same, its negatives counted from 0."""
        if self.negative is None:
            return self
        return dataclasses.replace(self, negative=torch.arange(len(self.negative), device=self.negative.device))


class Ranking:
    """Batches of the fitted interactions, and the loss that `config` names.

    Args:
        data: what to fit.
        config: which loss, and its parameters.
        device: where batches are made.
        sampled: compare with a sample of the items even where a softmax over all is possible.
    """

    def __init__(
        self, data: TrainingData, config: RankingConfig, device: torch.device, *, sampled: bool = False
    ) -> None:
        self.config, self.nodes = config, data.nodes
        self._user = torch.from_numpy(data.fit.user_index).to(device)
        self._item = torch.from_numpy(data.fit.item_index).to(device)
        least, most = BATCH
        shared = least if sampled else min(max(least, len(data.fit) // STEPS), most)  # a sample costs as its batch does
        self._batch_size = config.batch_size or shared
        self._samples = config.loss in ("psl", "cosine") or (
            config.loss == "softmax" and (sampled or data.nodes.items > FULL)
        )
        self._groups = config.loss in ("softmax", "bsl") and not self._samples
        if config.loss in PAIRWISE:
            self._negatives = NegativeSampler(self._user, self._item, 0, data.nodes.items)

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """All interactions once, in random order.

        A full softmax gets all interactions of a user together, so that their partition sum is computed once.
        """
        if self._groups:
            place = torch.randperm(self.nodes.users, generator=generator, device=self._user.device)
            order = place[self._user].argsort()
        else:
            order = torch.randperm(len(self._user), generator=generator, device=self._user.device)
        user, item = self._user[order], self._item[order]
        drawn = self._negatives.draw(user, generator) if self.config.loss in PAIRWISE else None
        for start in range(0, len(order), self._batch_size):
            part = slice(start, start + self._batch_size)
            negative = self._sample(generator) if drawn is None else drawn[part]
            yield Batch(user[part], item[part], negative, shared=self._samples)

    def _sample(self, generator: torch.Generator) -> Tensor | None:
        if not self._samples:
            return None
        count = min(self.config.negatives, self.nodes.items)
        return torch.randint(self.nodes.items, (count,), generator=generator, device=self._user.device)

    def loss(self, users: Tensor, items: Tensor, batch: Batch) -> Tensor:
        """The mean loss of a batch's interactions; where several processes train, of this one's share of them.

        Args:
            users: vectors of all users, shape (users, d).
            items: vectors of all items, shape (items, d).
            batch: which interactions.
        """
        part = distributed.share(len(batch))
        if part.start == part.stop:  # a last batch may be smaller than the team
            return 0.0 * (users.sum() + items.sum())
        return distributed.weigh(self._loss(users, items, batch[part]), len(batch))

    def _loss(self, users: Tensor, items: Tensor, batch: Batch) -> Tensor:
        config = self.config
        if self._groups:
            readers, row = torch.unique(batch.user, return_inverse=True)
            read = F.embedding(readers, users)
            if config.loss == "softmax":
                return losses.softmax(read, items, row, batch.item, config.temperature)
            temperatures = {"temperature": config.temperature, "positive_temperature": config.positive_temperature}
            return losses.bilateral_softmax(read, items, row, batch.item, **temperatures)
        return self.loss_of(F.embedding(batch.user, users), F.embedding(batch.item, items), items, batch)

    def loss_of(self, user: Tensor, item: Tensor, items: Tensor, batch: Batch) -> Tensor:
        """The loss of a batch whose ends have been looked up: for losses that need no other users or items.

        Args:
            user: each interaction's user's vector, shape (n, d).
            item: each interaction's item's vector, shape (n, d).
            items: what `batch.negative` counts: vectors of shape (items, d).
            batch: which interactions.
        """
        config = self.config
        if config.loss == "directau":
            return losses.direct_au(user, item, config.uniformity)
        assert batch.negative is not None  # noqa: S101
        other = F.embedding(batch.negative, items)
        if config.loss in PAIRWISE:
            positive, negative = (user * item).sum(1), (user * other).sum(1)
            return losses.bpr(positive, negative) if config.loss == "bpr" else self._margin(positive, negative)
        user, item, other = F.normalize(user, dim=1), F.normalize(item, dim=1), F.normalize(other, dim=1)
        positive, negative = (user * item).sum(1), user @ other.T
        if config.loss == "cosine":
            return losses.cosine_contrast(positive, negative, config.margin, config.negative_weight)
        if config.loss == "psl":
            return losses.pairwise_softmax(positive, negative, config.temperature, config.activation)
        return losses.sampled_softmax(positive, negative, config.temperature)

    def _margin(self, positive: Tensor, negative: Tensor) -> Tensor:
        return losses.margin(positive, negative, self.config.margin)

    def squared_length(self, embeddings: Tensor, batch: Batch) -> Tensor:
        """Of the interactions' ends, as in `losses`; one look-up, since each writes a gradient of the whole table.

        Args:
            embeddings: of all nodes, which users begin.
            batch: which interactions.
        """
        ends = F.embedding(torch.cat([batch.user, batch.item + self.nodes.first_item]), embeddings)
        return losses.squared_length(*ends.chunk(2))

    def scorer(self, users: Tensor, items: Tensor) -> DotScorer:
        """The scorer that ranks as the loss does: by inner products, or by cosines. Copies what it keeps."""
        if self.config.loss in PAIRWISE:
            return DotScorer(users.clone(), items.clone())
        return DotScorer(users.clone(), F.normalize(items, dim=1))

"""Scores by embeddings and intents together, and of newcomers by their intents alone (IKGR, eqs. 9-11; `choices`)."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from typing_extensions import override

from cikg.recommend.parts.choices import Choices
from cikg.recommend.scorers import Scorer

BLOCK = 256
"""Intents compared with all items' intents at a time."""
NEWCOMERS_MIXER = 1.0
"""Weight of the intents in a newcomer's scores: they are all that is known."""
PREFIX = "choices_"


def prefixed(choices: Choices) -> dict[str, Tensor]:
    """The tensors of choices as arguments of `IntentScorer`."""
    return {f"{PREFIX}{name}": tensor for name, tensor in choices.tensors().items()}


class IntentScorer(Scorer):
    """cos(u, i) + b_i + mixer · mean over u's intents of max over i's intents of their cosine + weight · ln P(i | u).

    Args:
        user_vectors: of length 1, shape (users, d).
        item_vectors: of length 1, shape (items, d).
        intent_vectors: of length 1, shape (intents, d).
        item_bias: b, shape (items,).
        user_intents: int64, shape (users, k), -1 where a user has fewer.
        user_shares: weight of each in the mean, shape (users, k).
        item_offsets: where each item's intents begin and the last one's end, int64, shape (items + 1,).
        item_intents: int64.
        messages: what an intent tells a user that has it, shape (intents, d).
        item_messages: what it tells an item that satisfies it, shape (intents, d).
        weight, bias: the layer that makes a vector of the messages, shapes (d, d) and (d,).
        mixer: weight of the intents' cosines for each user, shape (users,).
        choice_weight: weight of the probability of choosing by intents for each user, shape (users,).
        choices: what gives that probability: the arguments of `Choices`, each with the prefix `choices_`; may be none,
            where the weight is 0.
    """

    def __init__(
        self,
        *,
        user_vectors: Tensor,
        item_vectors: Tensor,
        intent_vectors: Tensor,
        item_bias: Tensor,
        user_intents: Tensor,
        user_shares: Tensor,
        item_offsets: Tensor,
        item_intents: Tensor,
        messages: Tensor,
        item_messages: Tensor,
        weight: Tensor,
        bias: Tensor,
        mixer: Tensor,
        choice_weight: Tensor,
        **choices: Tensor,
    ) -> None:
        self.user_vectors, self.item_vectors, self.intent_vectors = user_vectors, item_vectors, intent_vectors
        self.item_bias, self.user_intents, self.user_shares = item_bias, user_intents, user_shares
        self.item_offsets, self.item_intents = item_offsets, item_intents
        self.messages, self.item_messages = messages, item_messages
        self.weight, self.bias, self.mixer, self.choice_weight = weight, bias, mixer, choice_weight
        named = {name.removeprefix(PREFIX): tensor for name, tensor in choices.items()}
        self.choices = Choices(**named) if named else None

    @override
    def scores(self, user_index: Tensor) -> Tensor:
        intents, mixer = self.user_intents[user_index], self.mixer[user_index]
        scores = self._mixed(self.user_vectors[user_index], intents, mixer[:, None] * self.user_shares[user_index])
        if self.choices is None:
            return scores
        return scores + self.choice_weight[user_index, None] * self.choices.log_probability(user_index)

    @override
    def tensors(self) -> dict[str, Tensor]:
        own = {name: tensor for name, tensor in vars(self).items() if name != "choices"}
        return own | ({} if self.choices is None else prefixed(self.choices))

    def newcomer(self, intents: Tensor) -> Tensor:
        """Scores of all items for somebody of whom nothing but intents is known; float32, shape (items,).

        Args:
            intents: int64, shape (k,); at least one.
        """
        shares = torch.full((1, len(intents)), NEWCOMERS_MIXER / len(intents))
        return self._mixed(self.encoded(self.messages, intents[None]), intents[None], shares)[0]

    def encoded(self, messages: Tensor, intents: Tensor) -> Tensor:
        """The vectors that the convolution makes of intents alone (eq. 3); of length 1, shape (n, d).

        Args:
            messages: what each intent tells its owner, shape (intents, d).
            intents: of each owner, int64, shape (n, k), -1 where one has fewer.
        """
        present = intents >= 0
        shares = present / present.sum(1, keepdim=True).clamp_min(1).sqrt()
        told = F.embedding_bag(intents.clamp_min(0), messages, mode="sum", per_sample_weights=shares.to(messages.dtype))
        return F.normalize(F.leaky_relu(F.linear(told, self.weight, self.bias)), dim=1)

    def likeness(self, intents: Tensor, items: Tensor) -> Tensor:
        """How like each of some intents the most alike one of each of some items is; shape (items, k).

        Args:
            intents: int64, shape (k,).
            items: int64, shape (items,).
        """
        return self._likeness(intents)[:, items].T

    def _mixed(self, vectors: Tensor, intents: Tensor, shares: Tensor) -> Tensor:
        """Scores by vectors, and by how alike the intents are, each of the users' with its share."""
        scores = vectors @ self.item_vectors.T + self.item_bias
        present = (intents >= 0) & (shares > 0)
        distinct, place = torch.unique(intents[present], return_inverse=True)
        if not len(distinct):
            return scores
        offsets = F.pad(present.sum(1).cumsum(0), (1, 0))
        return scores + F.embedding_bag(
            place,
            self._likeness(distinct),
            offsets,
            mode="sum",
            per_sample_weights=shares[present],
            include_last_offset=True,
        )

    def _likeness(self, intents: Tensor) -> Tensor:
        """How like each of some intents an item's most alike one is; shape (k, items), 0 for items without intents."""
        parts = []
        for block in torch.split(intents, BLOCK):
            cosines = (self.intent_vectors[block] @ self.intent_vectors.T)[:, self.item_intents]  # (block, links)
            parts.append(
                torch.segment_reduce(cosines.T, "max", offsets=self.item_offsets, axis=0, initial=-1.0).T
                if len(self.item_intents)
                else cosines.new_zeros(len(block), len(self.item_vectors))
            )
        likeness = torch.cat(parts)
        likeness[:, self.item_offsets.diff() == 0] = 0.0
        return likeness

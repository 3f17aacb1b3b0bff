"""What a fitted method leaves behind: a few tensors that give every user's scores. Only these are saved and served."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from typing_extensions import override

from cikg.errors import SnapshotError


class Scorer(ABC):
    """Scores of all items for some users. Higher is better; scores of different users need not compare."""

    kinds: ClassVar[dict[str, type[Scorer]]] = {}
    """Every kind by its class name, as a saved run names it."""

    def __init_subclass__(cls) -> None:
        Scorer.kinds[cls.__name__] = cls

    @abstractmethod
    def scores(self, user_index: Tensor) -> Tensor:
        """Scores for B users: float32, shape (B, items). The caller may write into it.

        Args:
            user_index: int64, shape (B,).
        """

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Everything needed to make the scorer again: arguments of its constructor by name."""

    def shares(self, user_index: Tensor) -> Iterator[tuple[str, Tensor]]:
        """What each expert adds to the scores of B users, float32, shape (B, items): nothing where there is but one.

        Args:
            user_index: int64, shape (B,).
        """
        return iter(())

    def report(self) -> dict[str, float]:
        """What a report should say about the fit besides its metrics."""
        return {}

    @classmethod
    def restore(cls, kind: str, tensors: dict[str, Tensor]) -> Scorer:
        """Make a scorer from what `tensors` gave.

        Raises:
            SnapshotError: the kind is unknown, or the tensors are not its own.
        """
        if kind not in cls.kinds:
            raise SnapshotError(f"the saved weights are of an unknown kind {kind!r}", cure="Train again")
        try:
            return cls.kinds[kind](**tensors)
        except TypeError:
            raise SnapshotError(f"the saved weights are not those of a {kind}", cure="Train again") from None


class DotScorer(Scorer):
    """Inner products of user and item vectors.

    Args:
        user_vectors: shape (users, d).
        item_vectors: shape (items, d).
    """

    def __init__(self, user_vectors: Tensor, item_vectors: Tensor) -> None:
        self.user_vectors, self.item_vectors = user_vectors, item_vectors

    @override
    def scores(self, user_index: Tensor) -> Tensor:
        return self.user_vectors[user_index] @ self.item_vectors.T

    @override
    def tensors(self) -> dict[str, Tensor]:
        return {"user_vectors": self.user_vectors, "item_vectors": self.item_vectors}


class GatedScorer(DotScorer):
    """Inner products of vectors that a gate mixed of several experts', and how it did.

    Args:
        user_vectors: shape (users, d).
        item_vectors: shape (items, d).
        user_gates: the weight of each expert for each user, the collaborative one first; shape (users, experts).
        item_gates: the same for each item.
        energy: the share of the profiles' energy that distillation kept; a scalar.
    """

    def __init__(
        self, user_vectors: Tensor, item_vectors: Tensor, user_gates: Tensor, item_gates: Tensor, energy: Tensor
    ) -> None:
        super().__init__(user_vectors, item_vectors)
        self.user_gates, self.item_gates, self.energy = user_gates, item_gates, energy

    @override
    def tensors(self) -> dict[str, Tensor]:
        gates = {"user_gates": self.user_gates, "item_gates": self.item_gates}
        return super().tensors() | gates | {"energy": self.energy}

    @override
    def report(self) -> dict[str, float]:
        return {
            "retained_energy": float(self.energy),
            "semantic_share_of_users": float(1 - self.user_gates[:, 0].mean()),
            "semantic_share_of_items": float(1 - self.item_gates[:, 0].mean()),
        }


class ItemWeightScorer(Scorer):
    """Sums of the rows of an item–item matrix that belong to a user's history.

    Args:
        offsets: where each user's history begins, int32, shape (users + 1,).
        history: items read, int32.
        weights: B, shape (items, items): row = read, column = scored.
    """

    def __init__(self, offsets: Tensor, history: Tensor, weights: Tensor) -> None:
        self.offsets, self.history = offsets, history
        self.weights = weights.contiguous()  # sums of rows that lie column by column take forty times as long

    @override
    def scores(self, user_index: Tensor) -> Tensor:
        length = self.offsets.diff()[user_index]
        ends = length.cumsum(0)
        within = _ranges(length)
        items = self.history[self.offsets[user_index].repeat_interleave(length) + within]
        starts = F.pad(ends, (1, 0)).to(items.dtype)
        return F.embedding_bag(items, self.weights, starts, mode="sum", include_last_offset=True)

    @override
    def tensors(self) -> dict[str, Tensor]:
        return {"offsets": self.offsets, "history": self.history, "weights": self.weights}


class MixtureScorer(Scorer):
    """A weighted sum of experts, each standardised over the items of a user so that scales compare.

    score(u, i) = Σₑ gate(u, e)·(sₑ(u, i) - mean of sₑ(u, ·)) / deviation of sₑ(u, ·)

    Args:
        gates: weight of each expert for each user, float32, shape (users, experts).
        parts: every expert's tensors, named `place:expert:kind:tensor`, as `of` names them.
    """

    def __init__(self, gates: Tensor, **parts: Tensor) -> None:
        self.gates = gates
        grouped: dict[tuple[int, str, str], dict[str, Tensor]] = {}
        for name, tensor in parts.items():
            place, expert, kind, part = name.split(":")
            grouped.setdefault((int(place), expert, kind), {})[part] = tensor
        self.experts = {expert: Scorer.restore(kind, own) for (_, expert, kind), own in sorted(grouped.items())}
        """The experts by name, in the order of the gates' columns."""

    @classmethod
    def of(cls, gates: Tensor, experts: Mapping[str, Scorer]) -> MixtureScorer:
        """Mix fitted experts, as many as `gates` has columns."""
        made = cls(gates)
        made.experts = dict(experts)
        return made

    @override
    def shares(self, user_index: Tensor) -> Iterator[tuple[str, Tensor]]:
        for column, (expert, scorer) in enumerate(self.experts.items()):
            share = standardise(scorer.scores(user_index))
            yield expert, share.mul_(self.gates[user_index, column, None])

    @override
    def scores(self, user_index: Tensor) -> Tensor:
        shares = self.shares(user_index)
        _, total = next(shares)
        for _, share in shares:
            total += share
        return total

    @override
    def tensors(self) -> dict[str, Tensor]:
        whole = {"gates": self.gates}
        for place, (expert, scorer) in enumerate(self.experts.items()):
            kind = type(scorer).__name__
            whole |= {f"{place}:{expert}:{kind}:{part}": tensor for part, tensor in scorer.tensors().items()}
        return whole

    @override
    def report(self) -> dict[str, float]:
        mean = self.gates.mean(0).tolist()
        return {f"weight_of_{expert}": weight for expert, weight in zip(self.experts, mean, strict=True)}


def standardise(scores: Tensor) -> Tensor:
    """Subtract each row's mean and divide by its standard deviation; a constant row becomes 0. Shape (B, items)."""
    centred = scores - scores.mean(1, keepdim=True)
    deviation = centred.square().mean(1, keepdim=True).sqrt()
    return centred.div_(deviation.clamp_min(1e-9))


class StaticScorer(Scorer):
    """The same scores for everybody.

    Args:
        item_scores: shape (items,).
    """

    def __init__(self, item_scores: Tensor) -> None:
        self.item_scores = item_scores

    @override
    def scores(self, user_index: Tensor) -> Tensor:
        return self.item_scores.repeat(len(user_index), 1)

    @override
    def tensors(self) -> dict[str, Tensor]:
        return {"item_scores": self.item_scores}


def _ranges(length: Tensor) -> Tensor:
    """0, 1, …, n - 1 for each n of `length`, one after the other."""
    ends = length.cumsum(0)
    return torch.arange(int(length.sum()), device=length.device) - (ends - length).repeat_interleave(length)

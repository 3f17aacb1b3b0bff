"""Choices by intents: whoever chooses an item had one of its intents in mind, or none at all.

    P(i | u) = Σ_k π_uk · φ_ki + π_u0 · φ_0i
    π_uk ∝ n_uk^γ · exp(v_k + s_r),    π_u0 ∝ exp(c) · (1 + Σ_j n_uj of choices),    φ_ki ∝ exp(b_i) where i satisfies k

n_uk is of how many of u's items it is that they satisfy intent k, s_r is what it adds that the model said in round r
that u has it, and φ_0 is over all items. An item's probability adds up over its intents, and each intent shares its
own out over the items that satisfy it: a narrow intent says much about few of them. A score that compares intents by
cosines knows neither. All parameters are learned on choices held out of n, so that no choice speaks for itself.

This is a mixture of known topics (D. Ramage et al.: Labeled LDA. EMNLP 2009), learned by what it predicts.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from cikg.recommend.data.intents import Links
from cikg.recommend.data.nodes import Array, Pairs

HELD_OUT = 0.3
"""Share of the choices that a step holds out."""
BLOCK = 256
"""Users whose motives are written down at once."""
LEAST = 1e-12


@dataclass(frozen=True)
class Choices:
    """What users choose, and by which intents: the outcome of `ChoiceModel`.

    Attributes:
        user_offsets: where each user's motives begin and the last one's end, int64, shape (users + 1,).
        motives: intents, int64, shape (n,).
        shares: π of each, shape (n,).
        background: π_u0, shape (users,).
        item_offsets: where each item's intents begin and the last one's end, int64, shape (items + 1,).
        item_intents: those that items satisfy, int64.
        attraction: exp(b), shape (items,).
        mass: by intent, the attraction of all items that satisfied it in training; shape (intents,).
        total: the attraction of all items, shape ().
    """

    user_offsets: Tensor
    motives: Tensor
    shares: Tensor
    background: Tensor
    item_offsets: Tensor
    item_intents: Tensor
    attraction: Tensor
    mass: Tensor
    total: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Arguments of the constructor by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def carried_over(self, users: Tensor, items: Tensor, pool: Tensor, satisfied: Links) -> Choices:
        """The same by the indices of a later snapshot: what was known keeps its probabilities.

        Args:
            users: where each user was, -1 where it is new, like the next two.
            items: the same of items; new ones attract as the mean of all.
            pool: the same of intents; those that went are nobody's motive any more.
            satisfied: which intents items satisfy, by their new indices.
        """
        place = torch.full_like(self.mass, -1, dtype=torch.int64)
        place[pool[pool >= 0]] = torch.arange(len(pool))[pool >= 0]
        row, at = _spread(self.user_offsets, users.clamp_min(0))
        kept = (users >= 0)[row] & (place[self.motives[at]] >= 0)
        of_item, its = _spread(self.item_offsets, items.clamp_min(0))
        old = (items >= 0)[of_item] & (place[self.item_intents[its]] >= 0)
        new = torch.from_numpy(satisfied.owner_index), torch.from_numpy(satisfied.intent_index)
        fresh = items[new[0]] < 0
        owner = torch.cat([of_item[old], new[0][fresh]])
        intents = torch.cat([place[self.item_intents[its[old]]], new[1][fresh]])
        order = torch.argsort(owner, stable=True)
        return Choices(
            user_offsets=_ends(row[kept], len(users)),
            motives=place[self.motives[at[kept]]],
            shares=self.shares[at[kept]],
            background=torch.where(users >= 0, self.background[users.clamp_min(0)], 1.0),
            item_offsets=_ends(owner, len(items)),
            item_intents=intents[order],
            attraction=torch.where(items >= 0, self.attraction[items.clamp_min(0)], self.attraction.mean()),
            mass=torch.where(pool >= 0, self.mass[pool.clamp_min(0)], 0.0),
            total=self.total,
        )

    def log_probability(self, user_index: Tensor) -> Tensor:
        """The logarithm of P(i | u), shape (B, items).

        Args:
            user_index: int64, shape (B,).
        """
        row, place = _spread(self.user_offsets, user_index)
        motives = torch.zeros(len(user_index), len(self.mass), device=row.device)
        motives[row, self.motives[place]] = self.shares[place]
        return self.given(motives, self.background[user_index])

    def given(self, motives: Tensor, background: Tensor) -> Tensor:
        """The same of users of whom π is given, shapes (B, intents) and (B,)."""
        each = (motives / self.mass.clamp_min(LEAST)).T
        table = self.item_intents, each, self.item_offsets
        by_intent = F.embedding_bag(*table, mode="sum", include_last_offset=True).T
        return torch.log((by_intent + (background / self.total)[:, None]) * self.attraction + LEAST)


class ChoiceModel(nn.Module):
    """The parameters, and how they are learned.

    Args:
        fit: who chose what.
        possessed: intents that users are said to have.
        satisfied: intents that items satisfy.
        shape: users, items, intents.
        device: where it is learned.
    """

    def __init__(
        self, fit: Pairs, possessed: Links, satisfied: Links, shape: tuple[int, int, int], device: torch.device
    ) -> None:
        super().__init__()
        users, items, intents = shape
        read = np.bincount(fit.item_index, minlength=items)
        serve = np.bincount(satisfied.intent_index, minlength=intents)
        self.attraction = nn.Parameter(torch.from_numpy(np.log((read + 1) / (read + 1).mean())).float())
        self.motive = nn.Parameter(torch.from_numpy(np.log(np.maximum(serve, 1))).float())  # v: broad ones first
        self.power = nn.Parameter(torch.tensor(1.5))  # γ
        self.aimless = nn.Parameter(self.motive.detach().exp().mean().log())  # c
        self.said = nn.Parameter(torch.zeros(2))  # s

        def table(owner: Array, owners: int, column: Array) -> tuple[Tensor, Tensor]:
            ends = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=owners))])
            ordered = column[np.argsort(owner, kind="stable")]
            return torch.from_numpy(ends).to(device), torch.from_numpy(ordered).to(device)

        self._item_offsets, self._item_intents = table(satisfied.owner_index, items, satisfied.intent_index)
        self._user_offsets, self._history = table(fit.user_index, users, fit.item_index)
        self._said_offsets, self._said_intents = table(possessed.owner_index, users, possessed.intent_index)
        self._said_round = table(possessed.owner_index, users, (possessed.round == 2).astype(np.int64))[1]
        self.to(device)

    def loss(self, users: Tensor, generator: torch.Generator) -> Tensor:
        """Mean of -ln P over choices that are held out, among the items that were not kept.

        Args:
            users: some of them, int64, shape (B,).
            generator: which choices are held out.
        """
        row, place = _spread(self._user_offsets, users)
        held = torch.rand(len(row), generator=generator, device=row.device) < HELD_OUT
        item = self._history[place]
        motives, background = self._motives(users, row, item, ~held)
        logits = self._offer().given(motives, background)
        seen = torch.zeros_like(logits, dtype=torch.bool)
        seen[row[~held], item[~held]] = True
        found = F.log_softmax(logits.masked_fill(seen, -torch.inf), dim=1)[row[held], item[held]]
        return -found.sum() / held.sum().clamp_min(1)

    @torch.no_grad()
    def choices(self) -> Choices:
        """What was learned, with whole histories."""
        parts = []
        for users in torch.arange(len(self._user_offsets) - 1, device=self._history.device).split(BLOCK):  # type: ignore[no-untyped-call]
            row, place = _spread(self._user_offsets, users)
            kept = torch.ones(len(row), dtype=torch.bool, device=row.device)
            motives, background = self._motives(users, row, self._history[place], kept)
            present = motives > 0
            parts.append((present.sum(1), present.nonzero()[:, 1], motives[present], background))
        lengths, intents, shares, backgrounds = (torch.cat(each) for each in zip(*parts, strict=True))
        offsets = F.pad(lengths.cumsum(0), (1, 0))
        users_side = {"user_offsets": offsets, "motives": intents, "shares": shares, "background": backgrounds}
        return dataclasses.replace(self._offer(), **users_side)

    def _offer(self) -> Choices:
        """The items' side: what is offered, and nobody to choose."""
        attraction = self.attraction.exp()
        of_links = attraction.repeat_interleave(self._item_offsets.diff())
        nobody, nothing = self._history[:0], attraction[:0]
        return Choices(
            user_offsets=self._user_offsets[:1],
            motives=nobody,
            shares=nothing,
            background=nothing,
            item_offsets=self._item_offsets,
            item_intents=self._item_intents,
            attraction=attraction,
            mass=torch.zeros_like(self.motive).index_add(0, self._item_intents, of_links),
            total=attraction.sum(),
        )

    def _motives(self, users: Tensor, row: Tensor, item: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """π of some users, given which of their choices are kept: shapes (B, intents) and (B,)."""
        shape = len(users), len(self.motive)
        link, place = _spread(self._item_offsets, item)
        cell = row[link] * shape[1] + self._item_intents[place]
        flat = torch.zeros(shape[0] * shape[1], device=row.device)
        count = flat.index_add(0, cell, kept[link].float()).view(shape)
        whole = flat.index_add(0, cell, torch.ones(len(cell), device=row.device)).view(shape)
        owner, place = _spread(self._said_offsets, users)
        told = torch.zeros(2, *shape, device=row.device)
        told[self._said_round[place], owner, self._said_intents[place]] = 1.0
        told *= (count > 0) | (whole == 0)  # what only held-out choices show was not said
        weight = torch.exp(self.motive + self.said[0] * told[0] + self.said[1] * told[1] - self.motive.detach().max())
        motives = torch.where(count > 0, count.clamp_min(1.0) ** self.power * weight, 0.0)
        history = torch.zeros(len(users), device=row.device).index_add(0, row, kept.float())
        background = torch.exp(self.aimless - self.motive.detach().max()) * (1 + history)
        total = motives.sum(1) + background
        return motives / total[:, None], background / total


def _ends(owner: Tensor, owners: int) -> Tensor:
    """Where each owner's rows begin and the last one's end, once they are sorted."""
    return F.pad(torch.bincount(owner, minlength=owners).cumsum(0), (1, 0))


def _spread(offsets: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """All places of some rows of a ragged table: which of the rows it is, and where it lies."""
    length = offsets.diff()[rows]
    row = torch.arange(len(rows), device=rows.device).repeat_interleave(length)
    within = torch.arange(len(row), device=rows.device) - (length.cumsum(0) - length)[row]
    return row, offsets[rows][row] + within

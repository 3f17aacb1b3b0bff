"""Negatives drawn on the device: random integers, of which those that are known are drawn again."""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDS = 3
"""Rejections: after three, a positive is left with probability density⁴, far below the noise of the data."""

TABLE = 2**26
"""Cells of keys by values up to which a table of bytes says what is known; beyond, a binary search is slower."""


class NegativeSampler:
    """Draws values that do not occur with a given key.

    Args:
        keys: int64, shape (n,).
        values: what occurs with each, int64, shape (n,).
        first: the smallest value to draw.
        last: one past the largest.
    """

    def __init__(self, keys: Tensor, values: Tensor, first: int, last: int) -> None:
        self._width = max(last, int(values.max()) + 1 if len(values) else 0)
        self._first, self._last = first, last
        known = keys * self._width + values
        self._table: Tensor | None = None
        if len(keys) and (int(keys.max()) + 1) * self._width <= TABLE:
            self._table = torch.zeros((int(keys.max()) + 1) * self._width, dtype=torch.bool, device=keys.device)
            self._table[known] = True
        else:
            self._known = torch.unique(known)

    def draw(self, keys: Tensor, generator: torch.Generator) -> Tensor:
        """One value for each key; int64, shape of `keys`. The more keys at once, the less each costs."""
        drawn = self._random(len(keys), keys.device, generator)
        if keys.is_cuda:  # a shape that depends on values would wait for the GPU
            for _ in range(ROUNDS):
                again = self._random(len(keys), keys.device, generator)
                drawn = torch.where(self.occurs(keys, drawn), again, drawn)
            return drawn
        known = self.occurs(keys, drawn).nonzero().squeeze(1)
        for _ in range(ROUNDS):
            drawn[known] = self._random(len(known), keys.device, generator)
            known = known[self.occurs(keys[known], drawn[known])]
        return drawn

    def occurs(self, keys: Tensor, values: Tensor) -> Tensor:
        """Whether each value occurs with its key; bool, shape of `keys`."""
        wanted = keys * self._width + values
        if self._table is not None:
            inside = wanted < len(self._table)
            return self._table[torch.where(inside, wanted, 0)] & inside
        if not len(self._known):
            return torch.zeros_like(wanted, dtype=torch.bool)
        place = torch.searchsorted(self._known, wanted).clamp_max_(len(self._known) - 1)
        found: Tensor = self._known[place] == wanted
        return found

    def _random(self, count: int, device: torch.device, generator: torch.Generator) -> Tensor:
        return torch.randint(self._first, self._last, (count,), generator=generator, device=device)

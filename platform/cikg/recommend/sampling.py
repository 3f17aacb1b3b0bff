"""Negatives drawn on the device: random integers, and a binary search among the sorted positives to reject some."""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDS = 3
"""Rejections: after three, a positive is left with probability density³, far below the noise of the data."""


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
        self._known = torch.unique(keys * self._width + values)
        self._first, self._last = first, last

    def draw(self, keys: Tensor, generator: torch.Generator) -> Tensor:
        """One value for each key; int64, shape of `keys`."""
        drawn = self._random(len(keys), keys.device, generator)
        if not len(self._known):
            return drawn
        for _ in range(ROUNDS):
            again = self._random(len(keys), keys.device, generator)
            drawn = torch.where(self.occurs(keys, drawn), again, drawn)
        return drawn

    def occurs(self, keys: Tensor, values: Tensor) -> Tensor:
        """Whether each value occurs with its key; bool, shape of `keys`."""
        wanted = keys * self._width + values
        place = torch.searchsorted(self._known, wanted).clamp_max_(len(self._known) - 1)
        found: Tensor = self._known[place] == wanted
        return found

    def _random(self, count: int, device: torch.device, generator: torch.Generator) -> Tensor:
        return torch.randint(self._first, self._last, (count,), generator=generator, device=device)

"""How a run was trained, whatever its method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Protocol = Literal["honest", "paper"]
Precision = Literal["float32", "mixed"]


@dataclass(frozen=True)
class Options:
    """How to train, whatever the method: the arguments of `train` that determine the result.

    Attributes:
        seed: of initialisation, order, negatives and noise.
        protocol: `honest` selects on valid; `paper` on test, fitting train and valid.
        refit: after an honest selection, fit train and valid with what was chosen.
        epochs: the most epochs of a gradient method.
        patience: epochs without improvement before it stops.
        metric: what is selected on, as `ndcg@50`, or a sum, as `recall@50+ndcg@50`.
        precision: `mixed` lets products of matrices be of bfloat16; tables, moments and partition sums stay float32.
    """

    seed: int
    protocol: Protocol
    refit: bool
    epochs: int
    patience: int
    metric: str
    precision: Precision

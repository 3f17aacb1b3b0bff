"""iALS: matrix factorisation of implicit feedback by alternating least squares (Hu et al., ICDM 2008)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from cikg.recommend.data.views import Pairs, TrainingData
from cikg.recommend.method import ClosedForm, Config, Method, Span
from cikg.recommend.scorers import DotScorer, Scorer

ENTRIES = 2**24
"""Numbers that the linear systems solved at once hold: bounds their memory to 64 MiB."""
EVERY = 4
"""Rounds between two candidates."""


class IalsConfig(Config):
    """Hyperparameters of iALS, as Rendle et al. (RecSys 2022) parametrise it."""

    dimension: int = Field(128, ge=1, description="Width of an embedding")
    unobserved_weight: float = Field(
        0.1, gt=0, description="α₀, the weight of what was not chosen; chosen items weigh 1"
    )
    penalty: float = Field(0.01, gt=0, description="λ, the L2 penalty")
    frequency_power: float = Field(1.0, ge=0, le=1, description="ν: 1 penalises by frequency, 0 all alike")
    interests: bool = Field(False, description="Also factorise users' interests, as if they were chosen items")
    rounds: int | None = Field(None, ge=1, description="Rounds; by default the best on valid of 4, 8, 12 and 16")
    starts: int = Field(1, ge=1, description="Number of random starts, whose scores are averaged")


class Ials(ClosedForm):
    """Minimises Σ_chosen (1 - u·i)² + α₀·Σ_all (u·i)² + λ·Σ frequency^ν·|·|², one side at a time.

    Rows are users. Columns are items, and interests where these are asked for (as in the collective factorisation of
    Singh and Gordon, KDD 2008): a user's vector has to say both what the user chose and what they care for.

    Where a factorisation ends depends on where it starts. The mean of several ranks better than each, and is one
    product again: that of their vectors side by side.
    """

    def __init__(self, data: TrainingData, config: IalsConfig, device: torch.device) -> None:
        self._config, nodes = config, data.nodes
        scale = 0.1 / config.dimension**0.5
        user, item, columns = data.fit.user_index, data.fit.item_index, nodes.items
        if config.interests:
            user = np.concatenate([user, data.interest_user_index])
            item = np.concatenate([item, data.interest_index + columns])
            columns += nodes.interests
        self._starts = torch.randn(config.starts, columns, config.dimension).to(device) * scale
        self._by_user = _sorted(Pairs.of(user, item), nodes.users, device)
        self._by_item = _sorted(Pairs.of(item, user), columns, device)
        self._catalogue = nodes.items

    @override
    def candidates(self) -> Iterator[tuple[dict[str, Any], Scorer]]:
        stops = range(EVERY, 4 * EVERY + 1, EVERY) if self._config.rounds is None else (self._config.rounds,)
        columns = list(self._starts)
        for done in range(1, stops[-1] + 1):
            users = [self._solve(*self._by_user, each) for each in columns]
            columns = [self._solve(*self._by_item, each) for each in users]
            if done in stops:
                items = torch.cat([each[: self._catalogue] for each in columns], dim=1)
                yield {"rounds": done}, DotScorer(torch.cat(users, dim=1) / len(users), items)

    def _solve(self, offsets: Tensor, others: Tensor, vectors: Tensor) -> Tensor:
        """The best vectors of one side, given the other's.

        The systems of rows that have equally many entries are made by one batched product.

        Args:
            offsets: where each row's entries begin; shape (rows + 1,).
            others: their columns.
            vectors: of the columns; shape (columns, d).
        """
        config, count = self._config, offsets.diff()
        shared = config.unobserved_weight * vectors.T @ vectors
        solved = torch.zeros(len(count), vectors.shape[1], device=vectors.device)
        strength = (count + config.unobserved_weight * len(vectors)).to(vectors.dtype) ** config.frequency_power
        for length in torch.unique(count).tolist():
            if not length:
                continue
            alike = torch.nonzero(count == length).squeeze(1)
            step = max(1, ENTRIES // (vectors.shape[1] * max(length, vectors.shape[1])))
            for rows in torch.split(alike, step):
                entries = others[offsets[rows, None] + torch.arange(length, device=rows.device)]
                chosen = vectors[entries]  # (rows, length, d)
                systems = chosen.transpose(1, 2) @ chosen + shared
                systems.diagonal(dim1=1, dim2=2).add_(config.penalty * strength[rows, None])
                solved[rows] = torch.cholesky_solve(chosen.sum(1)[:, :, None], torch.linalg.cholesky(systems))[:, :, 0]
        return solved


def _sorted(pairs: Pairs, rows: int, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(pairs.offsets(rows)).to(device), torch.from_numpy(pairs.item_index).to(device)


METHOD = Method(
    paper="Y. Hu, Y. Koren, C. Volinsky: Collaborative filtering for implicit feedback datasets. ICDM 2008",
    departures=(
        "the penalty grows with how often a user or item occurs (S. Rendle, W. Krichene, L. Zhang, Y. Koren: "
        "Revisiting the performance of iALS on item recommendation benchmarks. RecSys 2022)",
        "the number of rounds is chosen on the validation split, interests may be factorised beside items, and scores "
        "of several factorisations averaged",
    ),
    config=IalsConfig,
    build=Ials,
    search={
        "dimension": (32, 64, 128, 256),
        "unobserved_weight": Span(0.005, 1.0, log=True),
        "penalty": Span(0.0003, 0.1, log=True),
    },
)

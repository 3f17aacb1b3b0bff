"""Texts: predicts choices from the texts of the items that the user chose before.

The vectors of items' profiles, or of their own texts, are distilled; `matching` fits every user's taste to them. What a
model wrote about users is not read: of imported profiles nothing tells whether they know what was held out.
"""

from __future__ import annotations

import torch
from pydantic import Field

from cikg.errors import InputError
from cikg.recommend.data.views import TrainingData
from cikg.recommend.method import Config, Method, OneFit, Span
from cikg.recommend.parts import matching
from cikg.text.distillation import distill


class TextsConfig(Config):
    """Hyperparameters of the regression."""

    rank: int = Field(256, ge=1, description="Directions of the vectors that are kept")
    penalty: float = Field(10.0, gt=0, description="λ: the larger, the less directions with few items count")


class Texts(OneFit):
    """Scores Z·w, where w is a user's taste and the rows of Z are the items' distilled vectors, of length 1."""

    def __init__(self, data: TrainingData, config: TextsConfig, device: torch.device) -> None:
        vectors = matching.centred(data.item_profile)
        if not vectors.any():
            raise InputError(
                "no text vectors tell the items apart, and this method uses nothing else",
                cure="Make some with `cikg embed`, take a snapshot again, or train another method",
            )
        distilled = matching.unit(distill(vectors, rank=config.rank).vectors)
        self.scorer = matching.tastes(data, distilled, config.penalty, device)


METHOD = Method(
    paper="A. E. Hoerl, R. W. Kennard: Ridge regression: biased estimation for nonorthogonal problems. "
    "Technometrics 12, 1970",
    departures=("its features are the directions in which the vectors of items' texts differ most",),
    config=TextsConfig,
    build=Texts,
    search={"rank": Span(32, 512, log=True), "penalty": Span(1.0, 100.0, log=True)},
)

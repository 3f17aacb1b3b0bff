"""Interests: what others who share the user's interests choose, with a weight per interest.

A ridge regression from interests to items (Hoerl and Kennard, Technometrics 1970): the linear map that, of all, best
says from a user's interests what the user chose.
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field

from cikg.errors import InputError
from cikg.recommend.data.views import Pairs, TrainingData
from cikg.recommend.method import Config, Method, OneFit, Span
from cikg.recommend.parts import linear
from cikg.recommend.scorers import ItemWeightScorer


class InterestsConfig(Config):
    """Hyperparameters of the regression."""

    penalty: float = Field(50.0, gt=0, description="λ: the larger, the less interests with few holders count")


class Interests(OneFit):
    """B = (YᵀY + λI)⁻¹·YᵀX, where Y says who holds which interest and X who chose what; a score is y_u·B."""

    def __init__(self, data: TrainingData, config: InterestsConfig, device: torch.device) -> None:
        nodes = data.nodes
        if not len(data.interest_index):
            raise InputError(
                "no user has an interest, and this method uses nothing else",
                cure="Make some with `cikg extract user_interests` and `cikg cluster`, or train another method",
            )
        held = Pairs.of(data.interest_user_index, data.interest_index)
        holders = linear.binary(held, nodes.users, nodes.interests)
        together = (holders.T @ holders).toarray() + config.penalty * np.eye(nodes.interests)
        chosen = (holders.T @ linear.interactions(data)).toarray()
        weights = np.linalg.solve(together, chosen).astype(np.float32)  # (interests, items)
        self.scorer = ItemWeightScorer(*linear.rows(held, nodes.users, device), torch.from_numpy(weights).to(device))


METHOD = Method(
    paper="A. E. Hoerl, R. W. Kennard: Ridge regression: biased estimation for nonorthogonal problems. "
    "Technometrics 12, 1970",
    departures=("interests of the collaborative-interest knowledge graph are its only features",),
    config=InterestsConfig,
    build=Interests,
    search={"penalty": Span(1.0, 1000.0, log=True)},
)

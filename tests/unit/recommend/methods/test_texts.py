"""Texts as a recommender: items that nobody has chosen, and vectors that tell nothing apart."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from cikg.errors import InputError
from cikg.recommend.data.views import training_data
from cikg.recommend.methods.texts import Texts, TextsConfig
from cikg.schema import SplitCode
from tests.unit.recommend.planted import two_tastes

USERS, ITEMS, COLD = 60, 40, 4
CPU = torch.device("cpu")


def test_items_that_nobody_has_chosen_are_found_by_what_their_texts_say(tmp_path: Path) -> None:
    data = training_data(two_tastes(tmp_path), (SplitCode.TRAIN,), SplitCode.VALID)
    ((_, scorer),) = Texts(data, TextsConfig(rank=2), CPU).candidates()
    assert scorer.item_vectors.shape == (ITEMS, 2)
    scores = scorer.scores(torch.arange(USERS))[:, ITEMS - COLD :].numpy()
    own = (np.arange(USERS)[:, None] % 2) == (np.arange(ITEMS - COLD, ITEMS)[None] % 2)
    assert scores[own].min() > scores[~own].max()


def test_without_vectors_that_tell_items_apart_it_is_refused(tmp_path: Path) -> None:
    data = training_data(two_tastes(tmp_path), (SplitCode.TRAIN,), None)
    for vectors in (data.item_profile[:, :0], np.ones_like(data.item_profile), np.full_like(data.item_profile, np.nan)):
        with pytest.raises(InputError, match="tell the items apart"):
            Texts(dataclasses.replace(data, item_profile=vectors), TextsConfig(), CPU)

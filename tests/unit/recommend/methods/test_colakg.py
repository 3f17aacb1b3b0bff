"""CoLaKG: what texts and neighbours by text add, and that without texts it is LightGCN."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

from cikg.graph.snapshot import Snapshot
from cikg.recommend import runs
from cikg.recommend.data.views import TrainingData, training_data
from cikg.recommend.engine import train
from cikg.recommend.methods.colakg import Colakg, ColakgConfig
from cikg.recommend.methods.lightgcn import Lightgcn, LightgcnConfig
from cikg.recommend.scorers import standardise
from cikg.schema import SplitCode
from cikg.settings import Settings
from tests.unit.recommend.planted import write_snapshot

USERS, ITEMS, COLD, WIDTH = 60, 40, 4, 6
SMALL = {"dimension": 16, "batch_size": 128, "learning_rate": 0.02, "neighbours": 3, "text_weight": 0.3}
CPU = torch.device("cpu")


def comprehended(folder: Path, *, texts: bool = True) -> Snapshot:
    """Readers and books of two tastes, which texts tell; the last books nobody has read."""
    random = np.random.default_rng(5)
    interactions = []
    for user in range(USERS):
        own = random.permutation(np.arange(user % 2, ITEMS - COLD, 2))[: 12 if user % 3 else 5]
        interactions += [(user, int(item), SplitCode.TRAIN) for item in own[2:]]
        interactions += [(user, int(own[0]), SplitCode.VALID), (user, int(own[1]), SplitCode.TEST)]
    centres = random.normal(size=(2, WIDTH))
    columns = {
        f"embeddings.{kind}_profiles.lexical_{WIDTH}": (
            centres[np.arange(count) % 2] + 0.3 * random.normal(size=(count, WIDTH)) + 2
        ).astype(np.float32)
        for kind, count in (("user", USERS), ("item", ITEMS))
    }
    return write_snapshot(
        folder, sizes=(USERS, ITEMS, 0, 0), interactions=interactions, columns=columns if texts else {}
    )


def data_of(snapshot: Snapshot) -> TrainingData:
    return training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)


def cold(snapshot: Snapshot, settings: Settings, **overrides: object) -> float:
    """Of how many users all unread books of their own taste come before all of the other's."""
    trained = train(snapshot, "colakg", settings=settings, overrides=SMALL | overrides, epochs=20)
    scores = runs.load(trained.path).scores(np.arange(USERS))[:, ITEMS - COLD :]
    own = (np.arange(USERS)[:, None] % 2) == (np.arange(ITEMS - COLD, ITEMS)[None] % 2)
    gaps = scores[own].reshape(USERS, -1).min(1) - scores[~own].reshape(USERS, -1).max(1)
    return float((gaps > 0).mean())


def test_items_that_nobody_has_chosen_are_found_through_texts_and_through_neighbours_by_text(
    tmp_path: Path, offline: Settings
) -> None:
    snapshot = comprehended(tmp_path)
    assert cold(snapshot, offline) > 0.9
    assert cold(snapshot, offline, neighbours=0) > 0.9, "the adapter alone"
    assert cold(snapshot, offline, text_weight=1e-4) > 0.9, "the neighbours alone"
    assert cold(snapshot, offline, text_weight=0) < 0.7


def test_without_texts_it_is_lightgcn(tmp_path: Path) -> None:
    for snapshot, overrides in (
        (comprehended(tmp_path / "none", texts=False), {}),
        (comprehended(tmp_path / "unused"), {"text_weight": 0.0}),
        (comprehended(tmp_path / "left out"), {"texts": "none"}),
    ):
        data, scorers = data_of(snapshot), []
        for kind, config in (
            (Colakg, ColakgConfig(dimension=8, **overrides)),
            (Lightgcn, LightgcnConfig(dimension=8, layers=2)),
        ):
            torch.manual_seed(0)
            scorers.append(kind(data, config, CPU).scorer().tensors())
        for name, tensor in scorers[0].items():
            torch.testing.assert_close(tensor, scorers[1][name])


def test_what_texts_alone_say_joins_the_learned_scores(tmp_path: Path) -> None:
    data, scores = data_of(comprehended(tmp_path)), []
    for weight in (0.0, 0.4, 1.0):
        torch.manual_seed(0)
        model = Colakg(data, ColakgConfig(**SMALL, taste_weight=weight), CPU)
        with torch.no_grad():
            scores.append(standardise(model.scorer().scores(torch.arange(USERS))))
    torch.testing.assert_close(scores[1], standardise(0.6 * scores[0] + 0.4 * scores[2]), atol=1e-5, rtol=1e-4)
    own = (np.arange(USERS)[:, None] % 2) == (np.arange(ITEMS)[None] % 2)
    assert scores[2][own].mean() > 0.5 > -0.5 > scores[2][~own].mean(), "it finds the tastes by itself"


def test_what_texts_about_users_may_know_is_kept_from_the_selection(tmp_path: Path) -> None:
    data = dataclasses.replace(data_of(comprehended(tmp_path)), profiles_proven=False)
    selected = Colakg(data, ColakgConfig(**SMALL), CPU)
    assert not selected._user_text.any()
    assert selected._item_text.any(1).all()
    assert Colakg(dataclasses.replace(data, selection=None), ColakgConfig(**SMALL), CPU)._user_text.any(1).all()


def test_a_user_or_item_without_a_text_keeps_its_own_embedding_and_is_like_nobody(tmp_path: Path) -> None:
    data = data_of(comprehended(tmp_path))
    data.user_profile[7] = np.nan
    data.item_profile[9] = np.nan
    torch.manual_seed(0)
    model = Colakg(data, ColakgConfig(**SMALL), CPU)
    fused, own = model._fused(None), model.embeddings
    assert torch.equal(fused[7], own[7])
    assert torch.equal(fused[USERS + 9], own[USERS + 9])
    assert not torch.isclose(fused[8], own[8]).any()
    joined = model._graph.rows[(model._graph.neighbours >= USERS) & (model._graph.rows >= USERS)]
    assert USERS + 9 not in joined, "nobody is like it"
    assert set(joined.tolist()) == {USERS + item for item in range(ITEMS) if item != 9}


def test_texts_of_one_kind_can_be_left_out(tmp_path: Path) -> None:
    data = data_of(comprehended(tmp_path))
    for kept, first, last in (("users", 0, USERS), ("items", USERS, USERS + ITEMS)):
        model = Colakg(data, ColakgConfig(**SMALL, texts=kept), CPU)
        changed = (model._fused(None) != model.embeddings).any(1) & (model._linked[:, 0] > 0)
        assert changed[first:last].sum() == model._linked[first:last].sum()
        assert changed.sum() == changed[first:last].sum()
        joined = model._graph.edges > Colakg(data, ColakgConfig(**SMALL, texts="none"), CPU)._graph.edges
        assert joined == (kept == "items"), "items are joined by their own texts"

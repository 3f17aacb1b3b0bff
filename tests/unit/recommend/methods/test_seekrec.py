"""SeeKRec: what profiles add, and what its gate says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from cikg.graph.snapshot import Snapshot
from cikg.recommend import runs
from cikg.recommend.data.views import TrainingData, profiles, training_data
from cikg.recommend.engine import train
from cikg.recommend.methods.seekrec import Seekrec, SeekrecConfig, alike
from cikg.recommend.scorers import GatedScorer, standardise
from cikg.schema import SplitCode
from cikg.settings import Settings
from tests.unit.recommend.planted import write_snapshot

USERS, ITEMS, COLD, WIDTH = 60, 40, 4, 6
SMALL = {"dimension": 16, "batch_size": 128, "learning_rate": 0.02, "rank": 3, "neighbours": 4}
CPU = torch.device("cpu")


def described(folder: Path, *, silent: tuple[int, ...] = (), plain: bool = False) -> Snapshot:
    """Readers and books of two tastes, of which profiles say to which they belong; the last books nobody has read.

    Args:
        folder: where to write.
        silent: users without a profile.
        plain: leave the profiles out.
    """
    random = np.random.default_rng(3)
    warm = ITEMS - COLD
    interactions = []
    for user in range(USERS):
        own = random.permutation(np.arange(user % 2, warm, 2))[: 12 if user % 3 else 5]
        interactions += [(user, int(item), SplitCode.TRAIN) for item in own[2:]]
        interactions += [(user, int(own[0]), SplitCode.VALID), (user, int(own[1]), SplitCode.TEST)]
    centres = random.normal(size=(2, WIDTH))
    columns = {}
    for kind, count in (("user", USERS), ("item", ITEMS)):
        vectors = centres[np.arange(count) % 2] + 0.3 * random.normal(size=(count, WIDTH))
        columns[f"embeddings.{kind}_profiles.lexical_{WIDTH}"] = vectors.astype(np.float32)
    columns[f"embeddings.user_profiles.lexical_{WIDTH}"][list(silent)] = np.nan
    return write_snapshot(
        folder, sizes=(USERS, ITEMS, 0, 0), interactions=interactions, columns={} if plain else columns
    )


def data_of(snapshot: Snapshot) -> TrainingData:
    return training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)


def cold(snapshot: Snapshot, settings: Settings, **overrides: object) -> float:
    """Of how many users all unread books of their own taste come before all of the other's."""
    trained = train(snapshot, "seekrec", settings=settings, overrides=SMALL | overrides, epochs=20)
    scores = runs.load(trained.path).scores(np.arange(USERS))[:, ITEMS - COLD :]
    own = (np.arange(USERS)[:, None] % 2) == (np.arange(ITEMS - COLD, ITEMS)[None] % 2)
    gaps = scores[own].reshape(USERS, -1).min(1) - scores[~own].reshape(USERS, -1).max(1)
    return float((gaps > 0).mean())


def test_items_that_nobody_has_read_are_found_through_their_profiles(tmp_path: Path, offline: Settings) -> None:
    snapshot = described(tmp_path)
    assert cold(snapshot, offline) > 0.95
    assert cold(snapshot, offline, neighbours=0) > 0.95, "the experts alone"
    assert cold(snapshot, offline, semantics="none") < 0.7


def test_the_gate_can_be_looked_at_and_follows_what_is_known(tmp_path: Path, offline: Settings) -> None:
    snapshot = described(tmp_path, silent=(0, 7))
    trained = train(snapshot, "seekrec", settings=offline, overrides=SMALL | {"taste_weight": 0.1}, epochs=8)
    scorer = runs.load(trained.path).scorer
    assert isinstance(scorer, GatedScorer)
    gates = scorer.user_gates
    assert gates.shape == (USERS, 4)
    torch.testing.assert_close(gates.sum(1), torch.ones(USERS))
    torch.testing.assert_close(gates[:, 3], torch.full((USERS,), 0.1))
    assert (gates[[0, 7], 1:3] == 0).all(), "without a profile of its own no expert that reads it"
    others = np.setdiff1d(np.arange(USERS), [0, 7])
    assert (gates[others] > 0).all()
    assert len(torch.unique(gates[others, 0])) > 10, "each user has its own"
    said = trained.manifest["fitted"]
    assert said["semantic_share_of_items"] == pytest.approx(float(1 - scorer.item_gates[:, 0].mean()))
    assert 0.5 < said["retained_energy"] < 1


def test_what_profiles_alone_say_joins_the_learned_scores(tmp_path: Path) -> None:
    data, everybody = data_of(described(tmp_path)), torch.arange(USERS)
    scores = {}
    for weight in (0.0, 0.4, 1.0):
        torch.manual_seed(0)
        model = Seekrec(data, SeekrecConfig(**SMALL, taste_weight=weight), CPU)
        with torch.no_grad():
            scorer = model.scorer()
        scores[weight] = standardise(scorer.scores(everybody))
        assert float(scorer.user_gates[:, -1].mean()) == pytest.approx(weight)
    torch.testing.assert_close(scores[0.4], standardise(0.6 * scores[0.0] + 0.4 * scores[1.0]), atol=1e-5, rtol=1e-4)
    own = (np.arange(USERS)[:, None] % 2) == (np.arange(ITEMS)[None] % 2)
    assert scores[1.0][own].mean() > 0.5 > -0.5 > scores[1.0][~own].mean(), "it finds the tastes by itself"


def gates_of(data: TrainingData, **overrides: object) -> torch.Tensor:
    torch.manual_seed(0)
    model = Seekrec(data, SeekrecConfig(**{**SMALL, **overrides}), CPU)
    with torch.no_grad():
        model.gate.bias.copy_(torch.tensor([1.0, 0.0, -1.0]))
        model.gate.weight.normal_()
    return model._gates().detach()


def test_ablations_of_the_gate_and_of_whose_profiles_are_read(tmp_path: Path) -> None:
    data = data_of(described(tmp_path))
    chosen = USERS + ITEMS - COLD
    torch.testing.assert_close(gates_of(data, gate="equal")[:chosen], torch.full((chosen, 3), 1 / 3))
    one = torch.tensor([1.0, 0.0, -1.0]).softmax(0)
    torch.testing.assert_close(gates_of(data, gate="global")[:chosen], one.expand(chosen, 3))
    assert len(torch.unique(gates_of(data)[:chosen, 0])) == chosen
    assert (gates_of(data)[chosen:, 0] == 0).all(), "of what nobody has chosen only its profile is known"
    for semantics, users, items in (("users", 0, 1), ("items", 1, 0), ("none", 1, 1)):
        alone = gates_of(data, semantics=semantics)[:, 0] == 1
        assert (alone[:USERS].float().mean(), alone[USERS:].float().mean()) == (users, items)


def test_what_profiles_may_know_is_kept_from_the_selection(tmp_path: Path) -> None:
    data = dataclasses.replace(data_of(described(tmp_path)), profiles_proven=False)
    chosen = Seekrec(data, SeekrecConfig(**SMALL), CPU)
    with torch.no_grad():
        gates = chosen._gates()
    assert (gates[:USERS, 0] == 1).all(), "users' profiles are not read"
    assert (gates[USERS:, 0] < 1).all(), "those of items are"
    refit = Seekrec(dataclasses.replace(data, selection=None), SeekrecConfig(**SMALL), CPU)
    assert (refit._gates()[:USERS, 0] < 1).all()


def test_distillation_keeps_what_says_most_and_can_be_left_out(tmp_path: Path) -> None:
    data = data_of(described(tmp_path))
    whole = Seekrec(data, SeekrecConfig(distillation=False), CPU)
    assert (whole._semantic.shape[1], whole.energy) == (WIDTH, 1.0)
    cut = Seekrec(data, SeekrecConfig(rank=2), CPU)
    vectors = np.concatenate([data.user_profile, data.item_profile]).astype(np.float64)
    values = np.linalg.svd(vectors - vectors.mean(0), compute_uv=False) ** 2
    assert cut._semantic.shape[1] == 2
    assert cut.energy == pytest.approx(values[:2].sum() / values.sum())
    assert cut._taste.item_vectors.shape[1] == WIDTH, "tastes read more directions than the experts"
    assert Seekrec(data, SeekrecConfig(taste_rank=3), CPU)._taste.item_vectors.shape[1] == 3
    by_energy = Seekrec(data, SeekrecConfig(energy=0.95), CPU)
    assert by_energy._semantic.shape[1] == int(np.searchsorted(np.cumsum(values) / values.sum(), 0.95)) + 1


def test_without_profiles_it_is_its_collaborative_expert(tmp_path: Path, offline: Settings) -> None:
    plain = described(tmp_path / "plain", plain=True)
    model = Seekrec(data_of(plain), SeekrecConfig(**SMALL), CPU)
    with torch.no_grad():
        assert (model._gates()[:, 0] == 1).all()
        scorer = model.scorer()
    assert torch.isfinite(scorer.scores(torch.arange(USERS))).all()
    assert scorer.report()["semantic_share_of_users"] == 0


def test_neighbours_are_the_most_alike() -> None:
    random = np.random.default_rng(0)
    vectors, known = random.normal(size=(30, 5)), np.arange(30) != 4
    item, other = alike(vectors, known, 3)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    cosines[:, 4] = cosines[np.arange(30), np.arange(30)] = -2
    for each in np.flatnonzero(known):
        assert set(other[item == each]) == set(np.argsort(-cosines[each])[:3])
    assert 4 not in item
    assert all(len(column) == 0 for column in alike(vectors, np.arange(30) == 4, 3)), "one alone has nobody"


def test_the_vectors_are_those_of_one_embedding_and_an_item_without_a_profile_has_its_own(tmp_path: Path) -> None:
    def vectors(count: int, width: int, value: float) -> np.ndarray:
        return np.full((count, width), value, np.float32)

    columns = {
        "embeddings.user_profiles.lexical_9": vectors(2, 9, 1),
        "embeddings.item_profiles.lexical_9": vectors(3, 9, 1),
        "embeddings.user_profiles.made_4": vectors(2, 4, 2),
        "embeddings.item_profiles.made_4": vectors(3, 4, 3),
        "embeddings.items.made_4": vectors(3, 4, 5),
        "embeddings.items.other_8": vectors(3, 8, 6),
    }
    columns["embeddings.item_profiles.made_4"][1] = np.nan
    read = [(0, 0, SplitCode.TRAIN), (1, 1, SplitCode.VALID)]
    users, items = profiles(write_snapshot(tmp_path, sizes=(2, 3, 0, 0), interactions=read, columns=columns))
    np.testing.assert_array_equal(users, vectors(2, 4, 2))
    np.testing.assert_array_equal(items[:, 0], [3, 5, 3])
    users, items = profiles(write_snapshot(tmp_path, sizes=(2, 3, 0, 0), interactions=read))
    assert (users.shape, items.shape) == ((2, 0), (3, 0))

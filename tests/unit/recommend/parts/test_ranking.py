"""Every loss of `ranking` learns planted tastes, on the graph and without it; its batches are what they say."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import numpy as np
import pytest
import torch

from cikg.graph.snapshot import Snapshot
from cikg.recommend.data.views import TrainingData, pairs, training_data
from cikg.recommend.engine import train
from cikg.recommend.evaluation.measuring import judge
from cikg.recommend.methods.lightgcn import Lightgcn, LightgcnConfig
from cikg.recommend.parts import ranking as objective
from cikg.recommend.parts.ranking import LossName, Ranking, RankingConfig
from cikg.recommend.scorers import DotScorer
from cikg.schema import SplitCode
from cikg.settings import Settings

CPU = torch.device("cpu")
SMALL = {"dimension": 16, "batch_size": 128, "learning_rate": 0.02, "negatives": 32}
SMALL |= {"uniformity": 0.3, "negative_weight": 1.0}  # half of the few items are right: not too far from each other


@pytest.fixture
def data(snapshot: Snapshot) -> TrainingData:
    return training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)


def fitted(data: TrainingData, epochs: int = 12, **overrides: object) -> Lightgcn:
    torch.manual_seed(0)
    model = Lightgcn(data, LightgcnConfig(**SMALL | overrides), CPU)
    optimiser, generator = model.optimisers()["recommend"], torch.Generator().manual_seed(0)
    for epoch in range(epochs):
        for _, loss in model.steps(epoch, generator):
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model


@torch.no_grad()
def scorer_of(model: Lightgcn) -> DotScorer:
    return model.scorer()


@pytest.mark.parametrize("loss", get_args(LossName))
def test_every_loss_finds_planted_tastes_from_interactions_alone(
    loss: str, data: TrainingData, snapshot: Snapshot
) -> None:
    """Nine of a user's 31 unread items are of their taste and read by others: a learner's ten have the held-out one."""
    assert (
        judge(scorer_of(fitted(data, loss=loss, graph="cg")), data.nodes, data.fit, pairs(snapshot, SplitCode.VALID))[
            "hit_rate@10"
        ]
        > 0.85
    )


@pytest.mark.parametrize("graph", ["cg", "cig", "ckg", "cikg"])
def test_items_that_nobody_has_read_are_known_by_their_facts_alone(graph: str, data: TrainingData) -> None:
    scores = scorer_of(fitted(data, 5, loss="bpr", graph=graph)).scores(torch.arange(60))[:, 36:].numpy()
    own = (np.arange(60)[:, None] % 2) == (np.arange(36, 40)[None] % 2)
    gaps = scores[own].reshape(60, 2).min(1) - scores[~own].reshape(60, 2).max(1)
    assert ((gaps > 0).mean() > 0.95) == (graph in ("ckg", "cikg"))


@pytest.mark.parametrize("loss", get_args(LossName))
def test_batches_are_all_interactions_once_and_the_seed_decides(loss: str, data: TrainingData) -> None:
    ranking = Ranking(data, RankingConfig(loss=loss, batch_size=50, negatives=7), CPU)
    one, again, other = (list(ranking.batches(torch.Generator().manual_seed(seed))) for seed in (0, 0, 1))
    seen = Counter((u, i) for batch in one for u, i in zip(batch.user.tolist(), batch.item.tolist(), strict=True))
    assert seen == Counter(zip(data.fit.user_index.tolist(), data.fit.item_index.tolist(), strict=True))
    assert [batch.item.tolist() for batch in one] == [batch.item.tolist() for batch in again]
    assert [batch.item.tolist() for batch in one] != [batch.item.tolist() for batch in other]
    for batch in one:
        shape = {"bpr": len(batch), "margin": len(batch), "psl": 7, "cosine": 7}.get(loss)
        assert (None if batch.negative is None else len(batch.negative)) == shape
    if loss in ("bpr", "margin"):
        drawn = [(u, i) for batch in one for u, i in zip(batch.user.tolist(), batch.negative.tolist(), strict=True)]
        assert sum(pair in seen for pair in drawn) < 0.02 * len(drawn), "of all pairs, a quarter is known"


def test_the_more_interactions_the_larger_a_step(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(least: int, most: int, batch_size: int | None = None, *, sampled: bool = False) -> int:
        monkeypatch.setattr(objective, "BATCH", (least, most))
        ranking = Ranking(data, RankingConfig(batch_size=batch_size), CPU, sampled=sampled)
        return len(list(ranking.batches(torch.Generator())))

    monkeypatch.setattr(objective, "STEPS", 4)
    count = len(data.fit)
    assert count % 4 == 0
    assert steps(2, 10**6) == 4
    assert steps(2, 10) == -(-count // 10), "a step has to fit in memory"
    assert steps(count, 10**6) == 1
    assert steps(2, 10**6, sampled=True) == count // 2, "what costs as much as its batch gains nothing"
    assert steps(2, 10**6, batch_size=50) == -(-count // 50)


def test_a_softmax_gets_a_users_interactions_together(data: TrainingData) -> None:
    users = torch.cat([batch.user for batch in Ranking(data, RankingConfig(), CPU).batches(torch.Generator())])
    assert len(torch.unique_consecutive(users)) == len(torch.unique(users))


def test_a_softmax_over_a_large_catalogue_is_over_a_sample(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objective, "FULL", 39)
    ranking = Ranking(data, RankingConfig(negatives=16), CPU)
    batch = next(ranking.batches(torch.Generator().manual_seed(0)))
    assert batch.negative.shape == (16,)
    users, items = torch.randn(60, 8), torch.randn(40, 8)
    unit_users, unit_items = (each / each.norm(dim=1, keepdim=True) for each in (users, items))
    scores = unit_users[batch.user] @ unit_items.T / 0.2
    own = scores.gather(1, batch.item[:, None])
    expected = (torch.cat([own, scores[:, batch.negative]], 1).exp().sum(1).log() - own.squeeze(1)).mean()
    torch.testing.assert_close(ranking.loss(users, items, batch), expected)


def test_weight_decay_is_of_the_batch_own_embeddings(data: TrainingData) -> None:
    def first_loss(decay: float) -> float:
        torch.manual_seed(0)
        model = Lightgcn(data, LightgcnConfig(**SMALL | {"weight_decay": decay, "batch_size": 10**6}), CPU)
        with torch.no_grad():
            model.embeddings.fill_(2.0)
        return next(model.steps(0, torch.Generator().manual_seed(0)))[1].item()

    assert first_loss(0.5) - first_loss(0.0) == pytest.approx(0.5 * 2 * 16 * 4 / 2, rel=1e-5)


def test_dropping_edges_trains_too(snapshot: Snapshot, offline: Settings) -> None:
    trained = train(snapshot, "lightgcn", settings=offline, overrides=SMALL | {"edge_dropout": 0.3}, epochs=12)
    assert trained.valid["hit_rate@10"] > 0.85

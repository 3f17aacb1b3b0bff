"""Sampled training: exact where all neighbours are drawn, right on average elsewhere, and it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cikg.errors import InputError
from cikg.graph.snapshot import Snapshot
from cikg.recommend import runs
from cikg.recommend.data.views import SymmetricGraph, training_data
from cikg.recommend.engine import train
from cikg.recommend.method import configure
from cikg.recommend.methods.lightgcn import Lightgcn, LightgcnConfig
from cikg.recommend.parts.neighbourhoods import Neighbourhoods
from cikg.recommend.parts.propagation import propagate
from cikg.recommend.workshop import Progress
from cikg.schema import SplitCode
from cikg.settings import Settings

CPU = torch.device("cpu")
SMALL = {"dimension": 16, "batch_size": 128, "learning_rate": 0.02, "negatives": 32, "layers": 2, "fan_out": "4,3"}


@pytest.fixture
def graph() -> SymmetricGraph:
    random = np.random.default_rng(3)
    return SymmetricGraph.of(40, random.integers(0, 39, 150), random.integers(0, 39, 150))


def encoded(
    graph: SymmetricGraph, fan_out: list[int], pairs: torch.Tensor, table: torch.Tensor, epoch: int = 0
) -> torch.Tensor:
    (near,) = Neighbourhoods(graph, fan_out, CPU).around([pairs], epoch)
    assert near.nodes[near.ends].equal(pairs)
    return near.encode(table[near.nodes], len(fan_out))[near.ends]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_drawing_all_neighbours_is_propagating_over_the_whole(graph: SymmetricGraph, layers: int) -> None:
    table, pairs = torch.randn(40, 8), torch.tensor([[0, 5, 5, 39], [17, 38, 5, 2]])
    expected = propagate(graph, table, layers)[pairs]
    torch.testing.assert_close(encoded(graph, [-1] * layers, pairs, table), expected)


def test_a_sampled_layer_is_right_on_average_and_its_seed_decides(graph: SymmetricGraph) -> None:
    table, pairs = torch.randn(40, 8), torch.tensor([[0, 5], [17, 38]])
    draws = torch.stack([encoded(graph, [2], pairs, table, epoch) for epoch in range(600)])
    expected = propagate(graph, table, 1)[pairs]
    error = (draws.mean(0) - expected).abs() / (draws.std(0) / 600**0.5 + 1e-6)
    assert float(error.max()) < 5, "standard errors"
    assert float(draws.std(0).max()) > 0.05
    assert encoded(graph, [2], pairs, table, 7).equal(draws[7])


@pytest.mark.parametrize("loss", ["softmax", "psl", "directau", "cosine", "bpr", "margin"])
def test_sampled_training_finds_planted_tastes(loss: str, snapshot: Snapshot, offline: Settings) -> None:
    overrides = SMALL | {"loss": loss, "graph": "cg", "uniformity": 0.3, "negative_weight": 1.0}
    trained = train(snapshot, "lightgcn", settings=offline, overrides=overrides, epochs=12, refit=False)
    assert trained.valid["hit_rate@10"] > 0.85, "of nine unread items of a user's taste, among 31"


def test_a_sampled_step_touches_what_it_drew_alone(snapshot: Snapshot) -> None:
    data = training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)
    config = LightgcnConfig(dimension=8, batch_size=2, layers=1, fan_out=(2,), loss="bpr")
    model = Lightgcn(data, config, CPU)
    optimiser, before = model.optimisers()["recommend"], model.embeddings.detach().clone()
    _, loss = next(model.steps(0, torch.Generator().manual_seed(0)))
    loss.backward()
    optimiser.step()
    changed = (model.embeddings.detach() != before).any(1)
    assert 6 <= int(changed.sum()) <= 2 * 3 * 3, "two users, two items, two others, and two neighbours of each"


class StoppedError(Exception):
    pass


def test_sampled_training_resumes_exactly(snapshot: Snapshot, tmp_path: Path, offline: Settings) -> None:
    def stop(progress: Progress) -> None:
        if progress.done == 3:
            raise StoppedError

    whole = train(snapshot, "lightgcn", settings=offline, overrides=SMALL, epochs=5, refit=False)
    elsewhere = Settings(home=tmp_path / "elsewhere", device="cpu")
    options: dict[str, Any] = {"settings": elsewhere, "overrides": SMALL, "epochs": 5, "refit": False}
    with pytest.raises(StoppedError):
        train(snapshot, "lightgcn", checkpoint_seconds=0, observer=stop, **options)
    seen: list[int] = []
    resumed = train(snapshot, "lightgcn", observer=lambda progress: seen.append(progress.done), **options)
    assert seen[0] == 3
    assert (resumed.path / runs.WEIGHTS).read_bytes() == (whole.path / runs.WEIGHTS).read_bytes()


def test_what_cannot_be_sampled_is_refused() -> None:
    assert configure("lightgcn", {"fan_out": "10,10,-1"}).fan_out == (10, 10, -1)
    with pytest.raises(InputError, match="fan_out has 2 numbers, but there are 3 layers"):
        configure("lightgcn", {"fan_out": "10,10"})
    with pytest.raises(InputError, match="bsl compares with all items"):
        configure("lightgcn", {"fan_out": "10,10,5", "loss": "bsl"})
    with pytest.raises(InputError, match="edge_dropout drops edges of the whole graph"):
        configure("lightgcn", {"fan_out": "10,10,5", "edge_dropout": 0.1})

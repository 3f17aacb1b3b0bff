"""Two processes, started by `torchrun`, train as one does with the same batches."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from cikg.graph.snapshot import Snapshot
from cikg.recommend import distributed, runs
from cikg.recommend.data.views import training_data
from cikg.recommend.engine import train
from cikg.recommend.methods.lightgcn import Lightgcn, LightgcnConfig
from cikg.recommend.parts.ranking import Ranking, RankingConfig
from cikg.schema import SplitCode
from cikg.settings import Settings

QUICK = {"dimension": 8, "batch_size": 101, "learning_rate": 0.02, "negatives": 16}
SCRIPT = """
import json, pathlib, sys, torch
from cikg.graph.snapshot import open_snapshot
from cikg.recommend import distributed
from cikg.recommend.engine import train
from cikg.settings import Settings
torch.set_num_threads(1)
for name, overrides in json.loads(sys.argv[3]):
    trained = train(open_snapshot(pathlib.Path(sys.argv[1])), name, settings=Settings(home=sys.argv[2], device="cpu"),
                    overrides=overrides, epochs=3, checkpoint_seconds=0)
    again = train(open_snapshot(pathlib.Path(sys.argv[1])), name, settings=Settings(home=sys.argv[2], device="cpu"),
                  overrides=overrides, epochs=3)
    assert again.reused and again.manifest == trained.manifest and trained.manifest["processes"] == 2
"""


def curve(path: Path) -> list[dict[str, Any]]:
    return [row | {"seconds": 0} for row in runs.read_json(path / runs.CURVE)["epochs"]]


def test_two_processes_have_the_curve_of_one(snapshot: Snapshot, tmp_path: Path, offline: Settings) -> None:
    """Losses of every kind: over all items, over a sample, of drawn pairs, on neighbourhoods; all that CIKGRec adds."""
    cases = [("lightgcn", QUICK | {"loss": loss}) for loss in ("softmax", "psl", "bpr")]
    cases += [("lightgcn", QUICK | {"loss": "bpr", "fan_out": [-1, -1, -1]})]
    cases += [("cikgrec", QUICK | {"fidelity": "paper"})]
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(
        [*command, str(snapshot.path), str(tmp_path / "two"), json.dumps(cases)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    for name, overrides in cases:
        alone = train(snapshot, name, settings=offline, overrides=overrides, epochs=3)
        path = tmp_path / "two" / "runs" / alone.run_id
        one, two = curve(alone.path), curve(path)
        assert [row["phase"] for row in one] == [row["phase"] for row in two]
        for ours, theirs in zip(one, two, strict=True):
            assert theirs["loss"] == pytest.approx(ours["loss"], rel=2e-3), overrides
            assert theirs.get("ndcg@50", 0) == pytest.approx(ours.get("ndcg@50", 0), rel=0.02)
        assert one[-1]["epoch"] == two[-1]["epoch"]
        assert not list(path.glob("checkpoint*"))


@pytest.mark.parametrize("loss", ["softmax", "psl", "cosine", "bpr", "margin"])
@pytest.mark.parametrize("negatives", [7, 40])
def test_shares_of_a_batch_add_up_to_its_loss_and_gradient(
    loss: str, negatives: int, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a batch shares as many negatives as it has interactions."""
    data = training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)
    ranking = Ranking(data, RankingConfig(loss=loss, batch_size=40, negatives=negatives), torch.device("cpu"))
    batch = next(ranking.batches(torch.Generator().manual_seed(0)))

    def loss_and_gradient(size: int) -> tuple[float, torch.Tensor]:
        torch.manual_seed(0)
        users, items = (torch.randn(count, 8).requires_grad_() for count in (60, 40))
        monkeypatch.setattr(distributed, "size", lambda: size)
        total = 0.0
        for rank in range(size):
            monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
            part = ranking.loss(users, items, batch)
            (part / size).backward()
            total += part.item() / size
        return total, torch.cat([users.grad, items.grad])

    whole, gradient = loss_and_gradient(1)
    for size in (2, 3, 7, 51):
        again, parts = loss_and_gradient(size)
        assert again == pytest.approx(whole, rel=1e-5)
        torch.testing.assert_close(parts, gradient)


@pytest.mark.parametrize("loss", ["bpr", "psl"])
def test_who_has_no_share_of_a_small_batch_of_neighbourhoods_adds_nothing(
    loss: str, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)
    count = len(data.fit)
    config = LightgcnConfig(loss=loss, dimension=8, layers=1, fan_out=(-1,), batch_size=count - 1, negatives=7)

    def losses_and_gradients(size: int) -> list[torch.Tensor]:
        """Of each batch, as one row; the last batch is of one interaction."""
        monkeypatch.setattr(distributed, "size", lambda: size)
        whole: list[torch.Tensor] = []
        for rank in range(size):
            monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
            torch.manual_seed(0)
            model = Lightgcn(data, config, torch.device("cpu"))
            parts = []
            for _, part in model.steps(0, torch.Generator().manual_seed(0)):
                (gradient,) = torch.autograd.grad(part, [model.embeddings])
                parts.append(torch.cat([part.detach()[None], gradient.to_dense().flatten()]) / size)
            whole = [sum(both) for both in zip(whole, parts, strict=True)] if whole else parts
        return whole

    alone, together = losses_and_gradients(1), losses_and_gradients(3)
    assert len(alone) == 2
    for one, three in zip(alone, together, strict=True):
        assert one.any()
        torch.testing.assert_close(three, one)


def test_alone_there_is_no_team(snapshot: Snapshot) -> None:
    assert (distributed.size(), distributed.rank(), distributed.follows()) == (1, 0, False)
    assert distributed.share(10) == slice(0, 10)
    assert distributed.agreed("mine") == "mine"
    distributed.join(torch.device("cpu"))
    assert distributed.size() == 1
    data = training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)
    model = Lightgcn(data, LightgcnConfig(), torch.device("cpu"))
    model.embeddings.grad = torch.ones_like(model.embeddings)
    distributed.average_gradients(model.parameters())
    assert bool((model.embeddings.grad == 1).all())


def test_each_process_takes_its_own_gpu_before_it_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "set_device", done.append)
    monkeypatch.setattr(torch.distributed, "init_process_group", done.append)
    monkeypatch.setattr(distributed.atexit, "register", lambda _: None)
    distributed.join(torch.device("cuda:1"))
    assert done == [1, "nccl"]
    distributed.join(torch.device("cpu"))
    assert done[2:] == ["gloo"]

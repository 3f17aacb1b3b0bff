"""Every method trains on a device that is not the CPU, and finds there what it finds on the CPU.

It needs no GPU: see `tests.pretend_device`, which is imported in a process of its own. Training on sampled
neighbourhoods is left out, as its sparse gradients are more than that device can hold.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cikg.graph.snapshot import Snapshot
from cikg.recommend import methods
from cikg.recommend.engine import train
from cikg.recommend.evaluation.measuring import evaluate
from cikg.settings import Settings
from tests.unit.recommend.methods import test_colakg, test_ikgr, test_seekrec
from tests.unit.recommend.planted import two_tastes

SMALL = {"dimension": 16, "batch_size": 128}
SIZED = ("cikgrec", "lightgcn", "simplex")
OWN: dict[str, tuple[Callable[[Path], Snapshot], dict[str, Any]]] = {
    "colakg": (test_colakg.comprehended, test_colakg.SMALL),
    "ikgr": (test_ikgr.with_intents, {"dimension": 16, "batch_size": 64}),
    "ikgr, no item with intents": (test_ikgr.with_intents_of_users_alone, {"dimension": 16, "batch_size": 64}),
    "seekrec": (test_seekrec.described, test_seekrec.SMALL),
}
"""Methods and cases with data of their own, as the methods' tests plant it."""
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, SMALL if name in SIZED else {}) for name in methods.names()},
    **{f"lightgcn, {loss}": ("lightgcn", SMALL | {"loss": loss}) for loss in ("bsl", "psl", "directau")},
    "lightgcn, bpr": ("lightgcn", SMALL | {"loss": "bpr"}),
    "ikgr, no item with intents": ("ikgr", {}),
    "cikgrec, paper": ("cikgrec", SMALL | {"fidelity": "paper"}),
    "cikgrec, reference": ("cikgrec", SMALL | {"fidelity": "reference", "self_loops": True}),
}


def main(folder: Path) -> None:
    """Print what each case finds on the CPU and on the device, and how much each computed on the device."""
    from tests import pretend_device  # noqa: PLC0415 - it changes torch, for this process alone

    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for case, (name, overrides) in CASES.items():
        plant, own = OWN.get(case) or OWN.get(name, (two_tastes, {}))
        snapshot = plant(folder / "snapshots" / plant.__module__)
        found[case] = {}
        for device in ("cpu", pretend_device.NAME):
            pretend_device.operations.clear()
            settings = Settings(home=folder / device, device=device)
            trained = train(snapshot, name, settings=settings, overrides=own | overrides, epochs=1)
            ndcg = evaluate(trained.path, snapshot)["test"]["ndcg@10"]
            found[case][device] = {"ndcg": ndcg, "operations": pretend_device.operations.total()}
    try:
        torch.ones(2, device=pretend_device.NAME) + torch.ones(2)
    except RuntimeError as error:
        found["mistake"] = str(error)
    print(json.dumps(found))  # noqa: T201


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `main` prints."""
    command = [sys.executable, "-m", __name__, str(tmp_path_factory.mktemp("device"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-6000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("case", CASES)
def test_a_method_finds_on_another_device_what_it_finds_on_the_cpu(case: str, found: dict[str, Any]) -> None:
    cpu, device = found[case]["cpu"], found[case]["pretend"]
    assert device["ndcg"] == pytest.approx(cpu["ndcg"], abs=1e-6)
    assert cpu["operations"] == 0
    assert device["operations"] > 0


def test_the_device_refuses_tensors_of_two_devices(found: dict[str, Any]) -> None:
    assert found["mistake"] == "aten.add.Tensor takes tensors of two devices: ['pretend:0', 'cpu']"


if __name__ == "__main__":
    main(Path(sys.argv[1]))

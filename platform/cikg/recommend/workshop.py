"""Where a training works: what it keeps to resume after an interruption, and whom it reports its progress to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from cikg.errors import SnapshotError
from cikg.recommend import distributed, runs
from cikg.recommend.scorers import Scorer

Phase = Literal["select", "refit"]
Part = tuple[Scorer, dict[str, Any]]
"""A fitted part of a model, and the settings that were found for it."""


@dataclass(frozen=True)
class Progress:
    """Where a training stands.

    Attributes:
        phase: selecting, or fitting again with what was chosen.
        done: epochs or candidates done in this phase.
        total: the most there will be, where it is known.
        loss: mean loss of the epoch by optimiser.
        metric: the selection metric now; None in a refit.
        best: the best so far.
        seconds_left: at most, at this pace; None where it is unknown.
    """

    phase: Phase
    done: int
    total: int | None
    loss: dict[str, float]
    metric: float | None
    best: float | None
    seconds_left: float | None


def _nobody(_: Progress) -> None:
    pass


@dataclass(frozen=True)
class Workshop:
    """What a training is lent by the engine.

    Attributes:
        device: where it runs.
        directory: where it keeps what it needs to go on; None keeps nothing.
        checkpoint_seconds: the least time between two checkpoints.
        mixed: let products of matrices be of bfloat16.
        code: version of the code: what another made is not taken up.
        observe: told after every epoch and candidate.
    """

    device: torch.device
    directory: Path | None = None
    checkpoint_seconds: float = 10.0
    mixed: bool = False
    code: str = ""
    observe: Callable[[Progress], None] = _nobody

    @property
    def made_by(self) -> str:
        """Whose work can be gone on with: that of the same code, on as many devices of the same kind."""
        return f"{self.code} on {distributed.size()} {self.device.type}"

    def within(self, name: str) -> Workshop:
        """A workshop for a part of the work, which keeps things apart from the others'."""
        return dataclasses.replace(self, directory=None if self.directory is None else self.directory / name)

    def once(self, name: str, fit: Callable[[], Part]) -> Part:
        """What was kept under a name, if the same code made it; else fit it and keep it.

        Args:
            name: of the part.
            fit: fits it. Two calls must give the same, so that an interruption changes nothing.
        """
        if self.directory is None:
            return fit()
        path = self.directory / f"{name}.safetensors"
        try:
            tensors, note = runs.read_tensors(path, self.device)
        except SnapshotError:  # it is not there, or only half
            note = {}
        if note.get("made_by") == self.made_by:
            return Scorer.restore(note["kind"], tensors), note["found"]
        scorer, found = fit()
        if not distributed.rank():
            kind = type(scorer).__name__
            runs.write_tensors(path, scorer.tensors(), {"made_by": self.made_by, "kind": kind, "found": found})
        return scorer, found


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the initialisers of torch, and put back what was there afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield

"""Gradient training of one model: epochs, early stopping, checkpoints that resume exactly."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cikg.errors import InputError, SnapshotError
from cikg.recommend import distributed, runs
from cikg.recommend.data.views import TrainingData
from cikg.recommend.evaluation.measuring import Metrics, judge
from cikg.recommend.evaluation.places import total
from cikg.recommend.method import Gradient
from cikg.recommend.scorers import Scorer
from cikg.recommend.workshop import Phase, Progress, Workshop


@dataclass(frozen=True)
class Fitted:
    """The outcome of a fit.

    Attributes:
        scorer: what was fitted.
        chosen_epoch: epochs it was trained for; None for a closed form.
        metrics: on the selection split.
        curve: one row per epoch or candidate, of all phases.
        notes: what people should know of the fit, in sentences.
        chosen: config fields that the selection found beside the epoch.
    """

    scorer: Scorer
    chosen_epoch: int | None
    metrics: Metrics
    curve: list[dict[str, Any]]
    notes: tuple[str, ...] = ()
    chosen: dict[str, Any] = field(default_factory=dict)

    def timings(self) -> dict[str, float]:
        """Seconds by phase, over all processes that worked on it."""
        spent: dict[str, float] = defaultdict(float)
        for row in self.curve:
            spent[row["phase"]] += row["seconds"]
        return {phase: round(seconds, 3) for phase, seconds in spent.items()} | {"total": round(sum(spent.values()), 3)}


@dataclass
class _Standing:
    """What a checkpoint remembers beside parameters: all of it fits in JSON but the best scorer's tensors."""

    phase: Phase
    epoch: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    metrics: Metrics = field(default_factory=dict)
    kind: str = ""
    chosen: dict[str, Any] = field(default_factory=dict)


@dataclass
class GradientFit:
    """Trains `model` on `data`.

    Attributes:
        model: what to train.
        data: what it was built from; with a selection split, training stops early.
        seed: of the generator that steps draw from.
        metric: what early stopping watches.
        patience: epochs without improvement before it stops.
        workshop: where each phase keeps its checkpoint: enough to resume.
        every: epochs between two looks at the selection split.
    """

    model: Gradient
    data: TrainingData
    seed: int
    metric: str
    patience: int
    workshop: Workshop
    every: int = 1

    def select(self, epochs: int) -> Fitted:
        """Train for at most `epochs`, and keep the one that is best on the selection split, and its best candidate.

        Raises:
            InputError: a loss is not finite.
        """
        return self._run(_Standing("select"), epochs)

    def refit(self, epochs: int, selected: Fitted | None = None) -> Fitted:
        """Train for exactly `epochs`. Curve and metrics are continued from a selection, where there was one.

        Raises:
            InputError: a loss is not finite.
        """
        curve, metrics = (list(selected.curve), selected.metrics) if selected else ([], {})
        return self._run(_Standing("refit", 0, curve, epochs, metrics), epochs)

    def _run(self, fresh: _Standing, epochs: int) -> Fitted:
        self._generator = torch.Generator(self._device).manual_seed(self.seed)
        self._optimisers = self.model.optimisers()
        self._best: dict[str, Tensor] = {}
        standing = self._resume(fresh)
        saved = time.perf_counter()
        while not self._is_over(standing, epochs):
            self.workshop.observe(self._epoch(standing, epochs))
            if time.perf_counter() - saved >= self.workshop.checkpoint_seconds:
                self._save(standing)
                saved = time.perf_counter()
        if standing.phase == "select":
            self._save(standing)
            scorer = Scorer.restore(standing.kind, self._best)
        else:
            scorer = self._scorer()
        return Fitted(scorer, standing.best_epoch, standing.metrics, standing.curve, chosen=standing.chosen)

    def _is_over(self, standing: _Standing, epochs: int) -> bool:
        stale = standing.phase == "select" and standing.epoch - standing.best_epoch >= self.patience
        return standing.epoch >= epochs or (stale and standing.epoch > 0)

    def _epoch(self, standing: _Standing, epochs: int) -> Progress:
        start = time.perf_counter()
        loss = self._steps(standing.epoch)
        standing.epoch += 1
        row: dict[str, Any] = {"phase": standing.phase, "epoch": standing.epoch, "loss": loss}
        score = None
        if standing.phase == "select" and (standing.epoch % self.every == 0 or standing.epoch == epochs):
            score = row[self.metric] = self._select(standing)
        row["seconds"] = time.perf_counter() - start
        standing.curve.append(row)
        own = [each["seconds"] for each in standing.curve if each["phase"] == standing.phase]
        left = (epochs - standing.epoch) * sum(own) / len(own)
        best = total(standing.metrics, self.metric) if standing.metrics else None
        return Progress(standing.phase, standing.epoch, epochs, loss, score, best, left)

    def _steps(self, epoch: int) -> dict[str, float]:
        """One epoch of steps; the mean loss of each optimiser."""
        self.model.train()
        sums: dict[str, list[Tensor]] = defaultdict(list)
        for name, loss in self._losses(epoch):
            optimiser = self._optimisers[name]
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            distributed.average_gradients(self.model.parameters())
            optimiser.step()
            sums[name].append(loss.detach())
        means = {
            name: distributed.mean(float(torch.stack(values).mean()), self._device) for name, values in sums.items()
        }
        for name, mean in means.items():
            if not math.isfinite(mean):
                raise InputError(
                    f"the loss {name!r} is {mean} in epoch {epoch + 1}",
                    cure="Lower the learning rate with --set learning_rate=…",
                )
        return means

    def _losses(self, epoch: int) -> Iterator[tuple[str, Tensor]]:
        """The model's, made under automatic mixed precision where that is asked for; the steps between them are not."""
        steps = self.model.steps(epoch, self._generator)
        while True:
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self.workshop.mixed):
                step = next(steps, None)
            if step is None:
                return
            yield step

    def _select(self, standing: _Standing) -> float:
        """Measure on the selection split; keep the scorer if it is the best so far. Returns the best of this epoch."""
        assert self.data.selection is not None  # noqa: S101
        self.model.eval()
        scores = []
        with torch.no_grad():
            for chosen, scorer in self.model.candidates():
                metrics = distributed.agreed(judge(scorer, self.data.nodes, self.data.fit, self.data.selection))
                scores.append(total(metrics, self.metric))
                if not standing.metrics or scores[-1] > total(standing.metrics, self.metric):
                    standing.best_epoch, standing.metrics, standing.chosen = standing.epoch, metrics, chosen
                    standing.kind, self._best = type(scorer).__name__, scorer.tensors()
        return max(scores)

    @property
    def _device(self) -> torch.device:
        return self.workshop.device

    def _checkpoint(self, standing: _Standing) -> Path | None:
        directory = self.workshop.directory
        return None if directory is None else directory / runs.CHECKPOINT.format(phase=standing.phase)

    def _scorer(self) -> Scorer:
        self.model.eval()
        with torch.no_grad():
            return self.model.scorer()

    def _save(self, standing: _Standing) -> None:
        """Write the checkpoint of this phase."""
        path = self._checkpoint(standing)
        if path is None or distributed.rank():
            return
        tensors = {f"model/{name}": tensor for name, tensor in self.model.state_dict().items()}
        for name, optimiser in self._optimisers.items():
            for index, state in optimiser.state_dict()["state"].items():
                # SparseAdam counts its steps with a plain number
                tensors |= {f"optimiser/{name}/{index}/{key}": torch.as_tensor(value) for key, value in state.items()}
        tensors |= {f"best/{name}": tensor for name, tensor in self._best.items()}
        tensors["generator"] = self._generator.get_state()
        runs.write_tensors(path, tensors, {"made_by": self.workshop.made_by, **vars(standing)})

    def _resume(self, fresh: _Standing) -> _Standing:
        """Go on from this phase's checkpoint if the same code wrote it on the same kind of device; else begin.

        A damaged checkpoint costs time, not the run: training begins again.
        """
        path = self._checkpoint(fresh)
        if path is None:
            return fresh
        try:
            tensors, note = runs.read_tensors(path, self._device)
        except SnapshotError:
            return fresh
        if note.pop("made_by", None) != self.workshop.made_by:
            return fresh
        self.model.load_state_dict(_under(tensors, "model/"))
        for name, optimiser in self._optimisers.items():
            whole, state = optimiser.state_dict(), defaultdict[int, dict[str, Tensor | int]](dict)
            for key, value in _under(tensors, f"optimiser/{name}/").items():
                index, field_name = key.split("/")
                state[int(index)][field_name] = value if value.ndim or value.is_floating_point() else int(value)
            optimiser.load_state_dict({"state": dict(state), "param_groups": whole["param_groups"]})
        self._best = _under(tensors, "best/")
        self._generator.set_state(tensors["generator"].cpu())
        return _Standing(**note)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

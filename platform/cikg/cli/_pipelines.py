"""`cikg extract` of a whole pipeline: its stages one after the other, within one budget."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from cikg.cli._carry_out import carry_out, failure
from cikg.cli._output import ticked, working
from cikg.errors import CikgError, JobError
from cikg.extraction import ledger
from cikg.extraction.budget import Budget, metered
from cikg.extraction.estimate import estimate
from cikg.extraction.job import job
from cikg.extraction.pipelines import Pipeline, Stage
from cikg.graph import Graph
from cikg.settings import Settings


@dataclass(frozen=True)
class Wanted:
    """What a person wants of a pipeline, or of a job.

    Attributes:
        dataset: of which dataset.
        model: the model to ask.
        limit: look at the first so many subjects of each job alone.
        quarantined: ask again where an answer could not be used.
        batch: whether questions go in batches; None leaves that as it is.
    """

    dataset: str
    model: str
    limit: int | None = None
    quarantined: bool = False
    batch: bool | None = None

    def plan(self, graph: Graph, name: str) -> ledger.Plan:
        """Compare the ledger of a job with the graph."""
        return ledger.plan(graph, job(name), self.dataset, self.model, limit=self.limit, quarantined=self.quarantined)


def title(stage: Stage) -> str:
    """What a stage is called."""
    return stage if isinstance(stage, str) else stage.name


def expect(graph: Graph, settings: Settings, pipeline: Pipeline, wanted: Wanted) -> dict[str, Any]:
    """What a pipeline would cost, as far as that can be known before its first stages are done.

    A stage that works on what an earlier one will find has no figures, or (`certain` is false) those for what there is.

    Raises:
        CikgError: its first stage cannot be planned.
    """
    stages: list[dict[str, Any]] = []
    certain = True
    for stage in pipeline.stages:
        said: dict[str, Any] = {"stage": title(stage), "certain": certain}
        if isinstance(stage, str):
            try:
                said |= asdict(estimate(graph, wanted.plan(graph, stage), settings, batch=bool(wanted.batch)))
            except CikgError:
                if not stages:
                    raise
                said |= {"calls": None}
            certain = certain and said["calls"] == 0
        stages.append(said)
    asked = [said for said in stages if said.get("calls") is not None]
    return {
        "pipeline": pipeline.name,
        "dataset": wanted.dataset,
        "model": wanted.model,
        "stages": stages,
        "certain": all(said["certain"] for said in asked) and all(said.get("calls", 0) is not None for said in stages),
        **{name: _sum(asked, name) for name in ("calls", "prompt_tokens", "completion_tokens", "cost", "seconds")},
    }


def carry_out_all(
    graph: Graph, settings: Settings, pipeline: Pipeline, wanted: Wanted, *, quiet: bool, budget: Budget | None
) -> tuple[dict[str, Any], JobError | None]:
    """Carry out the stages in order, up to the first that does not end; what was done, and why it ended early.

    Raises:
        CikgError: a stage cannot be begun.
    """
    began, error, left = time.monotonic(), None, budget
    stages: list[dict[str, Any]] = []
    for stage in pipeline.stages:
        start = time.monotonic()
        result, error = carry_out_stage(graph, settings, stage, wanted, quiet=quiet, budget=left)
        result["seconds"] = round(time.monotonic() - start, 2)
        stages.append({"stage": title(stage), **result})
        if not quiet:
            _say(stages[-1], failed=error is not None)
        if error is not None:
            break
        if left is not None:
            left = replace(left, limit=max(0.0, left.limit - _spent(left, result)))
    return {
        "pipeline": pipeline.name,
        "dataset": wanted.dataset,
        "state": stages[-1].get("state", "done"),
        "stages": stages,
        **{name: _sum(stages, name) for name in ("calls", "tokens", "cost", "quarantined")},
        "seconds": round(time.monotonic() - began, 2),
    }, error


def carry_out_stage(
    graph: Graph, settings: Settings, stage: Stage, wanted: Wanted, *, quiet: bool, budget: Budget | None = None
) -> tuple[dict[str, Any], JobError | None]:
    """Carry out one stage; what was done, and why it ended early."""
    if not isinstance(stage, str):
        with working(stage.name, quiet=quiet):
            return stage.carry_out(graph, settings, wanted.dataset), None
    plan = wanted.plan(graph, stage)
    result = carry_out(graph, settings, plan, wait=True, quiet=quiet, budget=budget, batch=wanted.batch)
    return result, failure(graph, result)


def _spent(budget: Budget, result: dict[str, Any]) -> float:
    """How much of a budget a stage has used up."""
    totals = {"calls": result.get("calls", 0), "cost": result.get("cost") or 0.0}
    return metered(budget.unit, totals | {"prompt_tokens": result.get("tokens", 0), "completion_tokens": 0})


def _say(result: dict[str, Any], *, failed: bool) -> None:
    facts = {
        name: value for name, value in result.items() if name not in ("stage", "run", "seconds", "pending", "total")
    }
    shown = ", ".join(f"{value:,} {name}" for name, value in facts.items() if isinstance(value, int) and value)
    ticked(result["stage"], result["seconds"], shown, failed=failed)


def _sum(rows: list[dict[str, Any]], name: str) -> Any:
    """The sum of what the rows have under a name; None where one of them does not know."""
    found = [row[name] for row in rows if name in row]
    return None if any(value is None for value in found) else sum(found)

"""What each extraction stage is worth to a run."""

from __future__ import annotations

from typing import Any

from flask import g
from pydantic import BaseModel, ConfigDict, Field

from cikg.access.accounts import Scope
from cikg.recommend.evaluation.comparison import Verdict
from cikg.recommend.stages import METRIC
from web.api.operation import operation
from web.api.resources.comparisons import Interval
from web.api.resources.jobs import COST
from web.api.resources.models import TAG, Queued
from web.parts import stages
from web.store import graph, settings

RULE = "/datasets/<dataset>/runs/<key:run>/stages"


class Of(BaseModel):
    """What to measure."""

    model_config = ConfigDict(extra="forbid")

    metric: str = Field(METRIC, max_length=20, description="The metric with its cutoff; 0.01 of it is a point")


class Verdicts(BaseModel):
    """Whether a difference is proven."""

    valid: Verdict | None = Field(description="On the validation split")
    test: Verdict | None = Field(description="On the test split")


class StageLift(BaseModel):
    """What a stage contributes, and what it cost."""

    stage: str
    jobs: list[str] = Field(description="The jobs it consists of")
    left_out: str = Field(description="What a training without it does not see, or why it cannot be left out")
    runs: list[str] = Field(description="The training runs without it")
    valid: Interval | None = Field(description="How much better the run is with it, on the validation split")
    test: Interval | None = Field(description="The same on the test split")
    verdict: Verdicts
    calls: int = Field(description="Number of calls to the LLM")
    tokens: int = Field(description="Tokens sent and received")
    cost: float = Field(description=COST)
    cost_a_point: float | None = Field(description="Cost per point; null if the difference is not proven on test")
    tokens_a_point: float | None = Field(description="Tokens per point; null likewise")


class Stages(BaseModel):
    """The extraction stages of a training run."""

    run: str = Field(description="The id of the training run")
    method: str
    metric: str
    seeds: int = Field(description="Number of runs that the figures are averaged over; 0 if nothing was measured")
    stages: list[StageLift] = Field(description="Empty until they are measured")
    command: Queued | None = Field(description="The last command to measure them")


@operation("GET", RULE, tag=TAG, answer=Stages, query=Of, conflicts=True)
def show(dataset: str, run: str, query: Of) -> Any:
    """Return what each extraction stage contributes to a training run, and what it cost."""
    return stages.load(graph(), settings(), dataset, run, query.metric)


@operation("POST", RULE, tag=TAG, answer=Stages, status=202, body=Of, scope=Scope.WRITE)
def measure(dataset: str, run: str, body: Of) -> Any:
    """Have a worker train the run again without each of its stages, and measure what each contributes."""
    g.audited = {"run": run}
    stages.begin(graph(), settings(), dataset, run, body.metric)
    return stages.load(graph(), settings(), dataset, run, body.metric)

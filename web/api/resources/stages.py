"""What each extraction stage is worth to a run."""

from __future__ import annotations

from typing import Any

from flask import g
from pydantic import BaseModel, ConfigDict, Field

from cikg.access.accounts import Scope
from cikg.recommend.evaluation.comparison import Verdict
from cikg.recommend.stages import METRIC
from web import stages
from web.api.operation import operation
from web.api.resources.comparisons import Interval
from web.api.resources.models import TAG, Queued
from web.store import graph, settings

RULE = "/datasets/<dataset>/runs/<key:run>/stages"


class Of(BaseModel):
    """What is measured."""

    model_config = ConfigDict(extra="forbid")

    metric: str = Field(METRIC, max_length=20, description="`recall@20`, …; .01 of it is a point")


class Verdicts(BaseModel):
    """Whether a lift is proven."""

    valid: Verdict | None
    test: Verdict | None


class StageLift(BaseModel):
    """What a stage is worth, and what it cost."""

    stage: str
    jobs: list[str]
    left_out: str = Field(description="What a training without it does not see, or why it cannot be left out")
    runs: list[str] = Field(description="The runs without it")
    valid: Interval | None = Field(description="How much better the whole is, on valid")
    test: Interval | None = Field(description="The same on test")
    verdict: Verdicts
    calls: int
    tokens: int
    cost: float
    cost_a_point: float | None = Field(description="Null where the lift is not proven on test")
    tokens_a_point: float | None


class Stages(BaseModel):
    """The stages of a run."""

    run: str
    method: str
    metric: str
    seeds: int = Field(description="How many runs the figures are means over; 0 where nothing was measured")
    stages: list[StageLift] = Field(description="Empty until they were measured")
    command: Queued | None = Field(description="The last that was asked to measure")


@operation("GET", RULE, tag=TAG, answer=Stages, query=Of, conflicts=True)
def show(dataset: str, run: str, query: Of) -> Any:
    """What was measured of a run's stages: lifts with intervals, calls, tokens, cost and the price of a point."""
    return stages.load(graph(), settings(), dataset, run, query.metric)


@operation("POST", RULE, tag=TAG, answer=Stages, status=202, body=Of, scope=Scope.WRITE)
def measure(dataset: str, run: str, body: Of) -> Any:
    """Have a worker train the run again without each of its stages, and measure what each adds."""
    g.audited = {"run": run}
    stages.begin(graph(), settings(), dataset, run, body.metric)
    return stages.load(graph(), settings(), dataset, run, body.metric)

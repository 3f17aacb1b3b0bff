"""Runs side by side, as `cikg compare` puts them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from cikg.recommend.evaluation.comparison import Verdict
from cikg.recommend.evaluation.report import SHOWN, kept
from web import comparing
from web.api.operation import operation
from web.api.resources.models import RUN_ID, TAG
from web.store import graph, settings

Several = BeforeValidator(lambda given: [given] if isinstance(given, str) else given)
"""A name that occurs once in a query string is a list of one."""


class Beside(BaseModel):
    """Which runs, and how."""

    model_config = ConfigDict(extra="forbid")

    run: Annotated[list[Annotated[str, Field(pattern=RUN_ID)]], Several] = Field(
        min_length=comparing.FEWEST,
        max_length=comparing.MOST,
        description="Others are compared with the first",
    )
    split: Literal["test", "valid"] = Field("test", description="On which")
    metric: Annotated[list[Annotated[str, Field(max_length=20)]], Several] = Field(
        list(SHOWN), min_length=1, max_length=30, description="`ndcg@20`, …"
    )
    groups: Literal["users", "items"] | None = Field(None, description="Also by how much is known of them")
    groups_metric: str = Field("ndcg@50", max_length=20, description="The groups' metric")
    across_snapshots: bool = Field(False, description="Allow snapshots that differ in anything but interactions")


class Interval(BaseModel):
    """A mean over users with its interval."""

    mean: float
    low: float
    high: float


class Difference(Interval):
    """How much better than the first entry."""

    verdict: Verdict = Field(description="Whether the interval leaves out 0, and on which side")


class Figure(BaseModel):
    """A metric over runs that differ in their seed alone."""

    mean: float
    sd: float | None = Field(description="None of a single run")


class Compared(BaseModel):
    """Runs of one method with one configuration."""

    name: str
    method: str
    runs: list[str]
    seeds: list[int]
    refit: bool
    seconds: float = Field(description="Of training, the mean over runs")
    peak_memory_mb: float = Field(description="The most of any run, in MiB")
    device: str
    metrics: dict[str, Figure]
    differences: dict[str, Difference] | None = Field(description="To the first entry, of which there are none")


class Group(BaseModel):
    """Users or items of whom about as much is known."""

    interactions: str = Field(description="How many each has, as `3–7`")
    size: int = Field(description="How many there are of them")
    users: int = Field(description="How many users the figures are means over")
    figures: list[Interval] = Field(description="One an entry")
    differences: list[Interval] = Field(description="Of every entry but the first to the first")


class Comparison(BaseModel):
    """Runs side by side."""

    dataset: str
    protocol: str
    split: str
    snapshots: int = Field(description="How many different ones the runs saw")
    users: int
    confidence: float
    resamples: int
    entries: list[Compared]
    settings: dict[str, list[Any]] = Field(description="Those that differ: one value an entry, null without it")
    groups: list[Group]
    warnings: list[str]


@operation("GET", "/datasets/<dataset>/comparison", tag=TAG, answer=Comparison, query=Beside, conflicts=True)
def compare(dataset: str, query: Beside) -> Any:
    """Runs side by side: figures, differences with paired bootstrap intervals, settings that differ, groups.

    Runs of different splits, snapshots or protocols are refused. What was found is kept: the first question takes
    about a second for thousands of users, with groups three.
    """
    asked = comparing.ask(graph(), settings(), dataset, query.run, split=query.split, across=query.across_snapshots)
    comparing.check(asked)
    return kept(settings(), comparing.refined(asked, query.metric, query.groups, query.groups_metric))

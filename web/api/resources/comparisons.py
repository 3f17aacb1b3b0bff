"""Runs side by side, as `cikg compare` puts them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from cikg.recommend.evaluation.comparison import Verdict
from cikg.recommend.evaluation.report import SHOWN, kept
from web.api.operation import operation
from web.api.resources.models import RUN_ID, TAG
from web.parts import comparing
from web.store import graph, settings

Several = BeforeValidator(lambda given: [given] if isinstance(given, str) else given)
"""A name that occurs once in a query string is a list of one."""


class Beside(BaseModel):
    """What to compare."""

    model_config = ConfigDict(extra="forbid")

    run: Annotated[list[Annotated[str, Field(pattern=RUN_ID)]], Several] = Field(
        min_length=comparing.FEWEST,
        max_length=comparing.MOST,
        description="Ids of training runs; the others are compared with the first",
    )
    split: Literal["test", "valid"] = Field("test", description="The split that the metrics are measured on")
    metric: Annotated[list[Annotated[str, Field(max_length=20)]], Several] = Field(
        list(SHOWN), min_length=1, max_length=30, description="Metrics with their cutoffs, such as `ndcg@20`"
    )
    groups: Literal["users", "items"] | None = Field(
        None, description="Also compare groups of users or items by their number of interactions"
    )
    groups_metric: str = Field("ndcg@50", max_length=20, description="The metric for the groups")
    across_snapshots: bool = Field(
        False, description="Also compare runs on different snapshots, if their interactions are the same"
    )


class Interval(BaseModel):
    """A mean over users with its confidence interval."""

    mean: float
    low: float = Field(description="Lower end of the interval")
    high: float = Field(description="Upper end of the interval")


class Difference(Interval):
    """The difference from the first entry; positive is better."""

    verdict: Verdict = Field(description="`not proven` if the interval contains 0")


class Figure(BaseModel):
    """A metric over runs that differ only in their seed."""

    mean: float
    sd: float | None = Field(description="Standard deviation over the runs; null for a single run")


class Compared(BaseModel):
    """The runs of one method with one configuration."""

    name: str = Field(description="The method, and the settings that set it apart if the method occurs twice")
    method: str
    runs: list[str] = Field(description="Ids of the runs")
    seeds: list[int] = Field(description="The seed of each run")
    refit: bool = Field(description="Whether the models were trained again on train and valid together")
    seconds: float = Field(description="Training time, the mean over the runs")
    peak_memory_mb: float = Field(description="The greatest memory use of any run, in MiB")
    device: str = Field(description="What they were trained on, such as `cpu`")
    metrics: dict[str, Figure] = Field(description="By name and cutoff, such as `ndcg@20`")
    differences: dict[str, Difference] | None = Field(description="From the first entry; null for the first itself")


class Group(BaseModel):
    """Users or items with about the same number of interactions."""

    interactions: str = Field(description="How many each has, such as `3–7`")
    size: int = Field(description="Number of users or items in the group")
    users: int = Field(description="Number of users that the figures are averaged over")
    figures: list[Interval] = Field(description="One for each entry")
    differences: list[Interval] = Field(description="From the first entry, one for each of the others")


class Comparison(BaseModel):
    """Runs side by side."""

    dataset: str
    protocol: str = Field(description="The evaluation protocol, which is the same for all runs")
    split: str = Field(description="`test` or `valid`")
    snapshots: int = Field(description="Number of different snapshots that the runs were trained on")
    users: int = Field(description="Number of users that the metrics are averaged over")
    confidence: float = Field(description="Level of the intervals, such as 0.95")
    resamples: int = Field(description="Number of bootstrap samples behind each interval")
    entries: list[Compared]
    settings: dict[str, list[Any]] = Field(
        description="Settings that differ: one value for each entry, null where it has no such setting"
    )
    groups: list[Group] = Field(description="Empty unless asked for")
    warnings: list[str] = Field(description="What limits the comparison")


@operation("GET", "/datasets/<dataset>/comparison", tag=TAG, answer=Comparison, query=Beside, conflicts=True)
def compare(dataset: str, query: Beside) -> Any:
    """Compare training runs: metrics, differences with paired bootstrap intervals, settings that differ, and groups.

    Runs with different splits, snapshots or protocols are refused. The result is stored; computing it the first time
    takes seconds for thousands of users.
    """
    asked = comparing.ask(graph(), settings(), dataset, query.run, split=query.split, across=query.across_snapshots)
    comparing.check(asked)
    return kept(settings(), comparing.refined(asked, query.metric, query.groups, query.groups_metric))

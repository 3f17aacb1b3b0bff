"""Costs: what the jobs of a dataset have asked of the LLM, by job and run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from flask import Blueprint, Response

from cikg.extraction import control
from cikg.graph import Graph
from cikg.settings import Settings
from web.chrome import render
from web.parts import runs as parts
from web.store import graph, settings
from web.urls import page

blueprint = Blueprint("costs", __name__)


@dataclass(frozen=True)
class Spent:
    """What a job's runs cost together.

    Attributes:
        job: its name.
        runs: how many there were.
        done: subjects that were done.
        calls: questions that were asked.
        tokens: sent and received.
        cost: in money; 0 where the model has no price.
        share: of the tokens of all jobs, from 0 to 1.
    """

    job: str
    runs: int
    done: int
    calls: int
    tokens: int
    cost: float
    share: float


@dataclass(frozen=True)
class CostsPage:
    """The costs of a dataset.

    Attributes:
        dataset: the dataset.
        jobs: by job, the dearest first.
        runs: by run, the newest first, with the model that it asks.
        calls: of all runs, like the next two.
        tokens: sent and received.
        cost: in money.
        currency: what it is in.
        priced: whether any model has a price.
    """

    template: ClassVar[str] = "costs.html"
    dataset: str
    jobs: tuple[Spent, ...]
    runs: tuple[dict[str, Any], ...]
    calls: int
    tokens: int
    cost: float
    currency: str
    priced: bool


def load(graph: Graph, settings: Settings, dataset: str) -> CostsPage:
    """Read what all runs of a dataset cost."""
    given = {row["run"]: parts.unpack(row["parameters"]) for row in graph.many("job_parameters", dataset=dataset)}
    runs = [{**row, "model": (given.get(row["run"]) or {}).get("model", "")} for row in control.runs(graph, dataset)]
    calls, tokens, cost = (sum(row[name] for row in runs) for name in ("calls", "tokens", "cost"))
    names = dict.fromkeys(row["job"] for row in runs)
    jobs = [_spent(name, [row for row in runs if row["job"] == name], tokens) for name in names]
    return CostsPage(
        dataset=dataset,
        jobs=tuple(sorted(jobs, key=lambda each: (-each.cost, -each.tokens, each.job))),
        runs=tuple(runs),
        calls=calls,
        tokens=tokens,
        cost=cost,
        currency=settings.llm_currency,
        priced=bool(settings.llm_prices),
    )


def _spent(job: str, runs: Iterable[dict[str, Any]], all_tokens: int) -> Spent:
    listed = list(runs)
    done, calls, tokens, cost = (sum(row[name] for row in listed) for name in ("done", "calls", "tokens", "cost"))
    return Spent(job, len(listed), done, calls, tokens, cost, tokens / all_tokens if all_tokens else 0.0)


@page(blueprint, "/d/<id:dataset>/costs")
def index(dataset: str) -> Response:
    """What the dataset's jobs cost."""
    return render(load(graph(), settings(), dataset))

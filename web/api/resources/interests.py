"""Interests made anew of the phrases that were found."""

from __future__ import annotations

from flask import g
from pydantic import BaseModel, ConfigDict, Field

from cikg.access.accounts import Scope
from cikg.graph.database import Row
from web.api.operation import operation
from web.api.resources.commands import CommandDetail
from web.api.resources.jobs import TAG
from web.parts import clustering, jobs
from web.store import graph, settings

MOST_CLUSTERS = 100_000


class Clustering(BaseModel):
    """How to cluster."""

    model_config = ConfigDict(extra="forbid")

    clusters: int | None = Field(
        None,
        ge=1,
        le=MOST_CLUSTERS,
        description="Number of interests; null to choose it from the phrases",
        examples=[100],
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the clustering")


@operation(
    "POST",
    "/datasets/<dataset>/interests",
    tag=TAG,
    answer=CommandDetail,
    status=202,
    body=Clustering,
    scope=Scope.WRITE,
)
def cluster(dataset: str, body: Clustering) -> Row:
    """Have a worker group phrases with the same meaning into interests, which replace those of earlier clusterings.

    `GET …/commands/RUN` reports the progress. The same phrases, number and seed give the same interests.
    """
    g.audited = body.model_dump()
    run = clustering.begin(graph(), settings(), dataset, clusters=body.clusters, seed=body.seed)
    return jobs.command(graph(), dataset, run)

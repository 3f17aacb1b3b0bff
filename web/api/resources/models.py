"""Training runs, and which of them is served."""

from __future__ import annotations

from typing import Any

from flask import g
from pydantic import BaseModel, ConfigDict, Field

from cikg.access.accounts import Scope
from cikg.graph.database import Row
from cikg.schema import State
from cikg.serving.publish import roll_back as roll_back_to
from web import jobs, publishing, training
from web import runs as pages
from web.api.operation import operation
from web.api.paging import Page, Paged, by_place
from web.api.resources.commands import CommandDetail
from web.store import graph, settings

TAG = "Models"
RUNS = "/datasets/<dataset>/runs"
RUN_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$"  # never a path


class TrainingRun(BaseModel):
    """A training run."""

    run: str
    method: str
    state: str
    snapshot: str | None = Field(description="Hash of what it was trained on")
    valid: dict[str, float] = Field(description="Metrics on the validation split: `ndcg@20`, …")
    test: dict[str, float] = Field(description="Metrics on the test split; empty until it was evaluated")
    started_at: str | None
    finished_at: str | None
    error: str | None


class TrainingDetail(TrainingRun):
    """A training run with how it was made."""

    manifest: dict[str, Any] = Field(description="Settings, seed, versions, timings")
    curve: list[dict[str, Any]] = Field(description="Loss and metric of each epoch or candidate")


class Model(BaseModel):
    """A run that was published."""

    run: str
    published_at: str | None
    served: bool


class Models(BaseModel):
    """The published runs."""

    items: list[Model]


class Back(BaseModel):
    """How to go back."""

    model_config = ConfigDict(extra="forbid")

    to: str | None = Field(
        None,
        pattern=RUN_ID,
        description="The run that is expected to be served then; if it is already, nothing changes",
    )


class Training(BaseModel):
    """What to train."""

    model_config = ConfigDict(extra="forbid")

    method: str = Field(training.FIRST, max_length=50, description="As `cikg train --list` names it")
    seed: int = Field(0, ge=0, le=training.LAST_SEED, description="Of everything random; with several seeds, the first")
    seeds: int = Field(1, ge=1, le=training.MOST_SEEDS, description="How many to train with, one run each")
    trials: int = Field(
        0,
        ge=0,
        le=training.MOST_TRIALS,
        description="Settings to try first on valid, to train with the best; 0 where the method has none to try",
    )


class Wanted(BaseModel):
    """What to serve."""

    model_config = ConfigDict(extra="forbid")

    run: str = Field(
        pattern=RUN_ID, description="A finished training run of this dataset", examples=["mixture-demo-8d5121a8cc58"]
    )
    k: int = Field(20, ge=1, le=1000, description="Recommendations a user")


class Served(BaseModel):
    """What is served from now on."""

    run: str
    users: int
    recommendations: int
    explained: float = Field(description="Share of the recommendations that an interest explains")


class Queued(BaseModel):
    """How far a command is that a worker was asked to carry out."""

    run: str = Field(validation_alias="id", description="Its own among the commands, as `GET …/commands` names it")
    about: str = Field(description="What it works on")
    state: State = Field(description="`planned`, `running`, then `done`, `failed` or `cancelled`")
    progress: str | None = Field(description="How far it is, in words")
    error: str | None


class ServedModel(BaseModel):
    """A model that is served, or was before."""

    run: str
    method: str
    published_at: str | None


class Standing(BaseModel):
    """What a dataset serves."""

    now: ServedModel | None
    before: ServedModel | None = Field(description="What a rollback would serve")
    publication: Queued | None = Field(description="The last that was asked for")


@operation("GET", RUNS, tag=TAG, answer=Page[TrainingRun], query=Paged)
def runs(dataset: str, query: Paged) -> Page[Any]:
    """The training runs of a dataset, the newest first."""
    return by_place(query, lambda skip, limit: _runs(dataset, skip + limit)[skip:])


@operation("GET", f"{RUNS}/<key:run>", tag=TAG, answer=TrainingDetail)
def run(dataset: str, run: str) -> Row:
    """One training run, with its settings and its curve."""
    found = pages.training(graph(), dataset, run)
    epochs = (pages.unpack(found.get("curve")) or {}).get("epochs", [])
    return _summary(found) | {"manifest": pages.unpack(found.get("manifest")) or {}, "curve": epochs}


@operation("POST", RUNS, tag=TAG, answer=CommandDetail, status=202, body=Training, scope=Scope.WRITE)
def train(dataset: str, body: Training) -> Row:
    """Have a worker train a method on the dataset as it is now; its run stands among the others once it is done.

    `GET …/commands/RUN` says how far it is, and then what it printed: the id of the trained run. The same training is
    not queued twice while it waits or goes on.
    """
    g.audited = body.model_dump()
    wanted = training.Wanted(**body.model_dump())
    return jobs.command(graph(), dataset, training.begin(graph(), settings(), dataset, wanted))


@operation("POST", f"{RUNS}/<key:run>/evaluation", tag=TAG, answer=CommandDetail, status=202, scope=Scope.WRITE)
def evaluate(dataset: str, run: str) -> Row:
    """Have a worker open the test split for a run; `GET …/commands/RUN` says how far it is, and then the figures."""
    return jobs.command(graph(), dataset, training.evaluate(graph(), settings(), dataset, run))


@operation("GET", "/datasets/<dataset>/models", tag=TAG, answer=Models)
def models(dataset: str) -> Row:
    """The published runs, and which of them is served."""
    return {"items": graph().many("published_runs", dataset=dataset)}


@operation("GET", "/datasets/<dataset>/served", tag=TAG, answer=Standing)
def served(dataset: str) -> Any:
    """What is served, what was before, and how far the last publication is."""
    return publishing.standing(graph(), dataset)


@operation("PUT", "/datasets/<dataset>/served", tag=TAG, answer=Standing, status=202, body=Wanted, scope=Scope.WRITE)
def serve(dataset: str, body: Wanted) -> Any:
    """Have a worker publish a run: it writes everyone's recommendations, then serves them from one moment to the next.

    `GET …/served` says how far it is; what was served before stays until then.
    """
    g.audited = {"run": body.run, "k": body.k}
    return publishing.begin(graph(), settings(), dataset, body.run, body.k)


@operation("POST", "/datasets/<dataset>/served/rollback", tag=TAG, answer=Served, body=Back, scope=Scope.WRITE)
def roll_back(dataset: str, body: Back) -> Any:
    """Serve again what was served before, from one moment to the next; done twice, it is undone."""
    done = roll_back_to(graph(), dataset, body.to)
    g.audited = {"run": done.run}
    return done


def _runs(dataset: str, limit: int) -> list[Row]:
    return [_summary(row["run"]) for row in graph().many("training_runs", dataset=dataset, limit=limit)]


def _summary(row: Row) -> Row:
    evaluation = pages.unpack(row.get("evaluation")) or {}
    return {
        "run": row["id"],
        "method": row.get("name") or "",
        "state": row.get("state") or "done",
        "snapshot": row.get("snapshot"),
        "valid": pages.unpack(row.get("valid")) or evaluation.get("valid") or {},
        "test": evaluation.get("test") or {},
        "started_at": row.get("started_at"),
        "finished_at": row.get("finished_at"),
        "error": row.get("error"),
    }

"""Training runs, and which of them is served."""

from __future__ import annotations

from typing import Any

from flask import g
from pydantic import BaseModel, ConfigDict, Field

from cikg.access.accounts import Scope
from cikg.graph.database import Row
from cikg.recommend import methods
from cikg.schema import State
from cikg.serving.publish import roll_back as roll_back_to
from web.api.operation import operation
from web.api.paging import Page, Paged, by_place
from web.api.resources.commands import CommandDetail
from web.parts import jobs, publishing, training
from web.parts import runs as pages
from web.store import graph, settings

TAG = "Models"
RUNS = "/datasets/<dataset>/runs"
RUN_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$"  # never a path


class TrainingMethod(BaseModel):
    """A method that can be trained."""

    name: str
    help: str = Field(description="What it is, in a sentence")
    searched: bool = Field(description="Whether `trials` can search for its best configuration")


class TrainingMethods(BaseModel):
    """The methods."""

    items: list[TrainingMethod]


class TrainingRun(BaseModel):
    """A training run."""

    run: str = Field(description="The id of the run")
    method: str
    state: State
    snapshot: str | None = Field(description="Hash of the snapshot it was trained on")
    valid: dict[str, float] = Field(description="Metrics on the validation split, such as `ndcg@20`")
    test: dict[str, float] = Field(description="Metrics on the test split; empty until it is opened")
    started_at: str | None = Field(description="ISO time")
    finished_at: str | None = Field(description="ISO time")
    error: str | None = Field(description="Why it failed")


class TrainingDetail(TrainingRun):
    """A training run and how it was trained."""

    manifest: dict[str, Any] = Field(description="Settings, seed, versions and timings")
    curve: list[dict[str, Any]] = Field(description="Loss and metric of each epoch or candidate")


class Model(BaseModel):
    """A training run that was published."""

    run: str = Field(description="The id of the run")
    published_at: str | None = Field(description="When it was last published, as ISO time")
    served: bool = Field(description="Whether it is served now")


class Models(BaseModel):
    """The published training runs."""

    items: list[Model]


class Back(BaseModel):
    """How to roll back."""

    model_config = ConfigDict(extra="forbid")

    to: str | None = Field(
        None,
        pattern=RUN_ID,
        description="The run to be served then, as a check; if it is served already, nothing changes",
    )


class Training(BaseModel):
    """What to train."""

    model_config = ConfigDict(extra="forbid")

    method: str = Field(training.FIRST, max_length=50, description="Name of the method; `GET /methods` lists them")
    seed: int = Field(0, ge=0, le=training.LAST_SEED, description="Seed of everything random; with several, the first")
    seeds: int = Field(1, ge=1, le=training.MOST_SEEDS, description="Number of seeds to train with, one run for each")
    trials: int = Field(
        0,
        ge=0,
        le=training.MOST_TRIALS,
        description="Number of configurations to try first, to train with the best on the validation split; 0 for the"
        " defaults",
    )


class Wanted(BaseModel):
    """What to publish."""

    model_config = ConfigDict(extra="forbid")

    run: str = Field(
        pattern=RUN_ID, description="A finished training run of this dataset", examples=["mixture-demo-8d5121a8cc58"]
    )
    k: int = Field(20, ge=1, le=1000, description="Number of recommendations per user")


class Served(BaseModel):
    """What is served now."""

    run: str = Field(description="The id of the training run")
    users: int = Field(description="Number of users with recommendations")
    recommendations: int = Field(description="Number of recommendations")
    explained: float = Field(description="Share of the recommendations that an interest explains, from 0 to 1")


class Queued(BaseModel):
    """A command that is queued for a worker, runs on one, or has ended."""

    run: str = Field(validation_alias="id", description="The id of the command; `GET …/commands/RUN` returns it")
    about: str = Field(description="What it is about: for a publication, the training run")
    state: State = Field(description="`planned`, `running`, then `done`, `failed` or `cancelled`")
    progress: str | None = Field(description="Its progress, in words")
    error: str | None = Field(description="Why it failed, or who cancelled it")


class ServedModel(BaseModel):
    """A model that is or was served."""

    run: str = Field(description="The id of the training run")
    method: str
    published_at: str | None = Field(description="ISO time")


class Standing(BaseModel):
    """What a dataset serves."""

    now: ServedModel | None = Field(description="The model that is served; null if none is")
    before: ServedModel | None = Field(description="The model that a rollback would serve; null if there is none")
    publication: Queued | None = Field(description="The last publication that was requested")


@operation("GET", "/methods", tag=TAG, answer=TrainingMethods)
def list_methods() -> TrainingMethods:
    """List the methods that can be trained."""
    searched = methods.searched()
    return TrainingMethods(
        items=[
            TrainingMethod(name=name, help=about, searched=name in searched)
            for name, about in methods.summaries().items()
        ]
    )


@operation("GET", RUNS, tag=TAG, answer=Page[TrainingRun], query=Paged)
def runs(dataset: str, query: Paged) -> Page[Any]:
    """List the training runs of a dataset, newest first."""
    return by_place(query, lambda skip, limit: _runs(dataset, skip + limit)[skip:])


@operation("GET", f"{RUNS}/<key:run>", tag=TAG, answer=TrainingDetail)
def run(dataset: str, run: str) -> Row:
    """Return a training run with its settings and learning curve."""
    found = pages.training(graph(), dataset, run)
    epochs = (pages.unpack(found.get("curve")) or {}).get("epochs", [])
    return _summary(found) | {"manifest": pages.unpack(found.get("manifest")) or {}, "curve": epochs}


@operation("POST", RUNS, tag=TAG, answer=CommandDetail, status=202, body=Training, scope=Scope.WRITE)
def train(dataset: str, body: Training) -> Row:
    """Have a worker train a method on the dataset as it is now.

    `GET …/commands/RUN` reports the progress and, in the end, the id of the training run. While a training is queued
    or running, the same training is not queued again.
    """
    g.audited = body.model_dump()
    wanted = training.Wanted(**body.model_dump())
    return jobs.command(graph(), dataset, training.begin(graph(), settings(), dataset, wanted))


@operation("POST", f"{RUNS}/<key:run>/evaluation", tag=TAG, answer=CommandDetail, status=202, scope=Scope.WRITE)
def evaluate(dataset: str, run: str) -> Row:
    """Have a worker open the test split for a training run.

    `GET …/commands/RUN` reports the progress and, in the end, the metrics.
    """
    return jobs.command(graph(), dataset, training.evaluate(graph(), settings(), dataset, run))


@operation("GET", "/datasets/<dataset>/models", tag=TAG, answer=Models)
def models(dataset: str) -> Row:
    """List the published training runs, and which of them is served."""
    return {"items": graph().many("published_runs", dataset=dataset)}


@operation("GET", "/datasets/<dataset>/served", tag=TAG, answer=Standing)
def served(dataset: str) -> Any:
    """Return what is served, what was served before, and the progress of the last publication."""
    return publishing.standing(graph(), dataset)


@operation("PUT", "/datasets/<dataset>/served", tag=TAG, answer=Standing, status=202, body=Wanted, scope=Scope.WRITE)
def serve(dataset: str, body: Wanted) -> Any:
    """Have a worker publish a training run.

    It writes all users' recommendations, then switches to them in one step; until then, the earlier model is served.
    `GET …/served` reports the progress.
    """
    g.audited = {"run": body.run, "k": body.k}
    return publishing.begin(graph(), settings(), dataset, body.run, body.k)


@operation("POST", "/datasets/<dataset>/served/rollback", tag=TAG, answer=Served, body=Back, scope=Scope.WRITE)
def roll_back(dataset: str, body: Back) -> Any:
    """Switch back to the model that was served before, in one step.

    A second rollback undoes the first.
    """
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

"""What the LLM was asked and answered: one answer, and all about one user or item."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from cikg.schema import State
from web.api.operation import operation
from web.api.resources.jobs import TAG
from web.pages.jobs import load_completion
from web.pages.trail import load as load_trail
from web.store import graph


class Turn(BaseModel):
    """A question to the LLM and its answer."""

    prompt: str = Field(description="Name of the prompt")
    prompt_version: int | None
    model: str | None
    asked: str | None = Field(description="What the prompt said about this subject")
    answer: str | None = Field(description="The answer as it was received")


class TrailStage(BaseModel):
    """What one run of a job did about a user or an item."""

    run: str = Field(description="Id of the run")
    job: str
    state: State
    error: str | None = Field(description="Why it failed")
    updated_at: str | None = Field(description="ISO time")
    turns: list[Turn] = Field(description="Questions and answers, in order")


class Trail(BaseModel):
    """What all jobs did about a user or an item."""

    id: str
    name: str = Field(description="Its name; its id if it has none")
    kind: str = Field(description="What it is, such as `User` or `Item`")
    stages: list[TrailStage] = Field(description="One for each run, oldest first")


class Completion(BaseModel):
    """An answer of the LLM."""

    id: str
    model: str | None = None
    prompt: str | None = Field(None, description="Name of the prompt")
    prompt_version: int | None = None
    status: str | None = Field(None, description="`valid` if the answer could be used")
    prompt_tokens: int | None = Field(None, description="Tokens sent")
    completion_tokens: int | None = Field(None, description="Tokens received")
    latency: float | None = Field(None, description="Seconds until the answer was received")
    error: str | None = Field(None, description="Why the answer could not be used")
    created_at: str | None = Field(None, description="ISO time")
    instructions: str | None = Field(description="The prompt's part for all subjects; null if it has changed since")
    asked: str | None = Field(description="The prompt's part about this subject")
    text: str = Field(description="The answer as it was received")


@operation("GET", "/datasets/<dataset>/completions/<key:completion>", tag=TAG, answer=Completion)
def show(dataset: str, completion: str) -> Completion:
    """Return an answer of the LLM, and what it was asked."""
    found = load_completion(graph(), dataset, completion)
    return Completion(id=found.id, instructions=found.instructions, asked=found.asked, text=found.text, **found.facts)


@operation("GET", "/datasets/<dataset>/trails/<key:subject>", tag=TAG, answer=Trail)
def trail(dataset: str, subject: str) -> Any:
    """Return everything that jobs asked the LLM about a user or an item, and its answers."""
    return load_trail(graph(), dataset, subject)

"""Intents that may mean the same: the pairs, looking for more, and the vectors to look by."""

from __future__ import annotations

from typing import Any, Literal

from flask import g
from pydantic import BaseModel, ConfigDict, Field

from cikg.access.accounts import Scope
from cikg.extraction.steps.merging import Verdict, pairs
from cikg.graph import vectors
from cikg.graph.database import Row
from web import jobs, login, merging
from web.api.operation import operation
from web.api.paging import Page, Paged, by_place
from web.api.resources.commands import CommandDetail
from web.api.resources.jobs import TAG
from web.store import graph, settings

MERGES, EMBEDDINGS = "/datasets/<dataset>/merges", "/datasets/<dataset>/embeddings"


class Pair(BaseModel):
    """Two intents, and what was thought of them."""

    intent: str = Field(description="The intent that goes, or went")
    name: str
    into: str = Field(description="The one that stays")
    into_name: str
    state: Verdict
    method: str | None = Field(description="What led to it: `exact`, `vector`, `llm`; null or `manual` for a person")
    score: float | None = Field(description="How alike they are, 1 at most")
    history: list[str] = Field(description="Who decided what, and when, the latest last")
    edges: int = Field(description="How many users and items have the first now")
    into_edges: int = Field(description="How many have the second")


class PairsQuery(Paged):
    """Which pairs."""

    state: Verdict = Field(Verdict.PROPOSED, description="What was decided; `proposed` for those that wait for it")


class Judgement(BaseModel):
    """What somebody decides about two intents."""

    model_config = ConfigDict(extra="forbid")

    intent: str = Field(
        min_length=1, max_length=1000, description="The id of the one that goes", examples=["tales of the sea"]
    )
    into: str = Field(min_length=1, max_length=1000, description="Of the one that stays", examples=["sea stories"])
    verdict: Literal["merged", "undone", "rejected"] = Field(
        description="`merged` gives the first one's users and items to the second, `undone` takes that back, `rejected`"
        " keeps them apart for good"
    )


class Search(BaseModel):
    """What to compare."""

    model_config = ConfigDict(extra="forbid")

    embedding: str | None = Field(
        None,
        max_length=200,
        description="Vectors, as `GET …/embeddings` names them; letters but for their case if null",
    )
    threshold: float = Field(merging.THRESHOLD, gt=0, le=1, description="The least cosine of two vectors")


class Acceptance(BaseModel):
    """Which of the proposed pairs to merge."""

    model_config = ConfigDict(extra="forbid")

    threshold: float = Field(
        gt=0, le=1, description="The least score of a pair, as `GET …/merges` has them", examples=[0.98]
    )


class Embedding(BaseModel):
    """Vectors of one kind of node by one model."""

    label: str
    embedding: str = Field(description="The model and its dimension, as `lexical_64`")
    dimension: int


class Embeddings(BaseModel):
    """The vectors that a dataset has."""

    items: list[Embedding]


@operation("GET", MERGES, tag=TAG, answer=Page[Pair], query=PairsQuery)
def merges(dataset: str, query: PairsQuery) -> Page[Any]:
    """Pairs of intents that may mean the same, or were judged, the likeliest first."""
    found = pairs(graph(), dataset, query.state)
    return by_place(query, lambda skip, limit: found[skip : skip + limit])


@operation("POST", MERGES, tag=TAG, answer=CommandDetail, status=202, body=Search, scope=Scope.WRITE)
def propose(dataset: str, body: Search) -> Row:
    """Have a worker look for intents that may mean the same; what it finds is `proposed`, and nothing is merged.

    `GET …/commands/RUN` says how far it is, and then how many pairs are new. What was ever judged stays.
    """
    g.audited = body.model_dump()
    wanted = merging.Wanted(body.embedding, body.threshold)
    return jobs.command(graph(), dataset, merging.propose(graph(), settings(), dataset, wanted, login.caller().name))


@operation("POST", f"{MERGES}/verdicts", tag=TAG, answer=Judgement, body=Judgement, scope=Scope.WRITE)
def judge(dataset: str, body: Judgement) -> Judgement:
    """Merge two intents, take that back, or keep them apart."""
    g.audited = body.model_dump()
    merging.judge(graph(), dataset, body.intent, body.into, body.verdict, actor=login.caller().name)
    return body


@operation(
    "POST", f"{MERGES}/acceptance", tag=TAG, answer=CommandDetail, status=202, body=Acceptance, scope=Scope.WRITE
)
def accept(dataset: str, body: Acceptance) -> Row:
    """Have a worker merge all proposed pairs from a score on; each can be undone by itself, and what was judged stays.

    `GET …/commands/RUN` says how far it is, and then how many it merged.
    """
    g.audited = body.model_dump()
    run = merging.accept(graph(), settings(), dataset, body.threshold, login.caller().name)
    return jobs.command(graph(), dataset, run)


@operation("GET", EMBEDDINGS, tag=TAG, answer=Embeddings)
def embeddings(dataset: str) -> Row:
    """The vectors that a dataset has."""
    found = vectors.embeddings(graph(), dataset)
    rows = [(str(label), name) for label, names in found.items() for name in names]
    return {
        "items": [{"label": label, "embedding": name, "dimension": vectors.dimension(name)} for label, name in rows]
    }


@operation("POST", EMBEDDINGS, tag=TAG, answer=CommandDetail, status=202, scope=Scope.WRITE)
def embed(dataset: str) -> Row:
    """Have a worker make vectors of all texts that have none or have changed, with the embedder of the settings.

    `GET …/commands/RUN` says how far it is, and then how many it made.
    """
    return jobs.command(graph(), dataset, merging.embed(graph(), settings(), dataset))

"""Intents that may mean the same: the pairs, looking for more, and the vectors to look by."""

from __future__ import annotations

from typing import Any, Literal

from flask import g
from pydantic import BaseModel, ConfigDict, Field

from cikg.access.accounts import Scope
from cikg.extraction.steps.merging import Verdict, pairs
from cikg.graph import vectors
from cikg.graph.database import Row
from web import login
from web.api.operation import operation
from web.api.paging import Page, Paged, by_place
from web.api.resources.commands import CommandDetail
from web.api.resources.jobs import TAG
from web.parts import jobs, merging
from web.store import graph, settings

MERGES, EMBEDDINGS = "/datasets/<dataset>/merges", "/datasets/<dataset>/embeddings"


class Pair(BaseModel):
    """Two intents that may mean the same."""

    intent: str = Field(description="The id of the intent that goes")
    name: str
    into: str = Field(description="The id of the intent that stays")
    into_name: str
    state: Verdict
    method: str | None = Field(
        description="How it was found: `exact`, `vector` or `llm`; null or `manual` for a person"
    )
    score: float | None = Field(description="How similar they are; at most 1")
    history: list[str] = Field(description="Who decided what and when, latest last")
    edges: int = Field(description="Number of users and items that have the first intent now")
    into_edges: int = Field(description="Number of users and items that have the second")


class PairsQuery(Paged):
    """Which pairs to list."""

    state: Verdict = Field(Verdict.PROPOSED, description="Only pairs with this verdict; `proposed` ones have none yet")


class Judgement(BaseModel):
    """A verdict on two intents."""

    model_config = ConfigDict(extra="forbid")

    intent: str = Field(
        min_length=1, max_length=1000, description="The id of the intent that goes", examples=["tales of the sea"]
    )
    into: str = Field(
        min_length=1, max_length=1000, description="The id of the intent that stays", examples=["sea stories"]
    )
    verdict: Literal["merged", "undone", "rejected"] = Field(
        description="`merged` moves the first one's users and items to the second, `undone` undoes that, `rejected`"
        " keeps the two apart for good"
    )


class Search(BaseModel):
    """How to look for pairs."""

    model_config = ConfigDict(extra="forbid")

    embedding: str | None = Field(
        None,
        max_length=200,
        description="The vectors to compare, as `GET …/embeddings` names them. Null finds names that are equal except"
        " for case, punctuation and spaces",
    )
    threshold: float = Field(merging.THRESHOLD, gt=0, le=1, description="Minimum cosine similarity of two vectors")


class Acceptance(BaseModel):
    """Which proposed pairs to merge."""

    model_config = ConfigDict(extra="forbid")

    threshold: float = Field(gt=0, le=1, description="Minimum score of a pair, as in `GET …/merges`", examples=[0.98])


class Embedding(BaseModel):
    """The vectors of one kind of node from one model."""

    kind: str = Field(description="`Item`, `Entity`, `Intent`, `Interest` or `Profile`")
    embedding: str = Field(description="The model and its dimension, such as `lexical_64`")
    dimension: int


class Embeddings(BaseModel):
    """The vectors of a dataset."""

    items: list[Embedding]


@operation("GET", MERGES, tag=TAG, answer=Page[Pair], query=PairsQuery)
def merges(dataset: str, query: PairsQuery) -> Page[Any]:
    """List pairs of intents that may mean the same, or that have a verdict, most similar first."""
    found = pairs(graph(), dataset, query.state)
    return by_place(query, lambda skip, limit: found[skip : skip + limit])


@operation("POST", MERGES, tag=TAG, answer=CommandDetail, status=202, body=Search, scope=Scope.WRITE)
def propose(dataset: str, body: Search) -> Row:
    """Have a worker look for intents that may mean the same.

    The pairs it finds are `proposed`; nothing is merged, and pairs with a verdict keep it. `GET …/commands/RUN`
    reports the progress and, in the end, the number of new pairs.
    """
    g.audited = body.model_dump()
    wanted = merging.Wanted(body.embedding, body.threshold)
    return jobs.command(graph(), dataset, merging.propose(graph(), settings(), dataset, wanted, login.caller().name))


@operation("POST", f"{MERGES}/verdicts", tag=TAG, answer=Judgement, body=Judgement, scope=Scope.WRITE)
def judge(dataset: str, body: Judgement) -> Judgement:
    """Merge two intents, undo a merge, or keep two intents apart."""
    g.audited = body.model_dump()
    merging.judge(graph(), dataset, body.intent, body.into, body.verdict, actor=login.caller().name)
    return body


@operation(
    "POST", f"{MERGES}/acceptance", tag=TAG, answer=CommandDetail, status=202, body=Acceptance, scope=Scope.WRITE
)
def accept(dataset: str, body: Acceptance) -> Row:
    """Have a worker merge all proposed pairs with at least a given score.

    Each merge can be undone, and pairs with a verdict keep it. `GET …/commands/RUN` reports the progress and, in the
    end, the number of merges.
    """
    g.audited = body.model_dump()
    run = merging.accept(graph(), settings(), dataset, body.threshold, login.caller().name)
    return jobs.command(graph(), dataset, run)


@operation("GET", EMBEDDINGS, tag=TAG, answer=Embeddings)
def embeddings(dataset: str) -> Row:
    """List the vectors of a dataset."""
    found = vectors.embeddings(graph(), dataset)
    rows = [(str(label), name) for label, names in found.items() for name in names]
    return {"items": [{"kind": label, "embedding": name, "dimension": vectors.dimension(name)} for label, name in rows]}


@operation("POST", EMBEDDINGS, tag=TAG, answer=CommandDetail, status=202, scope=Scope.WRITE)
def embed(dataset: str) -> Row:
    """Have a worker embed all new and changed texts with the configured embedder.

    `GET …/commands/RUN` reports the progress and, in the end, the number of vectors.
    """
    return jobs.command(graph(), dataset, merging.embed(graph(), settings(), dataset))

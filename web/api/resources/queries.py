"""Questions: those of the library, statements of one's own, and statements that are kept."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from flask import g
from pydantic import BaseModel, ConfigDict, Field

from cikg.access.accounts import Scope
from cikg.errors import NotFoundError
from cikg.graph import console
from cikg.graph.database import Row
from cikg.graph.questions import Parameter, arguments, asked, check_existence, readable
from cikg.graph.statements import Statement, named
from web import asking, login
from web.api.operation import operation
from web.api.paging import Page, Paged, by_key
from web.asking import allowed_seconds, require_console
from web.store import graph, settings

TAG = "Questions"
LONGEST = 100_000
QUESTION_SECONDS = 60.0
EXAMPLE = " ".join(named("dataset_names").text.removeprefix("CYPHER 25").split())


class QuestionParameter(BaseModel):
    """A parameter of a question."""

    name: str
    meaning: str
    kind: str
    default: float | None = Field(description="What it is unless given; null where it has to be given")


class Question(BaseModel):
    """A question of the library."""

    name: str
    section: str
    purpose: str
    cost: str = Field(
        description="`local` where it begins at nodes looked up by key, `global` where at a whole dataset"
    )
    parameters: list[QuestionParameter]


class Questions(BaseModel):
    """The questions of the library."""

    items: list[Question]


class Given(BaseModel):
    """The parameters of a question."""

    model_config = ConfigDict(extra="forbid")

    parameters: dict[str, str] = Field({}, description="Values as a person would type them")
    limit: int = Field(100, ge=1, le=console.MOST_ROWS, description="The most rows to return")


class Rows(BaseModel):
    """What was found."""

    columns: list[str]
    rows: list[list[Any]] = Field(description="A value a column; nodes and edges with their properties")
    truncated: bool = Field(description="Whether there are more rows")


class PictureNode(BaseModel):
    """A node of the answer."""

    key: str
    label: str
    id: str
    name: str
    dataset: str | None


class PictureEdge(BaseModel):
    """An edge of the answer."""

    source: str
    target: str
    type: str


class Answer(Rows):
    """What a statement found, with the nodes and edges among it."""

    nodes: list[PictureNode]
    edges: list[PictureEdge]


class Asked(BaseModel):
    """A statement."""

    model_config = ConfigDict(extra="forbid")

    cypher: str = Field(
        min_length=1,
        max_length=LONGEST,
        description="One statement that only reads the graph",
        examples=[EXAMPLE],
    )
    parameters: dict[str, Any] = Field({}, description="Its parameters")
    limit: int = Field(1000, ge=1, le=console.MOST_ROWS, description="The most rows to return")
    seconds: float | None = Field(None, description="How long it may take; no more than CIKG_CONSOLE_SECONDS")


class Planned(BaseModel):
    """A step of a plan."""

    depth: int
    name: str
    details: str
    estimated: float = Field(description="Rows that the planner expects of it")


class Plan(BaseModel):
    """How the server would carry a statement out, the last step first."""

    items: list[Planned]


class Kept(BaseModel):
    """A statement to keep."""

    model_config = ConfigDict(extra="forbid")

    cypher: str = Field(min_length=1, max_length=LONGEST, examples=[EXAMPLE])
    purpose: str = Field("", max_length=1000, description="What it is for", examples=["All datasets"])
    parameters: dict[str, Any] = Field({}, description="Values that it is asked with unless others are given")


class KeptQuery(BaseModel):
    """A kept statement."""

    name: str
    cypher: str
    purpose: str
    parameters: dict[str, Any]
    author: str
    changed_at: str


@operation("GET", "/questions", tag=TAG, answer=Questions)
def questions() -> Questions:
    """The questions of the library, in its sections."""
    return Questions(items=[_described(each) for each in readable() if each.section])


@operation(
    "POST", "/datasets/<dataset>/questions/<question>", tag=TAG, answer=Rows, body=Given, logged=False, refusals=(504,)
)
def ask_question(dataset: str, question: str, body: Given) -> Any:
    """Ask a question of the library."""
    statement = next((each for each in readable() if each.section and each.name == question), None)
    if statement is None:
        raise NotFoundError(f"there is no question {question!r}", cure="GET /api/v1/questions lists them")
    values = arguments(statement, body.parameters, dataset, body.limit + 1)
    check_existence(graph(), statement, values)
    return graph().look(statement.text, values, body.limit, seconds=QUESTION_SECONDS)


@operation("POST", "/query", tag=TAG, answer=Answer, body=Asked, scope=Scope.QUERY, refusals=(504,))
def ask(body: Asked) -> Any:
    """Ask a statement of one's own. It can only read, and only where CIKG_CONSOLE allows it."""
    require_console(settings())
    g.audited = {"cypher": body.cypher[:2000]}
    found = console.ask(
        graph(), body.cypher, body.parameters, limit=body.limit, seconds=allowed_seconds(settings(), body.seconds)
    )
    nodes, edges = found.picture.nodes.values(), found.picture.edges.values()
    return vars(found.answer) | {"nodes": list(map(asdict, nodes)), "edges": list(map(asdict, edges))}


@operation("POST", "/query/plan", tag=TAG, answer=Plan, body=Asked, scope=Scope.QUERY, logged=False, refusals=(504,))
def explain(body: Asked) -> Any:
    """How a statement would be carried out. It is not."""
    require_console(settings())
    _, plan = console.check(graph(), body.cypher, allowed_seconds(settings(), body.seconds))
    return {"items": [asdict(step) for step in plan]}


@operation("GET", "/queries", tag=TAG, answer=Page[KeptQuery], query=Paged)
def queries(query: Paged) -> Page[Any]:
    """The kept statements, by name."""
    return by_key(query, "", _queries, lambda row: row["name"])


@operation("GET", "/queries/<query>", tag=TAG, answer=KeptQuery)
def kept_query(query: str) -> Row:
    """One kept statement."""
    return _find(query)


@operation("PUT", "/queries/<query>", tag=TAG, answer=KeptQuery, body=Kept, scope=Scope.QUERY)
def keep(query: str, body: Kept) -> Row:
    """Keep a statement under a name, in the place of one that has it. It is not asked."""
    author = login.caller().name
    return _find(asking.keep(graph(), query, body.cypher, body.parameters, purpose=body.purpose, author=author))


@operation("DELETE", "/queries/<query>", tag=TAG, answer=None, status=204, scope=Scope.QUERY)
def forget(query: str) -> None:
    """Forget a kept statement."""
    graph().write("remove_query", query=_find(query)["name"])


def _queries(after: str, limit: int) -> list[Row]:
    return [_unpacked(row) for row in graph().many("queries", after=after, limit=limit)]


def _find(name: str) -> Row:
    """A kept statement.

    Raises:
        NotFoundError: there is none of this name.
    """
    found = graph().many("find_query", query=name)
    if not found:
        raise NotFoundError(f"no statement is kept as {name!r}", cure="GET /api/v1/queries lists those that are")
    return _unpacked(found[0])


def _unpacked(row: Row) -> Row:
    return row | {"parameters": json.loads(row["parameters"])}


def _described(statement: Statement) -> Question:
    parameters = [QuestionParameter(name=name, **_shown(each)) for name, each in asked(statement).items()]
    facts = {name: getattr(statement, name) for name in ("name", "section", "purpose", "cost")}
    return Question(parameters=parameters, **facts)


def _shown(parameter: Parameter) -> dict[str, Any]:
    return {"meaning": parameter.meaning, "kind": parameter.kind, "default": parameter.default}

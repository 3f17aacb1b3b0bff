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
from web import login
from web.api.operation import operation
from web.api.paging import Page, Paged, by_key
from web.parts import asking
from web.parts.asking import allowed_seconds, require_console
from web.store import graph, settings

TAG = "Questions"
LONGEST = 100_000
QUESTION_SECONDS = 60.0
EXAMPLE = " ".join(named("dataset_names").text.removeprefix("CYPHER 25").split())


class QuestionParameter(BaseModel):
    """A parameter of a library query."""

    name: str
    meaning: str = Field(description="What it means")
    kind: str = Field(description="What values it takes")
    default: float | None = Field(description="Its default; null if it must be given")


class Question(BaseModel):
    """A library query."""

    name: str
    section: str = Field(description="The section of the library it belongs to")
    purpose: str = Field(description="What it returns")
    cost: str = Field(
        description="Begins with `local` if it reads the edges of some nodes, `global` if it scans the dataset"
    )
    parameters: list[QuestionParameter]


class Questions(BaseModel):
    """The library queries."""

    items: list[Question]


class Given(BaseModel):
    """The parameters of a library query."""

    model_config = ConfigDict(extra="forbid")

    parameters: dict[str, str] = Field({}, description="By name; values as they would be typed on the command line")
    limit: int = Field(100, ge=1, le=console.MOST_ROWS, description="Maximum number of rows")


class Rows(BaseModel):
    """The rows of an answer."""

    columns: list[str] = Field(description="Names of the columns")
    rows: list[list[Any]] = Field(
        description="One value for each column; nodes and edges are objects with their properties"
    )
    truncated: bool = Field(description="Whether there are more rows")


class PictureNode(BaseModel):
    """A node of the answer."""

    key: str = Field(description="Identifies the node in this answer")
    kind: str = Field(validation_alias="label", description="Its label, such as `User`")
    id: str
    name: str
    dataset: str | None


class PictureEdge(BaseModel):
    """An edge of the answer."""

    source: str = Field(description="`key` of the node it starts at")
    target: str = Field(description="`key` of the node it ends at")
    type: str


class Answer(Rows):
    """The rows of an answer, and the nodes and edges in them."""

    nodes: list[PictureNode]
    edges: list[PictureEdge]


class Asked(BaseModel):
    """A Cypher statement."""

    model_config = ConfigDict(extra="forbid")

    cypher: str = Field(
        min_length=1,
        max_length=LONGEST,
        description="One statement that only reads the graph",
        examples=[EXAMPLE],
    )
    parameters: dict[str, Any] = Field({}, description="The statement's parameters")
    limit: int = Field(1000, ge=1, le=console.MOST_ROWS, description="Maximum number of rows")
    seconds: float | None = Field(None, description="Time limit in seconds; at most CIKG_CONSOLE_SECONDS")


class Planned(BaseModel):
    """A step of a plan."""

    depth: int = Field(description="Number of steps that use its rows, directly or indirectly")
    name: str = Field(description="Neo4j's name of the step")
    details: str = Field(description="What it does, in Cypher")
    estimated: float = Field(description="Number of rows the planner expects from it")


class Plan(BaseModel):
    """How Neo4j would execute a statement, last step first."""

    items: list[Planned]


class Kept(BaseModel):
    """A statement to save."""

    model_config = ConfigDict(extra="forbid")

    cypher: str = Field(min_length=1, max_length=LONGEST, description="The statement", examples=[EXAMPLE])
    purpose: str = Field("", max_length=1000, description="What it is for", examples=["All datasets"])
    parameters: dict[str, Any] = Field({}, description="Default values of its parameters")


class KeptQuery(BaseModel):
    """A saved statement."""

    name: str
    cypher: str = Field(description="The statement")
    purpose: str = Field(description="What it is for")
    parameters: dict[str, Any] = Field(description="Default values of its parameters")
    author: str = Field(description="Who saved it last")
    changed_at: str = Field(description="When, as ISO time")


@operation("GET", "/questions", tag=TAG, answer=Questions)
def questions() -> Questions:
    """List the library queries, by section."""
    return Questions(items=[_described(each) for each in readable() if each.section])


@operation(
    "POST",
    "/datasets/<dataset>/questions/<question>",
    tag=TAG,
    answer=Rows,
    body=Given,
    logged=False,
    reads=True,
    refusals=(504,),
)
def ask_question(dataset: str, question: str, body: Given) -> Any:
    """Run a library query."""
    statement = next((each for each in readable() if each.section and each.name == question), None)
    if statement is None:
        raise NotFoundError(f"there is no library query {question!r}", cure="GET /api/v1/questions lists them")
    values = arguments(statement, body.parameters, dataset, body.limit + 1)
    check_existence(graph(), statement, values)
    return graph().look(statement.text, values, body.limit, seconds=QUESTION_SECONDS)


@operation("POST", "/query", tag=TAG, answer=Answer, body=Asked, scope=Scope.QUERY, reads=True, refusals=(504,))
def ask(body: Asked) -> Any:
    """Run a Cypher statement of your own, which can only read. CIKG_CONSOLE must be on."""
    require_console(settings())
    g.audited = {"cypher": body.cypher[:2000]}
    seconds = allowed_seconds(settings(), body.seconds)
    found = console.ask(graph(), body.cypher, body.parameters, limit=body.limit, seconds=seconds)
    nodes, edges = found.picture.nodes.values(), found.picture.edges.values()
    return vars(found.answer) | {"nodes": list(map(asdict, nodes)), "edges": list(map(asdict, edges))}


@operation(
    "POST",
    "/query/plan",
    tag=TAG,
    answer=Plan,
    body=Asked,
    scope=Scope.QUERY,
    logged=False,
    reads=True,
    refusals=(504,),
)
def explain(body: Asked) -> Any:
    """Return how Neo4j would execute a Cypher statement, without executing it."""
    require_console(settings())
    _, plan = console.check(graph(), body.cypher, allowed_seconds(settings(), body.seconds))
    return {"items": [asdict(step) for step in plan]}


@operation("GET", "/queries", tag=TAG, answer=Page[KeptQuery], query=Paged)
def queries(query: Paged) -> Page[Any]:
    """List the saved statements, sorted by name."""
    return by_key(query, "", _queries, lambda row: row["name"])


@operation("GET", "/queries/<query>", tag=TAG, answer=KeptQuery)
def kept_query(query: str) -> Row:
    """Return a saved statement."""
    return _find(query)


@operation("PUT", "/queries/<query>", tag=TAG, answer=KeptQuery, body=Kept, scope=Scope.QUERY)
def keep(query: str, body: Kept) -> Row:
    """Save a statement under a name. It replaces a statement of the same name, and is not executed."""
    author = login.caller().name
    return _find(asking.keep(graph(), query, body.cypher, body.parameters, purpose=body.purpose, author=author))


@operation("DELETE", "/queries/<query>", tag=TAG, answer=None, status=204, scope=Scope.QUERY)
def forget(query: str) -> None:
    """Delete a saved statement."""
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
        raise NotFoundError(f"no statement is saved as {name!r}", cure="GET /api/v1/queries lists those that are")
    return _unpacked(found[0])


def _unpacked(row: Row) -> Row:
    return row | {"parameters": json.loads(row["parameters"])}


def _described(statement: Statement) -> Question:
    parameters = [QuestionParameter(name=name, **_shown(each)) for name, each in asked(statement).items()]
    facts = {name: getattr(statement, name) for name in ("name", "section", "purpose", "cost")}
    return Question(parameters=parameters, **facts)


def _shown(parameter: Parameter) -> dict[str, Any]:
    return {"meaning": parameter.meaning, "kind": parameter.kind, "default": parameter.default}

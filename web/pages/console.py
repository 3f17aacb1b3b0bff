"""The Cypher console: a statement of one's own or of the library, as a table, a picture, a plan, CSV or JSON."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from cikg.access import audit
from cikg.access.accounts import Scope
from cikg.errors import CikgError, InputError, ServiceError
from cikg.graph import Graph, console
from cikg.graph.database import Answer, Operator, Row
from cikg.graph.questions import PARAMETERS, SURROUNDINGS, readable
from cikg.graph.statements import Statement, named
from cikg.spreadsheet import csv_text
from web import login
from web.api import strict_json
from web.chrome import Link, render
from web.parts.asking import Cell, cells, keep, known_nodes, require_console
from web.parts.neighbourhood import Edge, Node
from web.store import graph, settings
from web.urls import page

blueprint = Blueprint("console", __name__)
link = Link("Cypher", "console.index", 70, Scope.QUERY, "console")
FIRST = "console_example"
LONGEST, LONGEST_PURPOSE = 100_000, 1_000
LIMITS = (100, 1_000, console.MOST_ROWS)


@dataclass(frozen=True)
class Question:
    """A question of the library, or a kept statement: what `href` fills the editor with."""

    name: str
    purpose: str
    key: str


@dataclass(frozen=True)
class ConsolePage:
    """The editor and what was asked last.

    Attributes:
        dataset: the dataset, which is the parameter `$dataset`.
        cypher: the statement.
        parameters: further parameters, as a JSON object.
        limit: the most rows to fetch.
        limits: what can be chosen for it.
        library: questions by section; kept statements come first.
        columns: of the answer; None before anything was asked.
        rows: of the answer.
        truncated: whether there are more.
        nodes: of the answer that can be drawn.
        edges: between them.
        left_out: whether the picture lacks some.
        plan: the steps of the plan, where that was asked for.
        error: what is wrong, and what to do.
        took: seconds.
        name: what the statement is kept as; empty where it is not.
        purpose: what it is kept for.
    """

    template: ClassVar[str] = "console.html"
    dataset: str
    cypher: str
    parameters: str
    limit: int
    limits: tuple[int, ...]
    library: dict[str, tuple[Question, ...]]
    columns: tuple[str, ...] | None = None
    rows: tuple[tuple[Cell, ...], ...] = ()
    truncated: bool = False
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    left_out: bool = False
    plan: tuple[Operator, ...] = ()
    error: tuple[str, str | None] | None = None
    took: float | None = None
    name: str = ""
    purpose: str = ""


def load_console(graph: Graph, dataset: str, question: str, kept: str) -> ConsolePage:
    """The editor with a question of the library or a kept statement in it."""
    found = graph.many("queries", after="", limit=500)
    cypher, parameters, name, purpose = _editable(named(FIRST)), "{}", "", ""
    for statement in readable():
        if statement.section and statement.name == question:
            cypher = f"// {statement.purpose}\n{_editable(statement)}"
            parameters = _example(statement.parameters)
    for row in found:
        if row["name"] == kept:
            cypher, parameters, name, purpose = row["cypher"], row["parameters"], row["name"], row["purpose"]
    return ConsolePage(dataset, cypher, parameters, LIMITS[0], LIMITS, _library(found), name=name, purpose=purpose)


def carry_out(graph: Graph, asked: ConsolePage, action: str) -> ConsolePage | Response:
    """Ask, explain, export or keep; what is wrong with a statement stands beside it."""
    began = time.perf_counter()
    seconds = settings().console_seconds
    try:
        if action == "explain":
            return replace(asked, plan=tuple(console.check(graph, asked.cypher, seconds)[1]))
        if action == "keep":
            facts = {"purpose": asked.purpose, "author": login.caller().name}
            name = keep(graph, asked.name, asked.cypher, _values(asked.parameters), **facts)
            return load_console(graph, asked.dataset, "", name)
        values = {"dataset": asked.dataset, "limit": asked.limit + 1} | _values(asked.parameters)
        found = console.ask(graph, asked.cypher, values, limit=asked.limit, seconds=seconds)
    except ServiceError:
        raise
    except CikgError as error:
        return replace(asked, error=(error.message, error.cure))
    if action in ("csv", "json"):
        return _file(found.answer, action)
    nodes, edges = known_nodes(found.picture)
    return replace(
        asked,
        columns=tuple(found.answer.columns),
        rows=tuple(tuple(cells(row)) for row in found.answer.rows),
        truncated=found.answer.truncated,
        nodes=nodes,
        edges=edges,
        left_out=found.picture.left_out,
        took=time.perf_counter() - began,
    )


def _editable(statement: Statement) -> str:
    """A statement without its language version, which the console adds."""
    return statement.text.removeprefix("CYPHER 25").strip()


def _asked(dataset: str) -> ConsolePage:
    """What the form holds."""
    limit = request.form.get("limit", LIMITS[0], type=int)
    return ConsolePage(
        dataset,
        request.form.get("cypher", "")[:LONGEST].replace("\r\n", "\n"),
        request.form.get("parameters", "").strip()[:LONGEST] or "{}",
        min(max(limit, 1), console.MOST_ROWS),
        LIMITS,
        _library(graph().many("queries", after="", limit=500)),
        name=request.form.get("name", "").strip(),
        purpose=request.form.get("purpose", "").strip()[:LONGEST_PURPOSE],
    )


def _values(text: str) -> dict[str, Any]:
    try:
        values = strict_json.loads(text.encode("utf-8", "surrogatepass"))
    except ValueError as error:
        raise InputError(f"the parameters are not valid JSON: {error}", cure='Write {"user": "1"}') from None
    if not isinstance(values, dict):
        raise InputError("the parameters are not a JSON object", cure='Write {"user": "1"}')
    return values


def _example(parameters: tuple[str, ...]) -> str:
    """The parameters of a question that have to be given, with their defaults or nothing yet."""
    wanted = [name for name in parameters if name not in SURROUNDINGS]
    defaults = {name: PARAMETERS[name].default if name in PARAMETERS else None for name in wanted}
    return json.dumps({name: "" if value is None else value for name, value in defaults.items()})


def _library(kept: list[Row]) -> dict[str, tuple[Question, ...]]:
    found = {"Kept": tuple(Question(row["name"], row["purpose"], "kept") for row in kept)} if kept else {}
    statements = [statement for statement in readable() if statement.section]
    for section in dict.fromkeys(statement.section for statement in statements):
        questions = (statement for statement in statements if statement.section == section)
        found[section] = tuple(Question(each.name, each.purpose.split(". ")[0], "question") for each in questions)
    return found


def _file(answer: Answer, kind: str) -> Response:
    """The answer as a file."""
    if kind == "csv":
        response = Response(csv_text(answer.columns, answer.rows), mimetype="text/csv")
    else:
        facts = {"columns": answer.columns, "rows": answer.rows, "truncated": answer.truncated}
        response = Response(json.dumps(facts, ensure_ascii=False, default=str), mimetype="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="answer.{kind}"'
    return response


@page(blueprint, "/d/<id:dataset>/cypher")
@login.needs(Scope.QUERY)
def index(dataset: str) -> Response:
    """The editor."""
    require_console(settings())
    return render(load_console(graph(), dataset, request.args.get("question", ""), request.args.get("kept", "")))


@blueprint.post("/d/<id:dataset>/cypher/forget")
@login.needs(Scope.QUERY)
def forget(dataset: str) -> ResponseReturnValue:
    """Forget a kept statement."""
    require_console(settings())
    name = request.form.get("name", "")
    graph().write("remove_query", query=name)
    audit.record(graph(), login.caller().name, "console.forget", name)
    return redirect(url_for("console.index", dataset=dataset), 303)


@blueprint.post("/d/<id:dataset>/cypher")
@login.needs(Scope.QUERY)
def ask(dataset: str) -> ResponseReturnValue:
    """Ask, explain or export what the editor holds."""
    require_console(settings())
    asked, action = _asked(dataset), request.form.get("action", "ask")
    logged = "console.keep" if action == "keep" else "console.ask"
    audit.record(graph(), login.caller().name, logged, dataset, {"cypher": asked.cypher[:2000]})
    answer = carry_out(graph(), asked, action)
    return answer if isinstance(answer, Response) else render(answer)

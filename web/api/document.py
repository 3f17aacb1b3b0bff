"""The OpenAPI 3.1 document: read off the operations, so that it cannot say anything else than what is served."""

from __future__ import annotations

import inspect
import json
import re
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter

from cikg import __version__
from web.api import problems
from web.api.operation import OPERATIONS, Operation

BASE = "/api/v1"
_TEMPLATE = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)
_JSON = {"None": "null", "True": "true", "False": "false"}
_PYTHON = re.compile(rf"\b({'|'.join(_JSON)})\b")
_PAGE = re.compile(r"\bPage_([A-Za-z]+)_(?=\")")
"""What Pydantic calls a page of something."""
_ABOUT = """\
Everything the dashboard shows, and everything its buttons do.

**Authentication.** Send `Authorization: Bearer TOKEN`; `cikg token create` creates a token. A session of the dashboard
works too; a request that changes something then needs its CSRF token in `X-CSRFToken`.

**Ids in paths** are percent-encoded. Write `/` as `~2F`, `~` as `~7E`, and the dots of a segment of only dots as `~2E`,
because servers decode percent signs too early. Any byte may be written like this.

**Lists** come in pages: pass `next` as `cursor` to get the next page, or follow the `Link` header. Some
lists take a filter; pass the same one with every page.

**Caching.** Every response to a GET has an `ETag`; with `If-None-Match`, an unchanged one returns 304. If a response
depends only on the dataset and the served model, 304 is returned without computing it.

**Repeating.** A POST with an `Idempotency-Key` is executed once; repeated within a day, it gets the same response. A
response with a new token, or over 100 kB, is not stored: the repeated request gets a 409. POSTs that only read
ignore the key.

**Errors** are problem objects (RFC 9457) with a `code` for programs, a `detail` that says what is wrong, and, where
possible, a `cure` that says what to do.
"""
_BYTES = "application/octet-stream"
_PATH = {
    "dataset": "Name of the dataset",
    "user": "Id of the user",
    "item": "Id of the item",
    "entity": "Id of the entity",
    "intent": "Id of the intent",
    "interest": "Id of the interest",
    "completion": "Id of the answer",
    "subject": "Id of the user or item",
    "run": "Id of the run",
    "kind": "Kind of the node: `User`, `Item`, `Entity`, `Intent` or `Interest`",
    "node": "Id of the node",
    "import_id": "Id of the import",
    "token": "Id of the token: the part that is not secret",
    "question": "Name of the library query",
    "query": "Name of the saved statement",
    "account": "Name of the account",
    "file": "Name of the file",
    "what": "What was corrected: `interest` or `intent`",
    "target": "Id of the interest or intent",
}

_TAGS = ("Recommendations", "Corrections", "Datasets", "What a dataset holds", "Questions", "Imports", "Jobs", "Models")
"""The headings that are looked for first; all others follow by name."""


def _place(tag: str) -> tuple[int, str]:
    return (_TAGS.index(tag) if tag in _TAGS else len(_TAGS), tag)


def path_of(operation: Operation) -> str:
    """An operation's path as OpenAPI writes it, below the base."""
    return _PARAMETER.sub(r"{\1}", operation.rule)


@cache
def document() -> dict[str, Any]:
    """The document. What it refers to is in its components; the rest stands with the operations."""
    schemas = _schemas()
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(path_of(operation), {})[operation.method.lower()] = _described(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "cikg", "version": __version__, "description": _ABOUT},
        "servers": [{"url": BASE}],
        "security": [{"token": []}, {"session": []}],
        "tags": [{"name": name} for name in sorted({operation.tag for operation in OPERATIONS}, key=_place)],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Created with `cikg token create`"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "cikg",
                    "description": "Created by logging in to the dashboard",
                },
            },
        },
    }


def _schemas() -> dict[str, Any]:
    """The schemas of all bodies, queries and answers; `$defs` are those that have names."""
    wanted: list[tuple[Any, Any, TypeAdapter[Any]]] = [("Problem", "serialization", TypeAdapter(problems.Problem))]
    for operation in OPERATIONS:
        wanted.append((operation.name, "serialization", operation.adapter))
        if operation.query is not None:
            wanted.append((f"{operation.name} query", "validation", TypeAdapter(operation.query)))
        if operation.body is not None:
            wanted.append((f"{operation.name} body", "validation", TypeAdapter(operation.body)))
    each, definitions = TypeAdapter.json_schemas(wanted, ref_template=_TEMPLATE)
    named = definitions.get("$defs", {})
    for schema in named.values():
        _attributes_to_properties(schema)
    found = {"$defs": named} | {key: schema for (key, _mode), schema in each.items()}
    plainly: dict[str, Any] = json.loads(_PAGE.sub(r"\1Page", json.dumps(found)))
    return plainly


def _attributes_to_properties(schema: dict[str, Any]) -> None:
    """Give each property what the docstring's `Attributes:` says of it, in the words of JSON."""
    purpose, found, attributes = schema.get("description", "").partition("Attributes:\n")
    if not found:
        return
    schema["description"] = purpose.strip()
    for name, text in _ATTRIBUTE.findall(attributes):
        if name in schema.get("properties", {}):
            said = _PYTHON.sub(lambda word: _JSON[word[0]], " ".join(text.split()).removesuffix("."))
            schema["properties"][name].setdefault("description", said[:1].upper() + said[1:])


def _described(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    said = inspect.cleandoc(operation.view.__doc__ or "")
    summary, _, further = said.partition("\n")
    made: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": summary.rstrip("."),
        "description": f"{further.strip()}\n\nScope: `{operation.scope}`.".strip(),
        "parameters": _parameters(operation, schemas),
        "responses": _responses(operation, schemas),
    }
    if operation.public:
        made["security"] = []
        made["description"] = further.strip()
    if operation.body is not None:
        schema = schemas[f"{operation.name} body"]
        content = {"application/json": {"schema": schema, "example": _example(schema, schemas)}}
        made["requestBody"] = {"required": True, "content": content}
    if operation.sends:
        made["requestBody"] = {"required": True, "description": operation.sends, "content": {_BYTES: {"schema": {}}}}
    return made


_UNSAID: tuple[Any, ...] = (None, "", [], {})
"""Defaults that an example leaves out."""


def _example(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """What could be sent: what has to be, what has an example of its own, and what it is unless given."""
    if "examples" in schema:
        return schema["examples"][0]
    schema = _resolved(schema, schemas)
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    required = schema.get("required", ())
    return {
        name: _example(each, schemas)
        for name, each in schema["properties"].items()
        if name in required or "examples" in each or not (each.get("default") in _UNSAID or each["default"] is False)
    }


def _parameters(operation: Operation, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PATH[name],
            "schema": {"type": "string", "minLength": 1},
        }
        for name in _PARAMETER.findall(operation.rule)
    ]
    if operation.query is not None:
        schema = _resolved(schemas[f"{operation.name} query"], schemas)
        found += [
            {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", ()),
                "description": each.get("description", ""),
                "schema": {key: value for key, value in each.items() if key not in ("description", "title")},
            }
            for name, each in schema["properties"].items()
        ]
    if operation.takes_key and not operation.public:
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "A key of your choice for this request, so that repeating it is safe",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
            }
        )
    return found


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    named = schema.get("$ref", "").rpartition("/")[2]
    return schemas["$defs"][named] if named else schema


def _responses(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    if operation.answer is not None:
        good["content"] = {"application/json": {"schema": schemas[operation.name]}}
    answers = {str(operation.status): good}
    if not operation.changes:
        answers["304"] = {"description": "The response has not changed since the one with this `ETag`"}
    return answers | {
        str(status): {"description": problems.REASONS[status]} | problems.document() for status in _refusals(operation)
    }


def _refusals(operation: Operation) -> list[int]:
    """The errors that an operation can answer with."""
    found = {400, 429, 503}
    if not operation.public:
        found |= {401, 403}
    if "<" in operation.rule or operation.body is not None:
        found.add(404)
    if operation.query is not None or operation.body is not None or operation.method == "POST":
        found.add(422)
    if operation.body is not None:
        found |= {413, 415}
    if operation.sends:
        found.add(413)
    if operation.conflicts or operation.method == "POST":
        found.add(409)
    return sorted(found | set(operation.refusals))

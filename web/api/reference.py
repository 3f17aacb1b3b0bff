"""The OpenAPI document as people read it: operations under their headings, and the shapes that they take and give."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any

from web.api.document import BASE, document

_REF = "#/components/schemas/"
_LIMITS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "above {}",
    "minItems": "at least {}",
    "maxItems": "at most {}",
}


@dataclass(frozen=True)
class Value:
    """Something with a name that is sent or received.

    Attributes:
        name: its name.
        place: `path`, `query`, `header` or `body`.
        kind: what it is, in words.
        shape: the shape that it has or is made of; empty for plain values.
        required: whether it has to be there.
        meaning: what it means.
    """

    name: str
    place: str
    kind: str
    shape: str
    required: bool
    meaning: str


@dataclass(frozen=True)
class Described:
    """One operation.

    Attributes:
        id: its id.
        method: GET, POST, …
        path: below the base.
        summary: what it does, one sentence.
        text: what else is to say.
        takes: parameters, and the parts of a JSON body.
        example: a JSON body that could be sent; empty where it takes none.
        sends: what file its body is, in words; empty where it is none.
        curl: a command that calls it.
        gives: the shape of what it answers; empty for none.
        gives_kind: the same in words.
        refusals: status and reason of errors.
    """

    id: str
    method: str
    path: str
    summary: str
    text: str
    takes: tuple[Value, ...]
    example: str
    sends: str
    curl: str
    gives: str
    gives_kind: str
    refusals: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Shape:
    """A JSON object, or a choice of texts."""

    name: str
    meaning: str
    parts: tuple[Value, ...]
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Reference:
    """All of it; `about` is what holds for every operation, a paragraph each."""

    about: tuple[str, ...]
    tags: dict[str, tuple[Described, ...]]
    shapes: tuple[Shape, ...]


@cache
def reference() -> Reference:
    """Read the document."""
    made = document()
    tags: dict[str, list[Described]] = {tag["name"]: [] for tag in made["tags"]}
    for path, methods in made["paths"].items():
        for method, facts in methods.items():
            tags[facts["tags"][0]].append(_described(method.upper(), path, facts))
    named = made["components"]["schemas"].items()
    about = tuple(" ".join(each.split()) for each in made["info"]["description"].split("\n\n"))
    shapes = tuple(_shape(name, schema) for name, schema in named if "properties" in schema or "enum" in schema)
    return Reference(about, {name: tuple(found) for name, found in tags.items()}, shapes)


def _described(method: str, path: str, facts: dict[str, Any]) -> Described:
    takes = [
        _value(each["name"], each["in"], each["schema"], each["required"], each["description"])
        for each in facts["parameters"]
    ]
    body = facts.get("requestBody", {})
    content = body.get("content", {}).get("application/json")
    example = "" if content is None else json.dumps(content["example"], ensure_ascii=False)
    if content is not None:
        takes += _parts(_resolved(content["schema"]), "body")
    answers = dict(facts["responses"])
    given = next(answers.pop(status) for status in list(answers) if status.startswith("2"))
    schema = given.get("content", {}).get("application/json", {}).get("schema")
    kind, shape = ("nothing", "") if schema is None else _kind(schema)
    refusals = tuple((status, HTTPStatus(int(status)).phrase) for status in answers if status >= "400")
    return Described(
        facts["operationId"], method, path, facts["summary"], facts["description"], tuple(takes), example,
        body["description"] if body and content is None else "",
        _curl(method, path, example, "requestBody" in facts), shape, kind, refusals,
    )  # fmt: skip


def _curl(method: str, path: str, body: str, sends_file: bool) -> str:
    """A shell's command, where the address and a token are variables; what stands in braces is to be filled in."""
    words = ["curl", *([] if method == "GET" else ["-X", method])]
    words += [f'"$ADDRESS{BASE}{path}"', "-H", '"Authorization: Bearer $TOKEN"']
    words += ["--json", shlex.quote(body)] if body else ["--data-binary", "@FILE"] if sends_file else []
    return " ".join(words)


def _shape(name: str, schema: dict[str, Any]) -> Shape:
    return Shape(name, schema.get("description", ""), tuple(_parts(schema, "")), tuple(schema.get("enum", ())))


def _parts(schema: Mapping[str, Any], place: str) -> list[Value]:
    required = schema.get("required", ())
    return [
        _value(name, place, each, name in required, each.get("description", ""))
        for name, each in schema.get("properties", {}).items()
    ]


def _value(name: str, place: str, schema: dict[str, Any], required: bool, meaning: str) -> Value:
    kind, shape = _kind(schema)
    limits = [words.format(schema[key]) for key, words in _LIMITS.items() if schema.get(key, 1) != 1]
    said = [kind, *limits, *_default(schema.get("default"))]
    return Value(name, place, ", ".join(said), shape, required, meaning)


def _default(value: Any) -> list[str]:
    """What a value is unless given, in words; nothing for empty values and objects."""
    if value is None or value in ("", []) or isinstance(value, dict):
        return []
    said = ", ".join(value) if isinstance(value, list) else value if isinstance(value, str) else json.dumps(value)
    return [f"{said} by default"]


def _kind(schema: Mapping[str, Any]) -> tuple[str, str]:
    """What a value is, in words, and the shape in it, if any."""
    if "$ref" in schema:
        return "text" if "enum" in _resolved(schema) else "object", schema["$ref"].removeprefix(_REF)
    if "anyOf" in schema:
        kinds = [_kind(each) for each in schema["anyOf"]]
        words = " or ".join(dict.fromkeys(kind for kind, _ in kinds))
        return words, next((shape for _, shape in kinds if shape), "")
    if "enum" in schema or "const" in schema:
        return "one of " + ", ".join(map(str, schema.get("enum", [schema.get("const")]))), ""
    if schema.get("type") == "array":
        kind, shape = _kind(schema.get("items", {}))
        return "list" if kind == "anything" else f"list of {kind}s", shape
    plain = str(schema.get("type", "anything"))
    return {"string": "text", "integer": "whole number", "boolean": "true or false"}.get(plain, plain), ""


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").removeprefix(_REF)
    found: Mapping[str, Any] = document()["components"]["schemas"][name] if name else schema
    return found

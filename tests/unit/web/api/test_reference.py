from __future__ import annotations

import json
import re
import shlex

import web
from cikg.settings import Settings
from web.api.document import path_of
from web.api.operation import OPERATIONS
from web.api.reference import reference

KEY = "unit-test-key-0123456789"


def test_every_operation_stands_once_and_every_shape_it_names_is_there() -> None:
    web.create_app(Settings(secret_key=KEY, neo4j_uri=None))  # the pages' and the API's modules are loaded
    found = reference()
    described = [each for operations in found.tags.values() for each in operations]
    assert sorted((each.method, each.path) for each in described) == sorted(
        (each.method, path_of(each)) for each in OPERATIONS
    )
    shapes = {shape.name for shape in found.shapes}
    assert len(shapes) == len(found.shapes)
    named = {each.gives for each in described} | {value.shape for each in described for value in each.takes}
    named |= {part.shape for shape in found.shapes for part in shape.parts}
    assert named - {""} <= shapes


def test_what_an_operation_takes_and_gives_is_said_in_words() -> None:
    web.create_app(Settings(secret_key=KEY, neo4j_uri=None))
    of_user = next(each for each in reference().tags["Recommendations"] if each.id == "recommendations.of_user")
    assert [(value.name, value.place, value.required) for value in of_user.takes] == [
        ("dataset", "path", True),
        ("user", "path", True),
        ("limit", "query", False),
    ]
    assert of_user.takes[2].kind == "whole number, at most 1000, 10 by default"
    assert of_user.gives == "Recommendations"
    assert ("404", "Not Found") in of_user.refusals
    batch = next(
        each for each in reference().tags["Recommendations"] if each.path == "/datasets/{dataset}/recommendations"
    )
    assert next(value.kind for value in batch.takes if value.name == "users").startswith("list of texts, at most 100")
    kinds = {part.name: part for shape in reference().shapes if shape.name == "Token" for part in shape.parts}
    assert (kinds["scopes"].kind, kinds["scopes"].shape) == ("list of texts", "Scope")
    assert kinds["expires_at"].meaning == "Seconds since 1970; null for never"


def test_a_file_is_sent_as_a_file() -> None:
    web.create_app(Settings(secret_key=KEY, neo4j_uri=None))
    sent = {each.id: each.sends for found in reference().tags.values() for each in found if each.sends}
    assert sent == {"imports.send": "The bytes of the file"}


def test_what_is_said_is_said_in_the_words_of_json_and_of_every_parameter() -> None:
    web.create_app(Settings(secret_key=KEY, neo4j_uri=None))
    operations = [each for found in reference().tags.values() for each in found]
    values = [part for shape in reference().shapes for part in shape.parts] + [
        value for each in operations for value in each.takes
    ]
    assert [
        value.name for value in values if re.search(r"\b(None|True|False)\b", f"{value.kind} {value.meaning}")
    ] == []
    assert [value.name for value in values if value.kind.endswith(", ") or value.meaning[:1].islower()] == []
    assert [(each.id, value.name) for each in operations for value in each.takes if not value.meaning] == []


def test_every_body_has_an_example_that_could_be_sent() -> None:
    web.create_app(Settings(secret_key=KEY, neo4j_uri=None))
    bodies = {each.name: each.body for each in OPERATIONS if each.body is not None}
    for each in (each for operations in reference().tags.values() for each in operations):
        method, path, sends_json = each.method, each.path, each.id in bodies
        assert each.curl.startswith(f'curl{"" if method == "GET" else f" -X {method}"} "$ADDRESS/api/v1{path}" -H'), (
            path
        )
        assert ("--json" in each.curl) == bool(each.example) == sends_json, path
        if sends_json:
            sent = shlex.split(each.curl)[-1]
            assert sent == each.example
            bodies[each.id].model_validate(json.loads(sent))
    verdict = next(each for each in reference().tags["Jobs"] if each.id == "merges.judge")
    assert json.loads(verdict.example) == {
        "intent": "tales of the sea", "into": "sea stories", "verdict": "merged"
    }  # fmt: skip


def test_shapes_have_names_that_people_would_give() -> None:
    web.create_app(Settings(secret_key=KEY, neo4j_uri=None))
    names = [shape.name for shape in reference().shapes]
    assert "UserSummaryPage" in names
    assert [name for name in names if not re.fullmatch("[A-Z][A-Za-z]+", name)] == []
    assert next(iter(reference().tags)) == "Recommendations", "what is looked for first"

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import meta, nodes
from werkzeug.routing import Map, Rule

import web
from cikg.errors import SettingsError
from cikg.settings import Settings
from web import errors, pages
from web.pages.models import compare, read_curve, set_apart
from web.parts.runs import flatten
from web.parts.search import full_text
from web.urls import IdConverter

WEB = Path(web.__file__).parent
MODULES = [importlib.import_module(f"web.pages.{found.name}") for found in pkgutil.iter_modules(pages.__path__)]
PAGES = sorted(
    {
        found
        for module in [*MODULES, errors]
        for found in vars(module).values()
        if dataclasses.is_dataclass(found) and hasattr(found, "template")
    },
    key=lambda found: found.__name__,
)
KEY = "unit-test-key-0123456789"


@pytest.fixture(scope="module")
def app() -> Flask:
    return web.create_app(Settings(secret_key=KEY, neo4j_uri=None))


def test_there_are_pages() -> None:
    assert len(PAGES) >= 15
    assert {page.template for page in PAGES} | {"base.html", "macros.html"} == {
        path.name for path in (WEB / "templates").glob("*.html")
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_template_keys_equal_the_fields(app: Flask, page: Any) -> None:
    source = (WEB / "templates" / page.template).read_text()
    tree = app.jinja_env.parse(source)
    macros = {
        name if isinstance(name, str) else name[1] for found in tree.find_all(nodes.FromImport) for name in found.names
    }
    local = {
        name.name for found in tree.find_all(nodes.Assign) for name in found.find_all(nodes.Name) if name.ctx == "store"
    }
    used = meta.find_undeclared_variables(tree) - macros - local - set(app.jinja_env.globals) - {"chrome"}
    assert used == {field.name for field in dataclasses.fields(page)}
    assert page.__dataclass_params__.frozen


def views(folder: str) -> list[ast.FunctionDef]:
    """The functions that answer an address, in the modules of a folder."""
    trees = [ast.parse(path.read_text()) for path in sorted((WEB / folder).glob("*.py"))]
    functions = [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    marks = ("page(", "blueprint", "operation(")
    return [
        function
        for function in functions
        if any(mark in ast.unparse(decorator) for decorator in function.decorator_list for mark in marks)
    ]


@pytest.mark.parametrize(("folder", "least"), [("pages", 30), ("api/resources", 50)])
def test_views_are_thin(folder: str, least: int) -> None:
    assert len(views(folder)) >= least
    for view in views(folder):
        assert (view.end_lineno or 0) - view.lineno + 1 <= 10, (folder, view.name)


def test_web_holds_no_cypher() -> None:
    cypher = re.compile(r"\b(MATCH|MERGE|UNWIND|OPTIONAL MATCH|RETURN)\b\s*[(\w$]")
    for path in WEB.rglob("*.py"):
        assert not cypher.search(path.read_text()), path
        assert "execute(" not in path.read_text(), path
        assert "neo4j" not in {alias.split(".")[0] for alias in imported(path)}, path


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_templates_have_no_inline_code() -> None:
    for path in (WEB / "templates").glob("*.html"):
        text = path.read_text()
        assert not re.search(r"\son\w+=|style=|javascript:|<style|\|\s*safe", text), path
        for script in re.findall(r"<script[^>]*>", text):
            assert 'nonce="{{ chrome.nonce }}"' in script or 'type="application/json"' in script, path


@given(st.text(min_size=1).filter(lambda text: "\x00" not in text))
def test_any_id_is_one_part_of_an_address(identifier: str) -> None:
    rules = Map(
        [Rule("/users/<id:identifier>", endpoint="html"), Rule("/users/<id:identifier>.json", endpoint="json")],
        converters={"id": IdConverter},
        merge_slashes=False,
    ).bind("localhost")
    for endpoint, ending in (("html", ""), ("json", ".json")):
        address = rules.build(endpoint, {"identifier": identifier})
        assert re.fullmatch(r"/users/[A-Za-z0-9_~-]+" + re.escape(ending), address)
        assert rules.match(address) == (endpoint, {"identifier": identifier})


@given(st.text())
def test_a_search_never_holds_an_operator(text: str) -> None:
    words = re.findall(r"\w+", text.lower())
    query = full_text(text)
    assert bool(query) == bool(words)
    assert not set(re.sub(r'\w+|"| AND | OR |\*|\(|\)', "", query))
    assert query.count("*") == bool(words)


def test_a_curve_leaves_the_refit_out() -> None:
    curve = read_curve(
        {
            "epochs": [
                {"phase": "select", "epoch": 1, "loss": {"recommend": 2.0}, "seconds": 1.0},
                {"phase": "select", "epoch": 2, "loss": {"recommend": 1.0}, "ndcg@50": 0.5, "penalty": 3.0},
                {"phase": "refit", "epoch": 1, "loss": 9.0},
            ]
        }
    )
    assert curve is not None
    assert curve.epochs == (1, 2)
    assert curve.series == {"loss.recommend": (2.0, 1.0), "ndcg@50": (None, 0.5)}
    assert read_curve({"epochs": [{"phase": "refit", "seconds": 1.0}]}) is None
    assert read_curve(None) is None


def test_a_comparison_is_relative() -> None:
    table = compare({"ndcg@100": 0.4, "ndcg@10": 0.3, "recall@10": 0.1}, {"ndcg@10": 0.2})
    assert table.cutoffs == (10, 100)
    assert list(table.rows) == ["recall", "ndcg"]
    (recall, missing), (better, alone) = table.rows.values()
    assert missing is None
    assert better is not None
    assert better.gain == pytest.approx(0.5)
    assert alone is not None
    assert recall is not None
    assert (alone.value, alone.baseline, alone.gain) == (0.4, None, None)


def test_nested_settings_become_one_level() -> None:
    assert flatten({"a": {"b": 1, "c": [2]}, "d": None}) == {"a.b": 1, "a.c": [2], "d": None}


@pytest.mark.parametrize("key", [None, "short"])
def test_refuses_to_start_without_a_secret_key(key: str | None) -> None:
    with pytest.raises(SettingsError, match="CIKG_SECRET_KEY"):
        web.create_app(Settings(secret_key=key))


def test_refuses_to_start_in_debug_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    with pytest.raises(SettingsError, match="FLASK_DEBUG is set"):
        web.create_app(Settings(secret_key=KEY))


def test_runs_of_a_method_say_in_what_they_differ() -> None:
    def run(method: str, **settings: Any) -> dict[str, Any]:
        seed = settings.pop("seed", 0)
        return {"name": method, "manifest": json.dumps({"config": settings, "seed": seed})}

    rows = [run("a", layers=2, loss="bpr"), run("a", layers=3, loss="bpr", seed=1), run("b", layers=2), {"name": "b"}]
    assert set_apart(rows) == [("layers=2", "seed=0"), ("layers=3", "seed=1"), ("layers=2", "seed=0"), ("seed=–",)]
    assert set_apart(rows[:1]) == [()]

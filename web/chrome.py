"""What surrounds every page, and how a page becomes an answer."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Protocol

from flask import Flask, Response, current_app, g, jsonify, render_template, request, url_for
from flask_login import current_user

from cikg.access.accounts import Scope
from cikg.errors import NotFoundError, did_you_mean
from web import login, pages, security, store
from web.api import problems

_PARTS = {"start": "jobs", "costs": "jobs", "trail": "jobs"}
"""Blueprints without an entry in the navigation -> the one under which people look for them."""


class Page(Protocol):
    """A frozen dataclass and its template, whose variables are the fields: no more, no less."""

    template: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


@dataclass(frozen=True)
class Link:
    """An entry of the navigation; `order` sorts it, `endpoint` is a view that takes a dataset alone.

    It is shown to those who have its scope, and where the setting that it names is on.
    """

    label: str
    endpoint: str
    order: int
    scope: Scope = Scope.READ
    setting: str = ""


@dataclass(frozen=True)
class Dataset:
    """A dataset to switch to."""

    id: str
    field: str


@dataclass(frozen=True)
class Chrome:
    """What the frame of every page shows.

    Attributes:
        dataset: the one in the address, if any.
        datasets: all of them.
        links: the navigation.
        area: the blueprint of this page, or of the area that it is a part of.
        theme: `light`, `dark` or empty, where the browser's own preference holds.
        nonce: marks this answer's scripts.
        json: the address of this page's data; empty where it has none, as what answers a form.
        signed_in: whether a session is open.
        may_write: whether it may change anything.
        query: what was searched for.
    """

    dataset: Dataset | None
    datasets: tuple[Dataset, ...]
    links: tuple[Link, ...]
    area: str
    theme: str
    nonce: str
    json: str
    signed_in: bool
    may_write: bool
    query: str


def init_app(app: Flask) -> None:
    """Check the dataset of every address; give templates their frame."""
    app.url_value_preprocessor(_check_dataset)
    app.context_processor(lambda: {"chrome": _chrome()})


def render(page: Page, status: int = 200) -> Response:
    """Answer with a page: as JSON where the address or the Accept header asks for it, else as HTML."""
    if wants_json():
        response = jsonify(dataclasses.asdict(page))
    else:
        fields = {field.name: getattr(page, field.name) for field in dataclasses.fields(page)}
        response = Response(render_template(page.template, **fields), mimetype="text/html")
    response.status_code = status
    response.vary.add("Accept")
    return response


def wants_json() -> bool:
    """Whether this request asks for data."""
    best = request.accept_mimetypes.best_match(["text/html", "application/json"], default="text/html")
    return request.path.endswith(".json") or best == "application/json"


def _check_dataset(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    dataset = (values or {}).get("dataset")
    if dataset is None or problems.asked():
        return  # the API asks for the dataset's version anyway
    who = login.principal()
    if who is None or Scope.READ not in who.scopes:
        return  # who may not look is told that first
    g.datasets = _datasets()
    g.dataset = next((known for known in g.datasets if known.id == dataset), None)
    if g.dataset is None:
        cure = did_you_mean(dataset, [known.id for known in g.datasets], "The overview lists all datasets")
        raise NotFoundError(f"there is no dataset {dataset!r}", cure=cure)


def _datasets() -> tuple[Dataset, ...]:
    return tuple(Dataset(row["id"], row["field"] or "items") for row in store.graph().many("dataset_names"))


def _chrome() -> Chrome:
    query = request.query_string.decode("ascii", "replace")
    path = request.path.rstrip("/") or "/index"
    return Chrome(
        dataset=g.get("dataset"),
        datasets=g.get("datasets", ()),
        links=tuple(link for link in navigation() if _signed_in() and _is_shown(link)),
        area=_PARTS.get(request.blueprint or "", request.blueprint or ""),
        theme=request.cookies.get("theme", "") if request.cookies.get("theme") in ("light", "dark") else "",
        nonce=security.nonce(),
        json=f"{path}.json" + (f"?{query}" if query else "") if _has_data() else "",
        signed_in=_signed_in(),
        may_write=_signed_in() and Scope.WRITE in current_user.principal.scopes,
        query=request.args.get("q", "") if request.endpoint == "search.index" else "",
    )


def _is_shown(link: Link) -> bool:
    is_on = not link.setting or getattr(store.settings(), link.setting)
    return bool(is_on) and link.scope in current_user.principal.scopes


def _has_data() -> bool:
    endpoint = request.endpoint
    if endpoint is None:
        return False
    return any(rule.rule.endswith(".json") for rule in current_app.url_map.iter_rules(endpoint))


def _signed_in() -> bool:
    return bool(current_user and current_user.is_authenticated)


@cache
def navigation() -> tuple[Link, ...]:
    """The entries that the pages declare, in order."""
    modules = [importlib.import_module(f"web.pages.{found.name}") for found in pkgutil.iter_modules(pages.__path__)]
    return tuple(sorted((m.link for m in modules if hasattr(m, "link")), key=lambda link: link.order))


def address(label: str, dataset: str, identifier: str) -> str:
    """The page of a node."""
    endpoints = {
        "User": "users.user",
        "Item": "items.item",
        "Entity": "entities.entity",
        "Interest": "interests.interest",
        "Intent": "intents.intent",
    }
    return url_for(endpoints[label], dataset=dataset, identifier=identifier)

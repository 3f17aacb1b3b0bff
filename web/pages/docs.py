"""The API's documentation, made in the browser from its OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

from flask import Blueprint, Response, send_from_directory

from web import login
from web.api.document import BASE
from web.chrome import render

blueprint = Blueprint("docs", __name__)
_ASSETS = Path(str(files("flask_openapi3_swagger"))) / "templates" / "swagger"


@dataclass(frozen=True)
class DocsPage:
    """The documentation; `document` is the address of what it is made from."""

    template: ClassVar[str] = "docs.html"
    document: str


@blueprint.get(f"{BASE}/docs")
@login.public
def index() -> Response:
    """The documentation."""
    return render(DocsPage(f"{BASE}/openapi.json"))


@blueprint.get(f"{BASE}/docs/<path:name>")
@login.public
def asset(name: str) -> Response:
    """A file of Swagger UI."""
    return send_from_directory(_ASSETS, name, max_age=30 * 24 * 60 * 60)

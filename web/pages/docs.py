"""The API's documentation: every operation with what it takes and gives, and a form that tries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flask import Blueprint, Response

from web import login
from web.api.document import BASE
from web.api.reference import Described, Shape, reference
from web.chrome import render

blueprint = Blueprint("docs", __name__)


@dataclass(frozen=True)
class DocsPage:
    """The documentation.

    Attributes:
        document: the address of what it is made from.
        base: what every path begins with.
        about: what holds for every operation, a paragraph each.
        tags: operations by heading.
        shapes: what they take and give, by name.
    """

    template: ClassVar[str] = "docs.html"
    document: str
    base: str
    about: tuple[str, ...]
    tags: dict[str, tuple[Described, ...]]
    shapes: tuple[Shape, ...]


@blueprint.get(f"{BASE}/docs")
@login.public
def index() -> Response:
    """The documentation."""
    found = reference()
    return render(DocsPage(f"{BASE}/openapi.json", BASE, found.about, found.tags, found.shapes))

"""The REST API under `/api/v1`: one module of `web.api.resources` a kind of thing."""

from __future__ import annotations

import importlib
import pkgutil

from flask import Flask

from web.api import resources
from web.api.answers import Answers
from web.api.operation import blueprint


def load() -> None:
    """Find every operation."""
    for module in pkgutil.iter_modules(resources.__path__):
        importlib.import_module(f"web.api.resources.{module.name}")


def init_app(app: Flask) -> None:
    """Serve every operation."""
    load()
    app.extensions["cikg.answers"] = Answers()
    app.register_blueprint(blueprint)
    app.extensions["csrf"].exempt(blueprint)  # `operation` asks for the token itself, of sessions alone

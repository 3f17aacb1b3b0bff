"""The app factory. Pages are found by their file names: a module of `web.pages` that defines `blueprint` is served."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import timedelta

from flask import Flask

from cikg.access.sessions import SESSION_SECONDS
from cikg.errors import SettingsError
from cikg.settings import Settings, load_settings
from web import api, chrome, errors, formatting, limits, login, metrics, pages, security, store, urls
from web.parts import newcomers, receiving, served, tasks

SHORTEST_KEY = 16


def create_app(settings: Settings | None = None) -> Flask:
    """Make the dashboard.

    Args:
        settings: those of this process unless given.

    Raises:
        SettingsError: there is no key to sign sessions with, or it is too short; or Flask's debug mode is on.
    """
    settings = settings or load_settings()
    key = settings.secret_key.get_secret_value() if settings.secret_key else ""
    if len(key) < SHORTEST_KEY:
        raise SettingsError(
            "CIKG_SECRET_KEY is not set" if not key else f"CIKG_SECRET_KEY is shorter than {SHORTEST_KEY} characters",
            cure="Set it to a long random text; `cikg up` makes one for the embedded services",
        )
    app = Flask(__name__)
    if app.debug:
        raise SettingsError("FLASK_DEBUG is set, and debug mode shows strangers too much", cure="Unset FLASK_DEBUG")
    app.config.update(
        SECRET_KEY=key,
        TRUSTED_HOSTS=security.trusted_hosts(settings),
        MAX_CONTENT_LENGTH=1_000_000,
        SESSION_COOKIE_NAME="cikg",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.web_https,
        WTF_CSRF_TIME_LIMIT=None,  # a form's token is of the session, and ends with it
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=SESSION_SECONDS),
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(days=30),
    )
    app.extensions["cikg"] = settings
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.url_map.merge_slashes = False
    app.url_map.converters |= {"id": urls.IdConverter, "key": urls.KeyConverter}
    for part in (
        metrics,
        store,
        served,
        newcomers,
        security,
        receiving,
        limits,
        login,
        chrome,
        formatting,
        tasks,
        errors,
        api,
    ):
        part.init_app(app)
    for module in pkgutil.iter_modules(pages.__path__):
        app.register_blueprint(importlib.import_module(f"web.pages.{module.name}").blueprint)
    return app

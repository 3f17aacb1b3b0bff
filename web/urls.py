"""URLs that hold any id, and pages that also answer with `.json`.

An id stands in a path with every byte but letters, digits, `_` and `-` written as `~XX`. Percent signs would not do:
servers and browsers decode them early, so that `a%2Fb` becomes two parts of the path and `%2E%2E` its parent. A dot is
written `~2E`, so that `.json` at the end of a path is never part of an id.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Request, current_app
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, ValidationError

_UNSAFE = re.compile(rb"[^A-Za-z0-9_-]")
_ESCAPED = re.compile(rb"~([0-9A-Fa-f]{2})")


class IdConverter(BaseConverter):
    """An id of any characters as one part of a path."""

    regex = r"[^/.]+"
    part_isolating = True

    def to_python(self, value: str) -> str:
        """The id.

        Raises:
            ValidationError: the bytes are no text; the page is not found.
        """
        try:
            return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), value.encode()).decode()
        except UnicodeError as error:
            raise ValidationError from error

    def to_url(self, value: Any) -> str:
        """The id as it stands in a path."""
        return _UNSAFE.sub(lambda found: b"~%02X" % found[0][0], str(value).encode()).decode()


class KeyConverter(IdConverter):
    """An id as one part of an API's path, where nothing ends in `.json`: dots need no escape."""

    regex = r"[^/]+"


def without_slash(request: Request) -> str | None:
    """The address of the page that is meant by one with a slash at its end; None where there is no such page."""
    path, slash, rest = request.path.rpartition("/")
    if request.method not in ("GET", "HEAD") or not path or not slash or rest:
        return None
    try:
        current_app.create_url_adapter(request).match(path, method="GET")  # type: ignore[union-attr]
    except HTTPException:
        return None
    query = request.query_string.decode("ascii", "replace")
    return quote(path, safe="/~") + (f"?{query}" if query else "")


View = Callable[..., Any]


def page(blueprint: Blueprint, rule: str) -> Callable[[View], View]:
    """Serve a view at `rule`, and at the same address with `.json`."""

    def register(view: View) -> View:
        blueprint.add_url_rule(rule, view_func=view)
        blueprint.add_url_rule((rule.rstrip("/") or "/index") + ".json", view_func=view)
        return view

    return register

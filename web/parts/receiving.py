"""Files that a browser sends: written to the folder of their import as they come, never kept in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO

from flask import Flask, Request, current_app, request
from typing_extensions import override

from cikg.datasets.prepared.intake import Intake, Intakes
from cikg.datasets.prepared.unpacking import MOST_FILES, OURS
from cikg.errors import InputError
from cikg.files import disk
from web import store
from web.parts.imports import choose_format

VIEWS = ("web.pages.imports.send",)
"""Views that check the page's token themselves: the form that has it is not to be read before they say where to."""

_FORM_BYTES = 1_000_000
_FOLDER, _OPENED = "cikg.folder", "cikg.opened"


class Receiving(Request):
    """A request whose files go to a folder of ours, once a view has said to which."""

    @override
    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        folder = self.environ.get(_FOLDER)
        if folder is None:
            return super()._get_file_stream(total_content_length, content_type, filename, content_length)
        made = tempfile.NamedTemporaryFile("w+b", prefix=f"{OURS}part-", dir=folder, delete=False)  # noqa: SIM115
        self.environ[_OPENED].append(made)
        return made


def init_app(app: Flask) -> None:
    """Let the views of uploads read their requests themselves."""
    app.request_class = Receiving
    for view in VIEWS:
        app.extensions["csrf"].exempt(view)


def most_bytes() -> int:
    """The most bytes that one request may have that brings files."""
    return store.settings().upload_megabytes * 10**6 + _FORM_BYTES


def receive(actor: str) -> Intake:
    """Take the files of this request's form as a new import.

    Raises:
        CSRFError: the form is not of a page of ours.
        InputError: no file was chosen, or one cannot be taken.
        OversizeError: they are too large.
        ServiceError: the disk is full.
    """
    request.max_content_length, request.max_form_parts = most_bytes(), MOST_FILES + 10
    intakes = Intakes(store.settings())
    intakes.sweep()
    with intakes.receive(actor) as intake, disk(intake.folder):
        _read_form(intake.folder)
        sent = [file for file in request.files.getlist("files") if file.filename]
        if not sent:
            raise InputError("no file was chosen", cure="Choose one file or several, or a zip archive of them")
        for file in sent:
            intake.take(str(file.filename), Path(file.stream.name))
        for empty in intake.folder.glob(f"{OURS}*"):  # of a field in which nothing was chosen
            empty.unlink()
        chosen = choose_format(request.form.get("format", ""))
    intake.change(format=chosen)
    return intake


def _read_form(folder: Path) -> None:
    """Read the form, its files into a folder, and check that it is of a page of ours."""
    request.environ[_FOLDER], request.environ[_OPENED] = folder, []
    try:
        current_app.extensions["csrf"].protect()
    finally:
        for file in request.environ[_OPENED]:
            file.close()

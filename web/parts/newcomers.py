"""The IKGR of a dataset in the memory of this process: for a newcomer's list, and a search in a user's order."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from flask import Flask, current_app

from cikg.errors import CikgError
from cikg.recommend import runs
from cikg.recommend.newcomers import newcomer
from cikg.recommend.newcomers.newcomer import Model
from web.store import settings

_KEY = "cikg.newcomers"
MOST = 2
"""Models kept ready."""


class _Ready:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.models: OrderedDict[tuple[Path, int], Model] = OrderedDict()
        self.begun: set[str] = set()


def init_app(app: Flask) -> None:
    """Begin with none: loading one takes seconds, and most processes never need it."""
    app.extensions[_KEY] = _Ready()


def run_of(dataset: str) -> str | None:
    """The run of a dataset's IKGR that knows intents, if there is one. Loads nothing."""
    found = newcomer.newest(settings(), dataset)
    return None if found is None else found.name


def prepare(dataset: str) -> None:
    """Begin to load the IKGR of a dataset in the background, so that whoever asks for a list need not wait."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    ready: _Ready = current_app.extensions[_KEY]
    run = run_of(dataset)
    if run is None or run in ready.begun:
        return
    ready.begun.add(run)

    def carry_out() -> None:
        with app.app_context(), suppress(CikgError):  # what is wrong is told to whoever asks
            load(dataset)

    threading.Thread(target=carry_out, daemon=True).start()


def is_ready(dataset: str) -> bool:
    """Whether the IKGR of a dataset that was trained last is loaded, so that a list comes at once."""
    directory = newcomer.newest(settings(), dataset)
    return directory is not None and _key(directory) in current_app.extensions[_KEY].models


def load(dataset: str) -> Model:
    """The IKGR of a dataset that was trained last.

    Raises:
        NotFoundError: there is none that knows intents.
        SnapshotError: a file of it is damaged.
    """
    directory = newcomer.required(newcomer.newest(settings(), dataset), dataset)
    key = _key(directory)
    ready: _Ready = current_app.extensions[_KEY]
    with ready.lock:
        if key not in ready.models:
            ready.models[key] = newcomer.load(settings(), directory)
        ready.models.move_to_end(key)
        while len(ready.models) > MOST:
            ready.models.popitem(last=False)
        return ready.models[key]


def _key(directory: Path) -> tuple[Path, int]:
    return directory, (directory / runs.MANIFEST).stat().st_mtime_ns  # a run that was made again has the same name

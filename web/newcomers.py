"""The IKGR of a dataset in the memory of this process: for a newcomer's list, and a search in a user's order."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from flask import Flask, current_app

from cikg.recommend import newcomer, runs
from cikg.recommend.newcomer import Model
from web.store import settings

_KEY = "cikg.newcomers"
MOST = 2
"""Models kept ready."""


class _Ready:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.models: OrderedDict[tuple[Path, int], Model] = OrderedDict()


def init_app(app: Flask) -> None:
    """Begin with none: loading one takes seconds, and most processes never need it."""
    app.extensions[_KEY] = _Ready()


def is_trained(dataset: str) -> bool:
    """Whether a dataset has an IKGR that knows intents. Loads nothing."""
    return newcomer.newest(settings(), dataset) is not None


def load(dataset: str) -> Model:
    """The IKGR of a dataset that was trained last.

    Raises:
        NotFoundError: there is none that knows intents.
        SnapshotError: a file of it is damaged.
    """
    directory = newcomer.required(newcomer.newest(settings(), dataset), dataset)
    key = directory, (directory / runs.MANIFEST).stat().st_mtime_ns  # a run that was made again has the same name
    ready: _Ready = current_app.extensions[_KEY]
    with ready.lock:
        if key not in ready.models:
            ready.models[key] = newcomer.load(settings(), directory)
        ready.models.move_to_end(key)
        while len(ready.models) > MOST:
            ready.models.popitem(last=False)
        return ready.models[key]

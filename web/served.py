"""The served model in the memory of this process, for what is computed while a person waits."""

from __future__ import annotations

import threading
from collections import OrderedDict

from flask import Flask, current_app

from cikg.errors import NotFoundError
from cikg.graph import Graph
from cikg.graph.snapshot import open_snapshot
from cikg.serving.counterfactual import Served
from cikg.serving.publish import known_items
from web.store import settings

_KEY = "cikg.served"
MOST = 2
"""Models kept ready."""


class _Ready:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.models: OrderedDict[str, Served] = OrderedDict()


def init_app(app: Flask) -> None:
    """Begin with none: loading one takes seconds, and most processes never need it."""
    app.extensions[_KEY] = _Ready()


def load(graph: Graph, dataset: str) -> Served:
    """The model that a dataset serves.

    Raises:
        NotFoundError: none is published, or its files are not on this machine.
        SnapshotError: a file of it is damaged.
    """
    row = graph.many("served_model", dataset=dataset)[0]
    if row["model"] is None:
        raise NotFoundError(f"no model of {dataset!r} is published", cure="Publish one with `cikg publish`")
    ready: _Ready = current_app.extensions[_KEY]
    with ready.lock:
        if row["model"] not in ready.models:
            ready.models[row["model"]] = _open(dataset, row["run"])
        ready.models.move_to_end(row["model"])
        while len(ready.models) > MOST:
            ready.models.popitem(last=False)
        return ready.models[row["model"]]


def _open(dataset: str, run: str) -> Served:
    from cikg.recommend import runs  # noqa: PLC0415 - torch loads for seconds; only this needs it
    from cikg.recommend.scorers import ItemWeightScorer  # noqa: PLC0415

    recommender = runs.load(runs.directory(settings(), run))
    snapshot = open_snapshot(settings().snapshots / dataset / recommender.snapshot_hash[:16])
    scorer = recommender.scorer
    weights = scorer.weights.numpy() if isinstance(scorer, ItemWeightScorer) else None
    fold_in = None if weights is None else lambda history: weights[history].sum(axis=0)
    return Served(snapshot, recommender, known_items(snapshot), fold_in)

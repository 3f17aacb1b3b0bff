"""The served model in the memory of this process, for what is computed while a person waits."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from flask import Flask, current_app
from scipy import sparse

from cikg.errors import CikgError, NotFoundError
from cikg.graph import Graph
from cikg.graph.snapshot import Snapshot, open_snapshot
from cikg.schema import uid
from cikg.serving.counterfactual import Served
from cikg.serving.ranking import known_items
from web.store import settings

if TYPE_CHECKING:
    from cikg.recommend.runs import Recommender

_KEY = "cikg.served"
MOST = 2
"""Models kept ready."""


class _Ready:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.models: OrderedDict[str, Served] = OrderedDict()
        self.begun: set[str] = set()


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
    return _kept(row["model"], dataset, row["run"])


def prepare(dataset: str, run: str) -> None:
    """Begin to load a served model in the background, so that whoever asks what would be otherwise need not wait."""
    ready: _Ready = current_app.extensions[_KEY]
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    model = uid(dataset, run)
    if model in ready.begun or not (settings().runs / run).is_dir():
        return
    ready.begun.add(model)

    def carry_out() -> None:
        with app.app_context(), suppress(CikgError):  # what is wrong is told to whoever asks
            _kept(model, dataset, run)

    threading.Thread(target=carry_out, daemon=True).start()


def _kept(model: str, dataset: str, run: str) -> Served:
    ready: _Ready = current_app.extensions[_KEY]
    with ready.lock:
        if model not in ready.models:
            ready.models[model] = _open(dataset, run)
        ready.models.move_to_end(model)
        while len(ready.models) > MOST:
            ready.models.popitem(last=False)
        return ready.models[model]


def _open(dataset: str, run: str) -> Served:
    from cikg.recommend import runs  # noqa: PLC0415 - torch loads for seconds; only this needs it

    recommender = runs.load(runs.directory(settings(), run))
    return ready(recommender, open_snapshot(settings().snapshots / dataset / recommender.snapshot_hash[:16]))


def ready(recommender: Recommender, snapshot: Snapshot) -> Served:
    """A model to ask what would be otherwise: exactly, where its scores are sums over what is known of a user.

    Rows of weights can also be those of interests; and a run without a refit knows nothing of the valid items.
    """
    from cikg.recommend.scorers import ItemWeightScorer  # noqa: PLC0415 - as above

    scorer, known = recommender.scorer, known_items(snapshot)
    if not isinstance(scorer, ItemWeightScorer) or len(scorer.weights) != known.shape[1]:
        return Served(snapshot, recommender, known)
    weights, read = scorer.weights.numpy(), (scorer.history.numpy(), scorer.offsets.numpy())
    summed = sparse.csr_array((np.ones_like(read[0], dtype=np.int8), *read), shape=known.shape)
    if (summed - known).count_nonzero():
        return Served(snapshot, recommender, known)
    return Served(snapshot, recommender, known, lambda history: weights[history].sum(axis=0))

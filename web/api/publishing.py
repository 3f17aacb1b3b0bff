"""Publishing a run from the web: what `cikg publish` does."""

from __future__ import annotations

from cikg.errors import InputError
from cikg.graph import Graph
from cikg.graph.snapshot import open_snapshot
from cikg.serving.publish import Published
from web.store import settings


def publish(graph: Graph, dataset: str, run: str, k: int) -> Published:
    """Write the recommendations of a run and serve them.

    Raises:
        NotFoundError: the files of the run are not on this machine.
        InputError: it was trained on another dataset.
        SnapshotError: a file of it is damaged.
        ConflictError: another publication of the dataset ran at the same time.
    """
    from cikg.recommend import runs  # noqa: PLC0415 - torch loads for seconds; only this needs it
    from cikg.serving.publish import publish as carry_out  # noqa: PLC0415

    recommender = runs.load(runs.directory(settings(), run))
    if recommender.manifest["dataset"] != dataset:
        raise InputError(f"the run {run} was trained on {recommender.manifest['dataset']!r}, not on {dataset!r}")
    snapshot = open_snapshot(settings().snapshots / dataset / recommender.snapshot_hash[:16])
    return carry_out(graph, snapshot, recommender, k)

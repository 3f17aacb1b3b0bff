"""Runs in words: what each of them does, for those who do not know its name."""

from __future__ import annotations

from flask import Flask

from cikg.errors import NotFoundError
from cikg.extraction.job import job
from cikg.recommend import methods
from web.parts.runs import Run

_KINDS = {
    "extract": "LLM job",
    "train": "Training",
    "import": "Import",
    "cluster": "Clustering",
    "embed": "Embedding",
    "snapshot": "Snapshot",
    "publish": "Publication",
    "command": "Command",
}
_PURPOSES = {
    "import": "Reads users, items, choices and facts into the graph.",
    "cluster": "Groups phrases of similar meaning into interests.",
    "embed": "Computes vectors of names and texts for comparing them.",
    "intents": "Looks for intents that may mean the same, or merges those that do.",
    "publish": "Writes and serves everyone's recommendations.",
    "evaluate": "Evaluates a model on the test split.",
}
_TRAINING = "Learns from choices and interests what to recommend."
"""Of a method that is no longer there."""


def init_app(app: Flask) -> None:
    """Give templates the filters of this module."""
    app.jinja_env.filters.update(task=task, purpose=purpose)


def task(run: Run) -> str:
    """`LLM job: user intents`."""
    kind = _KINDS.get(run.kind, run.kind.capitalize())
    return kind if run.name == run.kind else f"{kind}: {run.name.replace('_', ' ')}"


def purpose(run: Run) -> str:
    """What a run is for, one sentence; empty where nothing is known."""
    if run.kind != "extract":
        kind, _, about = run.name.partition(" ") if run.kind == "command" else (run.kind, "", run.name)
        return methods.summaries().get(about, _TRAINING) if kind == "train" else _PURPOSES.get(kind, "")
    try:
        return job(run.name).help
    except NotFoundError:  # of a job that is no longer there
        return ""

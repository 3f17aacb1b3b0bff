"""Takes a dataset out of the graph, some nodes a transaction: it can be interrupted and repeated at any time."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from cikg.datasets.batches import CHARACTERS
from cikg.errors import ConflictError, InputError, MemoryLimitError
from cikg.graph import Graph
from cikg.progress import Advance, ignore
from cikg.settings import Settings

DROP_BATCH = 500
"""Nodes deleted a transaction, each with all its edges."""


def held(graph: Graph, dataset: str) -> int:
    """How many nodes `clear` would delete."""
    return int(graph.one("count_nodes", dataset=dataset)["nodes"])


def clear(graph: Graph, dataset: str, advance: Advance = ignore) -> None:
    """Delete what a dataset holds. Its own node stays, in the state 'dropping', and so do the LLM's answers.

    Args:
        graph: where it is.
        dataset: its name.
        advance: called with the number of nodes deleted after each transaction.
    """
    graph.write("begin_drop", dataset=dataset)
    _repeat(graph, "drop_nodes", advance, dataset=dataset, characters=CHARACTERS)


def drop(graph: Graph, dataset: str, advance: Advance = ignore) -> None:
    """Delete a dataset with its own node, its runs and their ledger; the LLM's answers stay.

    Args:
        graph: where it is.
        dataset: its name.
        advance: called with the number of nodes deleted after each transaction.

    Raises:
        ConflictError: an import began to write it in the meantime.
    """
    clear(graph, dataset, advance)
    if not graph.write("drop_dataset", dataset=dataset):
        raise ConflictError(
            f"an import is writing the dataset {dataset!r} while it is being dropped",
            cure="Wait for the import to end or stop it, then drop the dataset again",
        )


def answers(graph: Graph, dataset: str) -> int:
    """How many of the LLM's answers are kept for a dataset, even if it is gone."""
    return int(graph.one("kept_completions", dataset=dataset)["completions"])


def drop_answers(graph: Graph, dataset: str, advance: Advance = ignore) -> None:
    """Delete the LLM's answers about a dataset: asking the same again has to be paid for again."""
    _repeat(graph, "drop_completions", advance, dataset=dataset)


def _repeat(graph: Graph, statement: str, advance: Advance, **parameters: str | int) -> None:
    """Delete until nothing is left; fewer nodes a transaction once their edges exceed the server's memory."""
    size = DROP_BATCH
    while True:
        try:
            ((row,),) = graph.write_together([(statement, {**parameters, "size": size})])
        except MemoryLimitError:
            if size == 1:
                raise
            size //= 2
            continue
        if not row["dropped"]:
            return
        advance(row["dropped"])


def folders(settings: Settings, dataset: str) -> list[Path]:
    """Where a dataset's files lie: snapshots, edges for loaders, trials, rejected rows, and its trained runs."""
    own = (settings.snapshots, settings.adjacency, settings.home / "tuning", settings.home / "imports")
    runs = sorted(settings.runs.iterdir()) if settings.runs.is_dir() else []
    return [path / dataset for path in own if (path / dataset).is_dir()] + [
        path for path in runs if _trained_on(path, dataset)
    ]


def _trained_on(run: Path, dataset: str) -> bool:
    """Whether a run's folder is of this dataset: by its manifest, and by its name where training has not ended."""
    try:
        return bool(json.loads((run / "manifest.json").read_text(encoding="utf-8"))["dataset"] == dataset)
    except FileNotFoundError:
        return re.fullmatch(rf"[a-z0-9_]+-{re.escape(dataset)}-[0-9a-f]{{12}}", run.name) is not None
    except (OSError, ValueError, TypeError, KeyError):
        return False


def remove(paths: list[Path]) -> None:
    """Remove folders with all that is in them.

    Raises:
        InputError: one cannot be removed; all that can be are.
    """
    failed = []
    for path in paths:
        try:
            shutil.rmtree(path)
        except OSError as error:
            failed.append(f"{path} cannot be removed: {error.strerror or error}")
    if failed:
        raise InputError(failed[0], cure="Remove it yourself, or correct that and repeat the command")

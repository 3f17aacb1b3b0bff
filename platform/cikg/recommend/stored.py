"""The trainings that this home keeps, ended or not: what they came to, how much room they take, and removing them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cikg.errors import ConflictError, NotFoundError, SnapshotError, did_you_mean
from cikg.graph import Graph
from cikg.recommend import methods, runs
from cikg.schema import uid
from cikg.settings import Settings


@dataclass(frozen=True)
class Stored:
    """A training on disk.

    Attributes:
        run: its name.
        path: its folder.
        dataset: the dataset it was trained on.
        method: its method.
        snapshot: the hash of its snapshot; like what follows, not known before the training ends.
        trained_at: when it ended, as ISO time.
        protocol: honest or paper.
        valid: metrics on the validation split, by name.
        test: metrics on the test split; empty before `cikg evaluate`.
        bytes: on disk.
    """

    run: str
    path: Path
    dataset: str
    method: str
    snapshot: str | None
    trained_at: str | None
    protocol: str | None
    valid: dict[str, float]
    test: dict[str, float]
    bytes: int

    @property
    def ended(self) -> bool:
        """Whether its training has, and its manifest can be read."""
        return self.trained_at is not None


def stored(settings: Settings, dataset: str | None = None) -> list[Stored]:
    """The trainings of a dataset, or of all: those that have not ended, then the newest first."""
    found = [each for each in _all(settings) if dataset in (None, each.dataset)]
    found.sort(key=lambda each: each.run)
    return sorted(found, key=lambda each: (not each.ended, each.trained_at or ""), reverse=True)


def find(settings: Settings, name: str) -> Stored:
    """The training of a name, or the only one whose name begins so.

    Raises:
        NotFoundError: there is none, or several; names the candidates.
    """
    known = {each.run: each for each in _all(settings)}
    found = [run for run in known if run == name] or sorted(run for run in known if run.startswith(name))
    if len(found) == 1:
        return known[found[0]]
    if found:
        raise NotFoundError(f"the names of several runs begin with {name!r}", cure=f"Choose one of {', '.join(found)}")
    raise NotFoundError(
        f"there is no run named {name!r} in {settings.runs}",
        cure=did_you_mean(name, known, "`cikg runs list --all` shows all"),
    )


def check_unserved(graph: Graph, run: Stored) -> None:
    """See that a training is not served.

    Raises:
        ConflictError: it is.
    """
    if is_served(graph, run):
        raise _served(run)


def is_served(graph: Graph, run: Stored) -> bool:
    """Whether its dataset serves a training's recommendations."""
    return any(row["run"] == run.run for row in graph.many("served_model", dataset=run.dataset))


def remove(graph: Graph, run: Stored) -> None:
    """Remove what the graph says of a training, then its folder: stopped between them, the same call does the rest.

    Raises:
        ConflictError: it is served by now.
    """
    if not graph.write("forget_training", dataset=run.dataset, run=uid(run.dataset, run.run)):
        raise _served(run)
    shutil.rmtree(run.path)


def _served(run: Stored) -> ConflictError:
    return ConflictError(
        f"{run.run} is served, and cannot be removed", cure="Publish another run, or go back with `cikg publish --back`"
    )


def _all(settings: Settings) -> Iterator[Stored]:
    if not settings.runs.is_dir():
        return
    for path in settings.runs.iterdir():
        if path.is_dir() and not path.name.startswith("."):
            yield from _read(path)


def _read(path: Path) -> Iterator[Stored]:
    """What a folder says of its training; nothing where it is none's."""
    said, measured = _said(path / runs.MANIFEST), _said(path / runs.EVALUATION)
    whole = {"method", "dataset"} <= said.keys()
    for method, dataset in [(said["method"], said["dataset"])] if whole else _named(path.name):
        yield Stored(
            run=path.name,
            path=path,
            dataset=dataset,
            method=method,
            snapshot=said.get("snapshot"),
            trained_at=said.get("trained_at"),
            protocol=said.get("protocol"),
            valid=said.get("valid", {}),
            test=measured.get("test", {}),
            bytes=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        )


def _said(path: Path) -> dict[str, Any]:
    """What a file of a run says; nothing where it is missing or damaged, so that such a run is listed too."""
    try:
        return runs.read_json(path)
    except SnapshotError:
        return {}


def _named(name: str) -> list[tuple[str, str]]:
    """Method and dataset of a training without a manifest, which its name alone says."""
    known = "|".join(sorted(methods.names(), key=len, reverse=True))
    found = re.fullmatch(rf"({known})-(.+)-[0-9a-f]{{12}}", name)
    return [(found[1], found[2])] if found else []

"""Which snapshots of a dataset are kept, what needs them, and which may go."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cikg.errors import ConflictError, NotFoundError, SnapshotError
from cikg.files import alone
from cikg.graph import datasets
from cikg.graph.database import Graph
from cikg.graph.snapshot import LATEST, MANIFEST, Snapshot, latest, open_snapshot
from cikg.settings import Settings

DIGITS = 16
"""How much of a snapshot's hash names its folder."""

_FOLDER = re.compile(rf"[0-9a-f]{{{DIGITS}}}")
_RUN = re.compile(r"[a-z0-9_]+-(?P<dataset>.+)-[0-9a-f]{12}")


@dataclass(frozen=True)
class Kept:
    """A snapshot on disk, whole or not.

    Attributes:
        path: its folder.
        taken: when.
        size: bytes on disk.
        snapshot: it, or None where it cannot be opened.
        problem: why it cannot be.
        latest: whether it shows the dataset as it was last taken.
        used_by: the runs and models made from it.
    """

    path: Path
    taken: datetime
    size: int
    snapshot: Snapshot | None
    problem: str | None
    latest: bool
    used_by: tuple[str, ...]

    @property
    def needed(self) -> bool:
        """Whether it has to stay."""
        return self.latest or bool(self.used_by)


@dataclass(frozen=True)
class Collected:
    """What a collection removed, or would remove.

    Attributes:
        removed: names of folders.
        kept: how many snapshots stay.
        freed: bytes.
    """

    removed: tuple[str, ...]
    kept: int
    freed: int


def kept(settings: Settings, dataset: str, graph: Graph | None) -> list[Kept]:
    """All snapshots of a dataset, the newest first.

    Args:
        settings: say where snapshots and runs lie.
        dataset: the dataset's name.
        graph: where further runs and published models are known; None where it cannot be asked.

    Raises:
        NotFoundError: there are none, and no such dataset.
    """
    folder = settings.snapshots / dataset
    used: dict[str, set[str]] = {}
    for run, snapshot in [*_of_runs(settings, dataset), *(_of_graph(graph, dataset) if graph else ())]:
        used.setdefault(snapshot[:DIGITS], set()).add(run)
    last = _latest_folder(folder)
    if graph is not None and not folder.is_dir():  # those of a dataset that was dropped may still be there
        datasets.check(graph, dataset)
    found = [_kept(path, path.name == last, used.get(path.name, ())) for path in _folders(folder)]
    return sorted(found, key=lambda each: (each.taken, each.path.name), reverse=True)


def find(settings: Settings, dataset: str, name: str | None = None) -> Snapshot:
    """Open a snapshot of a dataset: by its hash, the beginning of its hash or its folder; without a name, the latest.

    Raises:
        NotFoundError: there is none, or several; names the candidates.
        SnapshotError: it is damaged.
    """
    if name is None:
        return latest(settings, dataset)
    if (Path(name) / MANIFEST).is_file():
        return open_snapshot(Path(name))
    names = [path.name for path in _folders(settings.snapshots / dataset)]
    found = [known for known in names if known.startswith(name[:DIGITS])]
    if len(found) == 1:
        return open_snapshot(settings.snapshots / dataset / found[0])
    if found:
        raise NotFoundError(f"several snapshots begin with {name!r}", cure=f"Choose one of {', '.join(sorted(found))}")
    raise NotFoundError(
        f"the dataset {dataset!r} has no snapshot {name!r}", cure=f"`cikg snapshot list --dataset {dataset}` shows all"
    )


def collect(settings: Settings, dataset: str, graph: Graph, *, dry_run: bool = False) -> Collected:
    """Remove the snapshots that nothing needs: all but the latest and those that runs or models were made from.

    What an interrupted export left behind goes too.

    Args:
        settings: say where snapshots and runs lie.
        dataset: the dataset's name.
        graph: knows runs and published models.
        dry_run: remove nothing.

    Raises:
        ConflictError: a training is not finished, which may need any of them.
        NotFoundError: there are none, and no such dataset.
    """
    folder = settings.snapshots / dataset
    if not folder.is_dir():
        datasets.check(graph, dataset)
        return Collected((), 0, 0)
    with alone(folder):  # so that nobody takes one meanwhile
        for path in settings.runs.glob("*/checkpoint-*.safetensors"):
            run = _RUN.fullmatch(path.parent.name)
            if run and run["dataset"] == dataset and not (path.parent / MANIFEST).exists():
                raise ConflictError(
                    f"the training {path.parent.name} is not finished, and may need any snapshot",
                    cure=f"Repeat its command to finish it, or run `cikg runs remove {path.parent.name}`",
                )
        every = kept(settings, dataset, graph)
        left = [path for path in folder.iterdir() if path.name.startswith(".")]
        loose = [each.path for each in every if not each.needed]
        freed = sum(each.size for each in every if not each.needed) + sum(map(_size, left))
        if not dry_run:
            for path in [*loose, *left]:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
    return Collected(tuple(path.name for path in loose), len(every) - len(loose), freed)


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.is_dir() and _FOLDER.fullmatch(path.name)]


def _latest_folder(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / LATEST).read_text(encoding="utf-8"))["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _kept(path: Path, is_latest: bool, used_by: Iterable[str]) -> Kept:
    snapshot, problem = None, None
    try:
        snapshot = open_snapshot(path)
    except (NotFoundError, SnapshotError) as error:
        problem = error.message
    taken = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return Kept(path, taken, _size(path), snapshot, problem, is_latest, tuple(sorted(used_by)))


def _size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _of_runs(settings: Settings, dataset: str) -> list[tuple[str, str]]:
    """Runs on disk with the hash of their snapshot.

    Raises:
        SnapshotError: a manifest is damaged, so that nobody knows what the run needs.
    """
    found = []
    for path in settings.runs.glob(f"*/{MANIFEST}"):
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            if manifest["dataset"] == dataset:
                found.append((path.parent.name, str(manifest["snapshot"])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SnapshotError(f"{path} is damaged: {error}", cure="Delete its folder and train again") from None
    return found


def _of_graph(graph: Graph, dataset: str) -> list[tuple[str, str]]:
    """Runs and published models that the graph knows, with the hash of their snapshot."""
    found = []
    for row in graph.many("used_snapshots", dataset=dataset):
        snapshot = row["snapshot"] or json.loads(row["manifest"] or "{}").get("snapshot")
        if snapshot:
            found.append((row["run"], str(snapshot)))
    return found

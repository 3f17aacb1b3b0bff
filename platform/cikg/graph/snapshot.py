"""Snapshots: a dataset's graph as memory-mapped columns, named by the hash of their content.

A snapshot is a folder `<home>/snapshots/<dataset>/<first 16 digits of its hash>`:

- `users.json`, `items.json`, `entities.json`, `interests.json`: ids and names (items: texts), by index;
- `<table>.<column>.npy`: one column each;
- `manifest.json`: hash, counts, relations, and size and SHA-256 of every other file.

It never changes, and exporting the same graph gives the same bytes. `latest.json` beside it says which version of the
dataset it shows, so that an unchanged dataset is not exported again.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cikg.errors import NotFoundError, SnapshotError
from cikg.files import write_file, write_folder
from cikg.graph.database import Graph
from cikg.graph.export import NEVER, Export, dataset_properties, export
from cikg.settings import Settings

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

__all__ = ["NEVER", "Facts", "HasInterest", "Interactions", "Nodes", "Snapshot", "latest", "open_snapshot", "take"]

LAYOUT = 1
"""Number of the layout above; a snapshot of another layout is refused."""

MANIFEST, LATEST = "manifest.json", "latest.json"
DAMAGED = "Remove the folder and take the snapshot again with `cikg snapshot`"

Index = npt.NDArray[np.int32]
Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Nodes:
    """Nodes of one kind: position i is index i. Numeric ids come first, by value, then the others as text.

    Attributes:
        ids: the dataset's own ids.
        names: what to show; the id where there is no name.
    """

    ids: list[str]
    names: list[str]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def index(self) -> dict[str, int]:
        """The index of each id."""
        return {identifier: index for index, identifier in enumerate(self.ids)}


@dataclass(frozen=True)
class Interactions:
    """Each pair of user and item once, sorted. Shape of every column: (interactions,).

    Attributes:
        user_index, item_index: who and what.
        split: 0 train, 1 valid, 2 test.
        rating: NaN where there is none.
        at: seconds since 1970; `NEVER` where unknown.
    """

    user_index: Index
    item_index: Index
    split: npt.NDArray[np.int8]
    rating: npt.NDArray[np.float32]
    at: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Facts:
    """Facts between things: items 0 … I-1, then entities I … I+E-1. Sorted. Shape of every column: (facts,)."""

    head_index: Index
    relation_index: Index
    tail_index: Index


@dataclass(frozen=True)
class HasInterest:
    """Who has which interest, sorted. Shape of every column: (edges,).

    Attributes:
        user_index, interest_index: who and what.
        from_evidence: True where the edge names the train interactions it was inferred from. An imported edge does
            not: it may know what is in valid.
    """

    user_index: Index
    interest_index: Index
    from_evidence: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Snapshot:
    """A dataset's graph at one moment.

    Attributes:
        path: its folder.
        hash: SHA-256 over its content.
        dataset: the dataset's name.
        manifest: `manifest.json`.
        reused: True where `take` found it already there.
    """

    path: Path
    hash: str
    dataset: str
    manifest: dict[str, Any] = field(repr=False, compare=False)
    reused: bool = field(default=False, compare=False)

    @property
    def counts(self) -> dict[str, int]:
        """Rows by kind."""
        counts: dict[str, int] = self.manifest["counts"]
        return counts

    @property
    def relations(self) -> list[str]:
        """Relationship types, by `facts.relation_index`."""
        relations: list[str] = self.manifest["relations"]
        return relations

    @cached_property
    def users(self) -> Nodes:
        """All users."""
        return self._nodes("users")

    @cached_property
    def items(self) -> Nodes:
        """All items."""
        return self._nodes("items")

    @cached_property
    def entities(self) -> Nodes:
        """All entities."""
        return self._nodes("entities")

    @cached_property
    def interests(self) -> Nodes:
        """All interests."""
        return self._nodes("interests")

    @cached_property
    def item_text(self) -> list[str]:
        """The text of each item; empty where there is none."""
        texts: list[str] = self._json("items")["text"]
        return texts

    @cached_property
    def interactions(self) -> Interactions:
        """Who interacted with what."""
        return Interactions(
            *(self._column(f"interactions.{name}") for name in ("user_index", "item_index", "split", "rating", "at"))
        )

    @cached_property
    def facts(self) -> Facts:
        """The knowledge graph."""
        return Facts(*(self._column(f"facts.{name}") for name in ("head_index", "relation_index", "tail_index")))

    @cached_property
    def has_interest(self) -> HasInterest:
        """Who has which interest."""
        names = ("user_index", "interest_index", "from_evidence")
        return HasInterest(*(self._column(f"has_interest.{name}") for name in names))

    def to_hetero(self) -> HeteroData:
        """The snapshot as PyG's heterogeneous graph; see `cikg.graph.hetero.to_hetero`."""
        from cikg.graph.hetero import to_hetero  # noqa: PLC0415 - torch loads for seconds, and few readers need it

        return to_hetero(self)

    def _nodes(self, kind: str) -> Nodes:
        table = self._json(kind)
        return Nodes(table["id"], table["name"])

    def _json(self, kind: str) -> dict[str, list[str]]:
        path = self.path / f"{kind}.json"
        try:
            table: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SnapshotError(f"{path} is damaged: {error}", cure=DAMAGED) from None
        return table

    def _column(self, name: str) -> npt.NDArray[Any]:
        path = self.path / f"{name}.npy"
        try:
            column: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise SnapshotError(f"{path} is damaged: {error}", cure=DAMAGED) from None
        return column


def open_snapshot(path: Path, *, verify: bool = False) -> Snapshot:
    """Open a snapshot.

    Args:
        path: its folder.
        verify: also compare every file's SHA-256; without it, sizes alone are compared.

    Raises:
        NotFoundError: there is no such folder.
        SnapshotError: a file is missing or damaged; names it.
    """
    if not path.is_dir():
        raise NotFoundError(f"there is no snapshot {path}", cure="Take one with `cikg snapshot`")
    manifest = _read_json(path / MANIFEST)
    try:
        files, layout = dict(manifest["files"]), manifest["layout"]
        snapshot = Snapshot(path, manifest["hash"], manifest["dataset"], manifest)
    except KeyError as error:
        raise SnapshotError(f"{path / MANIFEST} is damaged: it lacks {error}", cure=DAMAGED) from None
    if layout != LAYOUT:
        raise SnapshotError(f"{path} has layout {layout}, where this version of cikg reads {LAYOUT}", cure=DAMAGED)
    if _content_hash(files) != snapshot.hash:
        raise SnapshotError(f"{path / MANIFEST} is damaged: its hash is not that of its files", cure=DAMAGED)
    for name, expected in files.items():
        file = path / name
        if not file.is_file() or file.stat().st_size != expected["bytes"]:
            raise SnapshotError(f"{file} is damaged: it should have {expected['bytes']} bytes", cure=DAMAGED)
        if verify and hashlib.sha256(file.read_bytes()).hexdigest() != expected["sha256"]:
            raise SnapshotError(f"{file} is damaged: its content is not what was written", cure=DAMAGED)
    return snapshot


def latest(settings: Settings, dataset: str) -> Snapshot:
    """Open the snapshot of a dataset that was taken last.

    Raises:
        NotFoundError: none was taken.
        SnapshotError: it is damaged.
    """
    folder = settings.snapshots / dataset
    if not (folder / LATEST).exists():
        raise NotFoundError(
            f"there is no snapshot of the dataset {dataset!r}",
            cure=f"Take one with `cikg snapshot --dataset {dataset}`",
        )
    return open_snapshot(folder / str(_read_json(folder / LATEST).get("folder")))


def _silent(_description: str, _total: int | None) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _count: None)


def take(graph: Graph, dataset: str, settings: Settings, progress: Progress | None = None) -> Snapshot:
    """Export a dataset, or open its last snapshot where the dataset has not changed since.

    Args:
        graph: where from.
        dataset: its name.
        settings: say where snapshots are kept.
        progress: opens a progress bar: description and total in, `advance(n)` out.

    Raises:
        NotFoundError: there is no such dataset.
        ConflictError: its import is not complete, or it is being written all the time.
    """
    folder = settings.snapshots / dataset
    properties = dataset_properties(graph, dataset)
    reused = _unchanged(folder, properties["version"])
    if reused is not None:
        return reused
    with (progress or _silent)("exporting", None) as advance:
        exported = export(graph, dataset, advance)
    files = _files(exported)
    manifest = _manifest(exported, files)
    name = manifest["hash"][:16]
    files[MANIFEST] = (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()
    if _whole(folder / name) is None:
        write_folder(folder / name, files)
    pointer = {"folder": name, "version": exported.properties["version"]}
    write_file(folder / LATEST, json.dumps(pointer).encode())
    return open_snapshot(folder / name)


def _unchanged(folder: Path, version: int) -> Snapshot | None:
    """The last snapshot if it shows this version and is whole."""
    try:
        pointer = _read_json(folder / LATEST)
    except SnapshotError:
        return None
    found = _whole(folder / str(pointer.get("folder"))) if pointer.get("version") == version else None
    return replace(found, reused=True) if found else None


def _whole(path: Path) -> Snapshot | None:
    try:
        return open_snapshot(path, verify=True)
    except (NotFoundError, SnapshotError):
        return None


def _files(exported: Export) -> dict[str, bytes]:
    files = {
        f"{kind}.json": json.dumps(columns, ensure_ascii=False, separators=(",", ":")).encode()
        for kind, columns in exported.nodes.items()
    }
    for name, column in exported.columns.items():
        buffer = io.BytesIO()
        np.save(buffer, column, allow_pickle=False)
        files[f"{name}.npy"] = buffer.getvalue()
    return files


def _manifest(exported: Export, files: dict[str, bytes]) -> dict[str, Any]:
    described = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in files.items()
    }
    counts = {kind: len(columns["id"]) for kind, columns in exported.nodes.items()}
    for kind, column in (
        ("interactions", "interactions.user_index"),
        ("facts", "facts.head_index"),
        ("has_interest", "has_interest.user_index"),
    ):
        counts[kind] = len(exported.columns[column])
    return {
        "layout": LAYOUT,
        "hash": _content_hash(described),
        "dataset": exported.properties["uid"],
        "field": exported.properties["field"],
        "interests": exported.properties["interests"],
        "relations": exported.relations,
        "counts": counts,
        "files": described,
    }


def _content_hash(files: dict[str, Any]) -> str:
    listing = "".join(f"{files[name]['sha256']}  {name}\n" for name in sorted(files))
    return hashlib.sha256(f"layout {LAYOUT}\n{listing}".encode()).hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SnapshotError(f"{path} is missing", cure=DAMAGED) from None
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{path} is damaged: {error}", cure=DAMAGED) from None
    if not isinstance(content, dict):
        raise SnapshotError(f"{path} is damaged: it holds no object", cure=DAMAGED)
    return content

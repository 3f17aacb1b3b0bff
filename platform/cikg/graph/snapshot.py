"""Snapshots: a dataset's graph as memory-mapped columns, named by the hash of their content.

A snapshot is a folder `<home>/snapshots/<dataset>/<first 16 digits of its hash>`:

- `<kind>.id`, `<kind>.name` of users, items, entities, intents and interests, by index; `items.text`, `users.profile`
  and `items.profile` where there are any: each a run of UTF-8 (`.utf8.npy`) and the places where its texts end
  (`.ends.npy`);
- `users.profile_from_evidence.npy` and `items.…` beside the profiles: whether evidence supports each, as it does unless
  the profile was imported;
- `<table>.<column>.npy`: one column each, but for ratings or times where there are none;
- `embeddings.<kind>.<embedding>.npy`: float32, shape (n, dimension), NaN for nodes without a vector;
- `manifest.json`: hash, counts, relations, leaks, embeddings, and size and SHA-256 of every other file.

It never changes, and exporting the same graph gives the same bytes. `latest.json` beside it says which version of the
dataset it shows, so that an unchanged dataset is not exported again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from cikg.errors import NotFoundError, SnapshotError
from cikg.files import alone, new_folder, write_file
from cikg.graph.columns import Facts, HasInterest, Interactions, MemberOf, Nodes, Possesses, Satisfies
from cikg.graph.database import Graph
from cikg.graph.export import KINDS, NEVER, Export, dataset_properties, export
from cikg.graph.texts import Texts
from cikg.progress import Progress, silent
from cikg.schema import SPLIT_KEYS
from cikg.settings import Settings

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

__all__ = [
    "KINDS",
    "NEVER",
    "TABLES",
    "Facts",
    "HasInterest",
    "Interactions",
    "MemberOf",
    "Nodes",
    "Possesses",
    "Satisfies",
    "Snapshot",
    "latest",
    "open_snapshot",
    "take",
    "write",
]

LAYOUT = 3
"""Number of the layout above; a snapshot of another layout is refused."""

MANIFEST, LATEST = "manifest.json", "latest.json"
DAMAGED = "Remove the folder and take the snapshot again with `cikg snapshot`"

TABLES: dict[str, type[Any]] = {
    "interactions": Interactions,
    "facts": Facts,
    "has_interest": HasInterest,
    "possesses": Possesses,
    "satisfies": Satisfies,
    "member_of": MemberOf,
}
"""The tables by name; the first column of each has as many rows as all of them."""

UNKNOWN: dict[str, npt.NDArray[Any]] = {
    "interactions.rating": np.array(np.nan, dtype=np.float32),
    "interactions.at": np.array(NEVER, dtype=np.int64),
}
"""What a column holds that is not there."""

Table = TypeVar("Table")


@dataclass(frozen=True)
class Snapshot:
    """A dataset's graph at one moment. Opening it reads nothing but the manifest.

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
        """Rows by kind of node and table of edges."""
        counts: dict[str, int] = self.manifest["counts"]
        return counts

    @property
    def relations(self) -> list[str]:
        """Relationship types, by `facts.relation_index`."""
        relations: list[str] = self.manifest["relations"]
        return relations

    @property
    def leaks(self) -> int:
        """How many edges that an LLM made about users rest on no training interaction of theirs; must be 0."""
        leaks: int = self.manifest["leaks"]
        return leaks

    @property
    def size(self) -> int:
        """Bytes of all files that the manifest lists."""
        return sum(file["bytes"] for file in self.manifest["files"].values())

    @cached_property
    def users(self) -> Nodes:
        """All users."""
        return self.nodes("users")

    @cached_property
    def items(self) -> Nodes:
        """All items."""
        return self.nodes("items")

    @cached_property
    def entities(self) -> Nodes:
        """All entities."""
        return self.nodes("entities")

    @cached_property
    def intents(self) -> Nodes:
        """All intents but those that were merged into others."""
        return self.nodes("intents")

    @cached_property
    def interests(self) -> Nodes:
        """All interests."""
        return self.nodes("interests")

    @cached_property
    def item_text(self) -> Sequence[str]:
        """The text of each item; empty where there is none."""
        return self.texts("items", "text")

    @cached_property
    def user_profile(self) -> Sequence[str]:
        """What a model wrote about each user; empty where there is nothing."""
        return self.texts("users", "profile")

    @cached_property
    def item_profile(self) -> Sequence[str]:
        """What a model wrote about each item; empty where there is nothing."""
        return self.texts("items", "profile")

    @cached_property
    def imported_profiles(self) -> int:
        """How many profiles of users and items rest on no evidence, since they were made elsewhere."""
        found = 0
        for kind, profiles in (("users", self.user_profile), ("items", self.item_profile)):
            name = f"{kind}.profile_from_evidence"
            if f"{name}.npy" in self.manifest["files"]:
                written = np.array([bool(profile) for profile in profiles], dtype=np.bool_)
                found += int((written & ~np.asarray(self._column(name))).sum())
        return found

    @cached_property
    def interactions(self) -> Interactions:
        """Who interacted with what."""
        return self._table("interactions", Interactions)

    @cached_property
    def facts(self) -> Facts:
        """The knowledge graph."""
        return self._table("facts", Facts)

    @cached_property
    def has_interest(self) -> HasInterest:
        """Who has which interest."""
        return self._table("has_interest", HasInterest)

    @cached_property
    def possesses(self) -> Possesses:
        """Who has which intent."""
        return self._table("possesses", Possesses)

    @cached_property
    def satisfies(self) -> Satisfies:
        """Which item satisfies which intent."""
        return self._table("satisfies", Satisfies)

    @cached_property
    def member_of(self) -> MemberOf:
        """Which intent belongs to which interest."""
        return self._table("member_of", MemberOf)

    @property
    def embeddings(self) -> dict[str, list[str]]:
        """Embeddings by kind; those of `user_profiles` and `item_profiles` by the index of whom they describe."""
        embeddings: dict[str, list[str]] = self.manifest["embeddings"]
        return embeddings

    def embedding(self, kind: str, name: str) -> npt.NDArray[np.float32]:
        """The vectors of one kind's nodes: shape (n, dimension), NaN for nodes without.

        Args:
            kind: a key of `embeddings`.
            name: one of its entries, as `lexical_64`.

        Raises:
            NotFoundError: there is none; says which there are.
        """
        if name not in self.embeddings.get(kind, []):
            listed = ", ".join(f"{kind}/{name}" for kind, names in self.embeddings.items() for name in names)
            raise NotFoundError(
                f"the snapshot {self.hash[:16]} has no embedding {name!r} of {kind}",
                cure=f"It has {listed}" if listed else "Make some with `cikg embed`, then take a snapshot again",
            )
        return self._column(f"embeddings.{kind}.{name}")

    def to_hetero(self, embedding: str | None = None) -> HeteroData:
        """The snapshot as PyG's heterogeneous graph; see `cikg.graph.hetero.to_hetero`."""
        from cikg.graph.hetero import to_hetero  # noqa: PLC0415 - torch loads for seconds, and few readers need it

        return to_hetero(self, embedding)

    def nodes(self, kind: str) -> Nodes:
        """The nodes of one of `KINDS`."""
        return Nodes(self.texts(kind, "id"), self.texts(kind, "name"))

    def texts(self, kind: str, name: str) -> Texts:
        """A column of texts of one kind's nodes; blank where the snapshot has none."""
        if f"{kind}.{name}.ends.npy" not in self.manifest["files"]:
            return Texts.blank(self.counts[kind])
        return Texts(self._column(f"{kind}.{name}.utf8"), self._column(f"{kind}.{name}.ends"))

    def _table(self, name: str, kind: type[Table]) -> Table:
        return kind(*(self._column(f"{name}.{column.name}") for column in fields(kind)))  # type: ignore[arg-type]

    def _column(self, name: str) -> npt.NDArray[Any]:
        path = self.path / f"{name}.npy"
        if name in UNKNOWN and path.name not in self.manifest["files"]:
            return np.broadcast_to(UNKNOWN[name], (self.counts[name.partition(".")[0]],))
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
        raise SnapshotError(f"{path / MANIFEST} is damaged: {error} is missing", cure=DAMAGED) from None
    if layout != LAYOUT:
        raise SnapshotError(f"{path} has layout {layout}, but this version of cikg reads layout {LAYOUT}", cure=DAMAGED)
    if _content_hash(manifest) != snapshot.hash:
        raise SnapshotError(f"{path / MANIFEST} is damaged: its hash does not match its content", cure=DAMAGED)
    for name, expected in files.items():
        file = path / name
        if not file.is_file() or file.stat().st_size != expected["bytes"]:
            raise SnapshotError(f"{file} is damaged: it should have {expected['bytes']} bytes", cure=DAMAGED)
        if verify and _digest(file) != expected["sha256"]:
            raise SnapshotError(f"{file} is damaged: its content was changed after it was written", cure=DAMAGED)
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


def take(graph: Graph, dataset: str, settings: Settings, progress: Progress = silent) -> Snapshot:
    """Export a dataset, or open its last snapshot where the dataset has not changed since.

    Args:
        graph: where from.
        dataset: its name.
        settings: say where snapshots are kept.
        progress: opens a progress bar: description and total in, `advance(n)` out.

    Raises:
        NotFoundError: there is no such dataset.
        ConflictError: its import is not complete.
    """
    folder = settings.snapshots / dataset
    reused = _unchanged(folder, dataset_properties(graph, dataset)["version"])
    if reused is not None:
        return reused
    with progress("exporting", None) as advance:
        exported = export(graph, dataset, advance)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone(folder):
        snapshot = write(folder, exported)
        _point(folder, snapshot, exported.properties["version"])
    return snapshot


def write(folder: Path, exported: Export) -> Snapshot:
    """Write a snapshot into `folder`, unless it is there and whole.

    Args:
        folder: holds a dataset's snapshots.
        exported: what to write.
    """
    columns = _columns(exported)
    manifest = _manifest(exported, {f"{name}.npy": _described(column) for name, column in columns.items()})
    path = folder / manifest["hash"][:16]
    if _whole(path) is None:
        with new_folder(path) as made:
            for name, column in columns.items():
                with (made / f"{name}.npy").open("wb") as file:  # to a path, NumPy would not say that the disk is full
                    np.save(SimpleNamespace(write=file.write), column, allow_pickle=False)
            (made / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return open_snapshot(path)


def _unchanged(folder: Path, version: int) -> Snapshot | None:
    """The last snapshot if it shows this version and is whole."""
    try:
        pointer = _read_json(folder / LATEST)
        if pointer.get("version") != version:
            return None
        found = open_snapshot(folder / str(pointer.get("folder")))
    except (NotFoundError, SnapshotError):
        return None
    if _seal(found.path) != pointer.get("seal"):
        if _whole(found.path) is None:
            return None
        with alone(folder):
            _point(folder, found, version)
    return replace(found, reused=True)


def _point(folder: Path, snapshot: Snapshot, version: int) -> None:
    """Note which snapshot shows the dataset as it is now."""
    pointer = {"folder": snapshot.path.name, "version": version, "seal": _seal(snapshot.path)}
    write_file(folder / LATEST, json.dumps(pointer).encode())


def _seal(path: Path) -> str:
    """A digest of what the file system says about each file: while it stays, nothing was written to any of them.

    So a snapshot that was whole once need not be read as a whole every time it is used.
    """
    stats = {file.name: file.stat() for file in path.iterdir()}
    listing = [(name, stats[name].st_size, stats[name].st_mtime_ns, stats[name].st_ino) for name in sorted(stats)]
    return hashlib.sha256(repr(listing).encode()).hexdigest()


def _whole(path: Path) -> Snapshot | None:
    try:
        return open_snapshot(path, verify=True)
    except (NotFoundError, SnapshotError):
        return None


def _columns(exported: Export) -> dict[str, npt.NDArray[Any]]:
    """All columns by name, those of texts as numbers."""
    columns = dict(exported.columns)
    for name, texts in exported.texts.items():
        packed = Texts.pack(texts)
        columns |= {f"{name}.utf8": packed.content, f"{name}.ends": packed.ends}
    return columns


def _manifest(exported: Export, files: dict[str, Any]) -> dict[str, Any]:
    counts = {kind: len(exported.texts[f"{kind}.id"]) for kind in KINDS}
    for name, table in TABLES.items():
        counts[name] = len(exported.columns[f"{name}.{fields(table)[0].name}"])
    embeddings: dict[str, list[str]] = {}
    for _, kind, embedding in (name.split(".") for name in sorted(exported.columns) if name.startswith("embeddings.")):
        embeddings.setdefault(kind, []).append(embedding)
    described = {
        "layout": LAYOUT,
        "dataset": exported.properties["uid"],
        "field": exported.properties["field"],
        "interests": exported.properties["interests"],
        "split": {key: exported.properties[key] for key in SPLIT_KEYS if key in exported.properties},
        "relations": exported.relations,
        "leaks": exported.leaks,
        "embeddings": embeddings,
        "counts": counts,
        "files": files,
    }
    return described | {"hash": _content_hash(described)}


class _Sink:
    """Takes what is written to a file, and keeps its digest and length alone."""

    def __init__(self) -> None:
        self.digest, self.bytes = hashlib.sha256(), 0

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        self.bytes += len(content)
        return len(content)


def _described(column: npt.NDArray[Any]) -> dict[str, Any]:
    """Size and SHA-256 of the file that a column becomes."""
    sink = _Sink()
    np.save(sink, column, allow_pickle=False)
    return {"bytes": sink.bytes, "sha256": sink.digest.hexdigest()}


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _content_hash(manifest: dict[str, Any]) -> str:
    """SHA-256 over all that a snapshot says, files by their own hashes; not over the name of the dataset."""
    content = {key: value for key, value in manifest.items() if key not in ("hash", "dataset")}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SnapshotError(f"{path} is missing", cure=DAMAGED) from None
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{path} is damaged: {error}", cure=DAMAGED) from None
    if not isinstance(content, dict):
        raise SnapshotError(f"{path} is damaged: it is not a JSON object", cure=DAMAGED)
    return content

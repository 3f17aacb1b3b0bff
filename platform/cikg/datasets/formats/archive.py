"""What `cikg dataset export` wrote: the same dataset again, its splits, its field and what was added as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from cikg.datasets.archive import DATA, LAYOUT, MANIFEST, WHOLE, table_frame
from cikg.datasets.knowledge import check_edge, check_node
from cikg.datasets.reading.source import Source
from cikg.datasets.records import (
    Entity,
    Fact,
    Format,
    HasInterest,
    Interaction,
    Interest,
    Item,
    KnowledgeEdge,
    KnowledgeNode,
    Record,
    User,
)
from cikg.errors import InputError
from cikg.schema import SPLIT_KEYS, Split

EXPECTED = "Give the path of a folder that `cikg dataset export` made"
AGAIN = "Export the dataset again"


def read(source: Source) -> Iterator[Record]:
    """Yield the records of an archive.

    Raises:
        InputError: it is no archive, or a table is not as it was exported.
    """
    folder = source.path
    manifest = _manifest(folder)
    source.field = manifest.dataset.get("field")
    source.split = {key: manifest.dataset.get(key) for key in SPLIT_KEYS}
    described = {name: table.model_dump() for name, table in manifest.tables.items()}
    frames = {table.name: table_frame(folder, described[table.name], table.schema) for table in (*DATA, *WHOLE)}
    for name, make in _RECORDS.items():
        file = folder / manifest.tables[name].file
        for number, row in enumerate(frames.pop(name).iter_rows(), start=1):
            source.row(file, number, ", ".join(map(str, row)))
            try:
                record = make(*row)
            except (ValueError, RecursionError) as error:
                raise InputError(f"row {number} cannot come from an export: {error}", file, cure=AGAIN) from None
            yield record


def _item(identifier: str, name: str, text: str | None) -> Item:
    return Item(identifier, name, text or "")


def _interaction(user: str, item: str, split: str, rating: float | None, at: int | None) -> Interaction:
    return Interaction(user, item, Split(split), rating, at)


def _node(label: str, key: str, properties: str) -> KnowledgeNode:
    check_node(label, key, properties)
    return KnowledgeNode(label, key, properties)


def _edge(*row: str) -> KnowledgeEdge:
    edge = KnowledgeEdge(*row)
    check_edge(edge.type, edge.source_label, edge.target_label, edge.properties)
    return edge


_RECORDS: dict[str, Callable[..., Record]] = {
    "users": User,
    "items": _item,
    "entities": Entity,
    "interests": Interest,
    "interactions": _interaction,
    "facts": Fact,
    "user_interests": HasInterest,
    "graph/nodes": _node,
    "graph/edges": _edge,
}
"""What the rows of each table are, nodes before edges."""


class _Table(BaseModel):
    """A table in the manifest."""

    file: Annotated[str, Field(pattern=r"^[^./\\][^/\\]*(/[^./\\][^/\\]*)*$")]  # below this folder, and nowhere else
    rows: int
    bytes: int
    sha256: str


class _Manifest(BaseModel):
    """What of a manifest an import needs."""

    layout: Literal[2] = LAYOUT
    dataset: dict[str, Any]
    tables: dict[str, _Table]


def _manifest(folder: Path) -> _Manifest:
    path = folder / MANIFEST
    try:
        manifest = _Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{folder} has no {MANIFEST}", cure=EXPECTED) from None
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror}", path, cure=EXPECTED) from None
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "JSON"
        raise InputError(
            f"it is damaged, or comes from another version of cikg: {where} is wrong", path, cure=AGAIN
        ) from None
    missing = [table.name for table in (*DATA, *WHOLE) if table.name not in manifest.tables]
    if missing:
        raise InputError(f"it is damaged: it lacks {', '.join(missing)}", path, cure=AGAIN)
    return manifest


FORMAT = Format(
    name="archive",
    help="A folder written by `cikg dataset export`.",
    read=read,
)

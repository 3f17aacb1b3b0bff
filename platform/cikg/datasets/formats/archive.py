"""What `cikg dataset export` wrote: the same dataset again, its splits and its field as they were."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cikg.datasets.archive import DATA, LAYOUT, MANIFEST, table_frame
from cikg.datasets.overview import SPLIT_KEYS
from cikg.datasets.records import Entity, Fact, Format, HasInterest, Interaction, Interest, Item, Record, User
from cikg.datasets.source import Source
from cikg.errors import InputError
from cikg.schema import Split

EXPECTED = "Name a folder that `cikg dataset export` made"


def read(source: Source) -> Iterator[Record]:
    """Yield the records of an archive.

    Raises:
        InputError: it is no archive, or a table is not as it was exported.
    """
    folder = source.path
    manifest = _manifest(folder)
    dataset = manifest["dataset"]
    source.field = dataset["field"]
    source.split = {key: dataset.get(key) for key in SPLIT_KEYS}
    frames = {table.name: table_frame(folder, manifest["tables"][table.name], table.schema) for table in DATA}
    for name, make in _RECORDS.items():
        file = folder / manifest["tables"][name]["file"]
        for number, row in enumerate(frames.pop(name).iter_rows(), start=1):
            source.row(file, number, ", ".join(map(str, row)))
            yield make(*row)


def _item(identifier: str, name: str, text: str | None) -> Item:
    return Item(identifier, name, text or "")


def _interaction(user: str, item: str, split: str, rating: float | None, at: int | None) -> Interaction:
    return Interaction(user, item, Split(split), rating, at)


_RECORDS: dict[str, Callable[..., Record]] = {
    "users": User,
    "items": _item,
    "entities": Entity,
    "interests": Interest,
    "interactions": _interaction,
    "facts": Fact,
    "user_interests": HasInterest,
}
"""What the rows of each table are, nodes before edges."""


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        layout = manifest["layout"]
    except FileNotFoundError:
        raise InputError(f"{folder} has no {MANIFEST}", cure=EXPECTED) from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"it is damaged: {error}", folder / MANIFEST, cure=EXPECTED) from None
    if layout != LAYOUT:
        raise InputError(f"it has layout {layout}, where this version of cikg reads {LAYOUT}", folder / MANIFEST)
    return manifest


FORMAT = Format(
    name="archive",
    help="A folder that `cikg dataset export` made.",
    read=read,
)

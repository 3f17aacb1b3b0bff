"""The CoLaKG reader: original ids by the maps, and what it rejects and refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cikg.datasets.formats.colakg import FORMAT, read
from cikg.datasets.reading.source import Source
from cikg.datasets.records import Interaction, Item, User
from cikg.datasets.tables import collect
from cikg.errors import InputError
from cikg.schema import Split

FILES = {
    "train.txt": "0 0 2\n1 1\n",
    "test.txt": "0 1\n",
    "user_map.txt": "20 0\n3 1\n",
    "item_map.txt": "51 0\n1 1\n70 2\n",
}
LASTFM = Path(__file__).parents[5] / "shared" / "data" / "colakg" / "lastfm"


def write(folder: Path, **changes: str | None) -> Path:
    """Write the folder, with some files changed (`train="…"`) or left out (`item_map=None`)."""
    for name, content in FILES.items():
        changed = changes.get(name.removesuffix(".txt"), content)
        if changed is not None:
            (folder / name).write_text(changed)
    return folder


def test_numbers_become_the_original_ids(tmp_path: Path) -> None:
    source = Source(write(tmp_path))
    assert list(read(source)) == [
        User("20"),
        User("3"),
        Item("51", name="51"),
        Item("1", name="1"),
        Item("70", name="70"),
        Interaction("20", "51", Split.TRAIN),
        Interaction("20", "70", Split.TRAIN),
        Interaction("3", "1", Split.TRAIN),
        Interaction("20", "1", Split.TEST),
    ]
    assert (source.rows, source.rejected) == (8, [])


def test_without_maps_the_numbers_are_the_ids(tmp_path: Path) -> None:
    found = list(read(Source(write(tmp_path, user_map=None, item_map=None))))
    assert [record.id for record in found if isinstance(record, User | Item)] == ["0", "1", "0", "1", "2"]
    assert found[-1] == Interaction("0", "1", Split.TEST)


def test_rows_that_cannot_be_used(tmp_path: Path) -> None:
    changes = {"train": "0 0 9\n7 1\n1 x\n", "test": "0 0 1\n", "item_map": "51 0\n1 1\n70 two\n"}
    source = Source(write(tmp_path, **changes))
    found = [record for record in read(source) if isinstance(record, Interaction)]
    assert found == [Interaction("20", "51", Split.TRAIN), Interaction("20", "1", Split.TEST)]
    assert [(each.file.name, each.line, each.reason) for each in source.rejected] == [
        ("item_map.txt", 3, "expected `org_id remap_id` and optionally a name, found '70 two'"),
        ("train.txt", 1, "item 9 is not in item_map.txt"),
        ("train.txt", 2, "user 7 is not in user_map.txt"),
        ("train.txt", 3, "expected a user's number and those of the items, found 'x', which is not a whole number"),
        ("test.txt", 1, "item 0 of user 0 is also in train.txt"),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": None}, r"test\.txt is missing"),
        ({"user_map": "20 0\n20 1\n"}, r"user_map\.txt:2: the id '20' is already in line 1"),
        ({"item_map": "51 0\n1 0\n"}, r"item_map\.txt:2: the number 0 is already taken by '51'"),
    ],
)
def test_folders_that_are_refused(tmp_path: Path, changes: dict[str, str | None], message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(read(Source(write(tmp_path, **changes))))
    with pytest.raises(InputError, match="is not a folder"):
        list(read(Source(tmp_path / "train.txt")))


@pytest.mark.skipif(not LASTFM.is_dir(), reason=f"the published data is not at {LASTFM}; it may not be redistributed")
def test_lastfm() -> None:
    source = Source(LASTFM)
    found = collect(FORMAT.read(source), source)
    assert (len(found.users), len(found.items), source.rejections) == (1_859, 2_813, 0)
    assert np.bincount(found.interactions.split).tolist() == [57_786, 0, 13_508]
    assert {"51", "14692"} <= {item.id for item in found.items}
    assert {"2", "2100"} <= {user.id for user in found.users}

"""Removing the files of a dataset."""

from __future__ import annotations

from pathlib import Path

import pytest

from cikg.datasets.drop import remove
from cikg.errors import InputError


def test_a_folder_that_stays_is_named_and_the_others_go(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("first", "linked", "last")]
    for path in (paths[0], tmp_path / "elsewhere", paths[2]):
        path.mkdir()
        (path / "file").touch()
    paths[1].symlink_to(tmp_path / "elsewhere")  # a link is what root cannot remove as a folder either
    with pytest.raises(InputError, match=rf"^{paths[1]} cannot be removed: .+ repeat the command$"):
        remove(paths)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "linked"]

"""What is written is whole, and a full disk is a sentence."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import polars as pl
import pytest

from cikg.errors import ServiceError
from cikg.files import disk

FULL = (
    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
    OSError("No space left on device (os error 28)"),
    pl.exceptions.ComputeError("underlying IO error: No space left on device (os error 28)"),
)
"""As Python says it, and as Polars does that writes CSV or Parquet."""


@pytest.mark.parametrize("error", FULL, ids=repr)
def test_a_full_disk_is_a_sentence_whoever_says_it(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(ServiceError, match=f"the disk that holds {tmp_path} is full. Make room"), disk(tmp_path):
        raise error


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), disk(tmp_path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

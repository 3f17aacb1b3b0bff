"""A database made beside the embedded Neo4j's own, and the step that puts it in place.

Nothing is exchanged unless the process that asked for it is alive, and so holds the old database still (see
`cikg.datasets.bulk`). It owns its folder `bulk/new-…` by a lock that the system frees when it ends, renames the folder
to `bulk/offered` and kills the server. The next start of the server finds the offer: if its owner is alive, it becomes
`bulk/accepted`, and from then on every start completes the exchange; else it is thrown away.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cikg.files import alone

DATABASE = "neo4j"
_PARTS = ("databases", "transactions")


@contextmanager
def new_home(home: Path) -> Iterator[Path]:
    """Yield an empty folder to make a database in, laid out like the server's own home; removed after the block.

    Args:
        home: the folder of the embedded Neo4j.
    """
    bulk = home / "bulk"
    bulk.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone(bulk):
        _remove_ownerless(bulk)
        made = Path(tempfile.mkdtemp(prefix="new-", dir=bulk))
        owner = os.open(made, os.O_RDONLY)
        fcntl.flock(owner, fcntl.LOCK_EX)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(owner)


def offer(home: Path, made: Path) -> None:
    """Have the next start of the server exchange its database for the one in `made`, if its owner is alive then."""
    os.sync()
    shutil.rmtree(home / "bulk" / "offered", ignore_errors=True)
    made.rename(home / "bulk" / "offered")


def settle(home: Path) -> None:
    """Put in place what was offered or accepted, and remove what is abandoned. The server must not run."""
    bulk = home / "bulk"
    if not bulk.is_dir():
        return
    offered, accepted = bulk / "offered", bulk / "accepted"
    if offered.is_dir() and _has_owner(offered) and not accepted.exists():
        offered.rename(accepted)
    if accepted.is_dir():
        for part in _PARTS:
            new, old = accepted / "data" / part / DATABASE, home / "data" / part / DATABASE
            if new.is_dir():  # else an earlier start got this far
                shutil.rmtree(old, ignore_errors=True)
                new.rename(old)
        os.sync()
        shutil.rmtree(accepted)
    _remove_ownerless(bulk)


def _remove_ownerless(bulk: Path) -> None:
    for folder in [*bulk.glob("new-*"), *bulk.glob("offered")]:
        if not _has_owner(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _has_owner(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False

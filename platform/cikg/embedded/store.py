"""Rebuilds the embedded Neo4j's database from files, with the importer that comes in the same jars.

    python -m cikg.embedded.store HOME ARGUMENT …

runs `neo4j-admin database import full` on a home of its own, in a process that ends with its parent.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cikg.embedded import guard, java, neo4j, staging, supervisor
from cikg.errors import ServiceError
from cikg.settings import Settings, load_settings

STEPS = 80
"""The importer tells its progress in four stages of twenty steps."""

_STEP = re.compile(r"\d+% ∆")
_FILES = "files"


class EmbeddedStore:
    """The database of this home's embedded Neo4j, as `cikg.datasets.bulk` replaces it.

    Args:
        settings: as `load_settings()` reads them while the server runs.
    """

    steps = STEPS

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._home = neo4j.directory(settings)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Yield an empty folder for the importer's files; it and what is built from it is removed after the block."""
        with staging.new_home(self._home) as made:
            files = made / _FILES
            files.mkdir()
            yield files

    def build(self, files: Path, arguments: Sequence[str], advance: Callable[[int], None]) -> None:
        """Make a database from files.

        Args:
            files: the folder that `folder` gave.
            arguments: of `neo4j-admin database import full`, with names of files in that folder.
            advance: called with the number of `steps` done since.

        Raises:
            ServiceError: the importer refuses.
        """
        log = self._settings.logs / "neo4j-import.log"
        command = [sys.executable, "-m", "cikg.embedded.store", str(files.parent.absolute()), *arguments]
        with (
            log.open("w", encoding="utf-8") as kept,
            subprocess.Popen(  # noqa: S603 — ourselves
                command,
                cwd=files,
                env=supervisor.environment(self._settings) | {guard.PARENT: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as importer,
        ):
            try:
                for line in importer.stdout or ():
                    kept.write(line)
                    if _STEP.search(line):
                        advance(1)
            except BaseException:
                importer.terminate()
                raise
        if importer.returncode != 0:
            raise ServiceError(
                f"Neo4j's importer failed with exit code {importer.returncode}",
                cure=f"Look at {log}, or import with --no-bulk",
            )

    def put_in_place(self, files: Path) -> None:
        """Exchange the server's database for the one built: kill the server, and wait until it answers again.

        Raises:
            ServiceError: the server does not come back.
        """
        staging.offer(self._home, files.parent)
        supervisor.restart(self._settings, "neo4j")


def main() -> None:
    """Run the importer."""
    guard.die_with_parent(int(os.environ[guard.PARENT]))
    home, arguments = Path(sys.argv[1]), sys.argv[2:]
    configuration = home / "conf" / "neo4j.conf"
    configuration.parent.mkdir()
    configuration.write_text("db.tx_log.preallocate=false\n", encoding="utf-8")
    java.start(load_settings())
    sys.exit(neo4j.administer(home, ["database", "import", "full", staging.DATABASE, *arguments]))


if __name__ == "__main__":
    main()

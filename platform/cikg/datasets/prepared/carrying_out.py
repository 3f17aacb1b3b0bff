"""Carries out an import that was prepared: what its page and the API show of it is written down as it goes."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from cikg.datasets.additions import add
from cikg.datasets.bulk import Bulk
from cikg.datasets.loader import TakenError, load
from cikg.datasets.prepared.intake import Intake, Intakes, Progress, Stage
from cikg.datasets.prepared.proposal import Reader, mapping_text
from cikg.datasets.report import ImportReport, TooManyRejectedError, percent
from cikg.errors import CikgError, ConflictError, JobError
from cikg.files import write_file
from cikg.graph import Graph, connect
from cikg.settings import Settings

_TOLD_SECONDS = 0.4
"""Seconds between two notes of how far an import is."""


class CancelledError(JobError):
    """Somebody cancelled the import."""


def carry_out(settings: Settings, identifier: str, bulk: Bulk | None = None) -> ImportReport:
    """Import what was prepared, and write down how it went.

    Doing it again goes on where it stopped; what was sent is removed once all of it is in the graph.

    Args:
        settings: of this process; they say where the graph is.
        identifier: the import's id.
        bulk: as in `load`.

    Raises:
        NotFoundError: there is no such import.
        ConflictError: it was not started, is over, another process carries it out, or the dataset's name is taken.
        CancelledError: somebody cancelled it.
        InputError: what was prepared cannot be imported.
        ServiceError: Neo4j does not answer.
    """
    home = settings.home.resolve()
    settings = settings.model_copy(update={"home": home})
    intakes = Intakes(settings)
    intake = intakes.open(identifier)
    with intake.held():
        if intake.request.queued_at is None or (intake.progress and intake.progress.state is not Stage.RUNNING):
            raise ConflictError(f"this import is {intake.stage}", cure="Start it on its page, or prepare another one")
        noted, reader = _Notes(intake), Reader(intakes, intake)
        try:
            noted.step("reading", 0, None)
            with connect(settings) as graph, contextlib.chdir(intake.files):  # reports name files as they were sent
                report = _load(graph, home, reader, noted, bulk)
        except KeyboardInterrupt:
            noted.end(Progress(state=Stage.CANCELLED, message="the import was cancelled"))
            raise
        except CancelledError as error:
            noted.end(Progress(state=Stage.CANCELLED, message=error.message, cure=error.cure))
            raise
        except CikgError as error:
            noted.end(_failed(reader, error))
            raise
        told = report.as_dict()
        noted.end(Progress(state=Stage.DONE, report=told, rejected_file=told["rejected_file"]))
        intake.forget_files()
    return report


def _load(graph: Graph, home: Path, reader: Reader, noted: _Notes, bulk: Bulk | None) -> ImportReport:
    kind, path, mapping = reader.plan()
    if mapping is not None and path is None:
        path = write_file(reader.mapping_file, mapping_text(mapping).encode())
    if path is not None and reader.request.path is None:
        path = Path(os.path.relpath(path))
    dataset, chosen = reader.request.dataset, reader.request.choices
    named = partial(
        add if chosen.add else load,
        graph,
        kind.name,
        path,
        dataset,
        home=home,
        source=reader.label() if path is not None else None,
        progress=noted.progress,
    )
    if chosen.add:
        return named(min_rating=chosen.min_rating, max_rejected=chosen.max_rejected)
    return named(rules=chosen.rules(), bulk=bulk)


class _Notes:
    """How far an import is, written down every now and then."""

    def __init__(self, intake: Intake) -> None:
        self._intake, self._next = intake, 0.0

    @contextmanager
    def progress(self, step: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """See `cikg.progress.Progress`."""
        done = 0
        self.step(step, done, total)

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if time.monotonic() >= self._next:
                self.step(step, done, total)

        yield advance

    def step(self, step: str, done: int, total: int | None) -> None:
        """Write down a step, and see whether anybody wants it to end.

        Raises:
            CancelledError: somebody does.
        """
        if self._intake.stopped:
            raise CancelledError("the import was cancelled", cure="Start it again to continue")
        self._next = time.monotonic() + _TOLD_SECONDS
        with contextlib.suppress(OSError):  # a full disk costs the note, not the import
            self._intake.tell(Progress(state=Stage.RUNNING, step=step, done=done, total=total))

    def end(self, progress: Progress) -> None:
        """Write down how it ended."""
        self._intake.tell(progress)


def _failed(reader: Reader, error: CikgError) -> Progress:
    """An error in the words of a page, which has no options of a command."""
    message, cure, file = error.message, error.cure, None
    if isinstance(error, TakenError):
        cure = "Choose another name for the dataset, or add to it what is new; what it holds stays as it is"
    if isinstance(error, TooManyRejectedError):
        first, file = error.first, str(error.file) if error.file else None
        where = f"{first.file}:{first.line}" if first.line else f"{first.file}"
        message = (
            f"{error.count:,} of {error.of} rows ({percent(error.share)}) cannot be used, and {percent(error.allowed)} "
            f"may be left out. The first is {where}: {first.reason}"
        )
        cure = "Correct what the columns mean or the files themselves, or allow more rows to be left out"
    cure = cure and reader.plain(cure)
    return Progress(state=Stage.FAILED, message=reader.plain(message), cure=cure, rejected_file=file)

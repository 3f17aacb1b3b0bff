"""Imports what a language model said outside the platform. `profiles` and `interests` say what it becomes.

Everything is read and checked before anything is written, and a repeated import changes nothing. Imported answers have
no evidence: their author may have seen interactions that are in valid or test here. What they become is marked as
imported, and the report says so.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from cikg.datasets.reading.numbered import Listing, is_number, listing
from cikg.datasets.reading.source import ADVANCE, Source
from cikg.datasets.report import MAX_REJECTED, Reason, Rejections, file_name
from cikg.errors import ConflictError, InputError
from cikg.graph import Graph
from cikg.graph.datasets import check
from cikg.graph.migrations import migrate
from cikg.progress import Progress, silent
from cikg.schema import uid

KIND = "import-answers"
"""The kind of an import's run, and the job in a profile's id."""


class Options(TypedDict, total=False):
    """How answers are imported.

    Attributes:
        model: who answered.
        numbers: a list of `org_id remap_id`, where the file names users or items by number. Of a file as the authors of
            CoLaKG or CIKGRec publish it, for a dataset of their format, the list beside it is taken.
        max_rejected: the largest share of rows, from 0 to 1, that may be left out because they cannot be used.
        home: lists of rejected rows are written below it; None for none.
        progress: opens progress bars.
    """

    model: str
    numbers: Path | None
    max_rejected: float
    home: Path | None
    progress: Progress


@dataclass(frozen=True)
class AnswersReport:
    """What an import of answers found and did.

    Attributes:
        dataset, about, model, source: what was imported into what; `source` is the file.
        numbers: the map that the file's numbers were looked up in; None where it has the dataset's own ids.
        run: the uid of the import's run; None where there was nothing to write and never was.
        rows: answers read.
        rejected: how many of them were left out because they could not be used.
        reasons: why, the most frequent first.
        rejected_file: the CSV file that lists them all; None where there are none.
        written: profiles, or edges from users to interests, written now.
        standing: those that stood already.
        remark: what to know about results that use these answers.
        seconds: wall time.
    """

    dataset: str
    about: str
    model: str
    source: str
    numbers: str | None
    run: str | None
    rows: int
    rejected: int
    reasons: list[Reason]
    rejected_file: str | None
    written: int
    standing: int
    remark: str
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return asdict(self) | {"accepted": self.written + self.standing, "unchanged": not self.written}

    def as_json(self) -> str:
        """What of the report the import's run remembers."""
        kept = ("rows", "accepted", "rejected", "reasons", "rejected_file", "written", "standing", "remark")
        found = self.as_dict()
        return json.dumps({name: found[name] for name in kept})

    def run_properties(self, total: int, name: str) -> dict[str, Any]:
        """What the import's run says of itself.

        Args:
            total: how much it is about.
            name: what it is called.
        """
        parameters = {key: getattr(self, key) for key in ("about", "model", "source", "numbers")}
        identifier = (self.run or "").partition(":")[2]
        properties = {"dataset": self.dataset, "id": identifier, "kind": KIND, "name": name, "total": total}
        return properties | {"parameters": json.dumps(parameters, sort_keys=True)}


class Answers(ABC):
    """What the answers of a file become in a dataset.

    Attributes:
        about: `user` or `item`.
        remark: what to know about results that use them.
        run_id: names what was read; known once it was.
        written, standing: how much of it is new, and how much stands already; known once it was read.
    """

    about: str
    remark: str
    run_id: str
    written: int
    standing: int

    def __init__(self, graph: Graph, dataset: str, model: str) -> None:
        self.graph, self.dataset, self.model = graph, dataset, model

    @abstractmethod
    def list_beside(self, file: Path, format: str | None) -> Path | None:  # noqa: A002 - a dataset's format
        """The list of numbers beside a file as the authors of a dataset's format publish it; None for other files."""

    @abstractmethod
    def read(self, source: Source, numbers: NumberMap | None) -> None:
        """Read all rows, and reject those that cannot be used."""

    @abstractmethod
    def write(self, report: AnswersReport, progress: Progress) -> None:
        """Write what is new.

        Raises:
            ConflictError: the dataset was changed in the meantime.
        """


def load(answers: Answers, file: Path, **options: Unpack[Options]) -> AnswersReport:
    """Import a file of answers.

    Raises:
        InputError: the file is wrong in some way; nothing was written.
        NotFoundError: there is no such dataset.
        ConflictError: it is not whole, or was changed in the meantime.
    """
    started = time.perf_counter()
    graph, dataset = answers.graph, answers.dataset
    home, progress = options.get("home"), options.get("progress", silent)
    described = check(graph, dataset)
    if described.get("state") != "ready":
        raise unready(dataset)
    numbers = options.get("numbers") or answers.list_beside(file, described.get("format"))
    migrate(graph)
    share = options.get("max_rejected", MAX_REJECTED)
    with Rejections(home / "imports" / dataset if home is not None else None, share) as rejections:
        with progress("reading", None) as advance:
            source = Source(file, advance, rejections.add)
            answers.read(source, number_map(numbers))
            advance(source.rows % ADVANCE)
        if not source.rows:
            raise InputError("it holds no answers", file)
        rejections.check(source.rows)
        rejected_file = rejections.keep(f"{answers.run_id}.csv")
    run = uid(dataset, answers.run_id)
    report = AnswersReport(
        dataset=dataset,
        about=answers.about,
        model=answers.model,
        source=file_name(file.resolve()),
        numbers=file_name(numbers.resolve()) if numbers else None,
        run=run if answers.written or graph.many("run_exists", run=run) else None,
        rows=source.rows,
        rejected=rejections.count,
        reasons=rejections.reasons,
        rejected_file=file_name(rejected_file) if rejected_file else None,
        written=answers.written,
        standing=answers.standing,
        remark=answers.remark,
    )
    answers.write(report, progress)
    return replace(report, seconds=round(time.perf_counter() - started, 3))


def unready(dataset: str) -> ConflictError:
    """The error where a dataset is being changed, or its import was interrupted."""
    return ConflictError(
        f"the dataset {dataset!r} is being changed, or its import was interrupted",
        cure="Wait for the change to end, or complete the import, then repeat this command",
    )


@dataclass(frozen=True)
class NumberMap:
    """A list of numbers, and its file's name for reasons."""

    name: str
    rows: Listing

    def original(self, number: str) -> str | None:
        """The id behind a number; None where it is none, or in no row."""
        row = self.rows.get(int(number)) if is_number(number) else None
        return row.original if row else None


def number_map(file: Path | None) -> NumberMap | None:
    """Read a list of numbers, all of whose rows have to be usable.

    Raises:
        InputError: it cannot be read, or contradicts itself.
    """
    if file is None:
        return None
    source = Source(file)
    rows = listing(source, file.name)
    if rows is None:
        raise InputError(f"{file} does not exist", cure="Give the path of the list of ids and numbers")
    if source.rejected:
        first = source.rejected[0]
        raise InputError(first.reason, first.file, first.line)
    return NumberMap(file.name, rows)

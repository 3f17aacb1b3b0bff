"""Imports what a language model said elsewhere about users or items: one answer, one profile.

Everything is read and checked before anything is written. An answer whose profile stands already is left alone, so that
a repeated import changes nothing and an interrupted one goes on. Imported answers name no evidence: whoever made them
may have seen interactions that are valid or test here. Profiles and edges are marked so, and the report says it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cikg.datasets.answers import files as answer_files
from cikg.datasets.answers.files import Answer
from cikg.datasets.formats import colakg
from cikg.datasets.reading.numbered import Listing, is_number, listing
from cikg.datasets.reading.source import ADVANCE, Source
from cikg.datasets.reading.values import bare_name
from cikg.datasets.report import MAX_REJECTED, Reason, Rejections, file_name
from cikg.errors import ConflictError, InputError
from cikg.graph import Graph
from cikg.graph.datasets import properties
from cikg.graph.migrations import migrate
from cikg.llm.completions import digest
from cikg.progress import Progress, silent
from cikg.schema import Label, uid

KIND = "import-answers"
"""The kind of an import's run, and the job in a profile's id."""

BATCH = 500
"""Answers a transaction: some hundred kilobytes of text."""

ABOUT = {"user": Label.USER, "item": Label.ITEM}
"""What answers can be about, as a person says it."""

NO_EVIDENCE = (
    "Imported answers name no evidence: whoever made them may have known interactions that are valid or test here, so "
    "results of models that read these profiles may be too good."
)


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
        written: profiles written now.
        standing: profiles that stood already.
        seconds: wall time.
        remark: what to know about results that use these answers.
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
    seconds: float = 0.0
    remark: str = NO_EVIDENCE

    def as_dict(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return asdict(self) | {"accepted": self.written + self.standing, "unchanged": not self.written}

    def as_json(self) -> str:
        """What of the report the import's run remembers."""
        kept = ("rows", "accepted", "rejected", "reasons", "rejected_file", "written", "standing", "remark")
        found = self.as_dict()
        return json.dumps({name: found[name] for name in kept})


def load(
    graph: Graph,
    file: Path,
    dataset: str,
    about: str,
    *,
    model: str = "unknown",
    numbers: Path | None = None,
    max_rejected: float = MAX_REJECTED,
    home: Path | None = None,
    progress: Progress = silent,
) -> AnswersReport:
    """Import answers, each as the profile of a user or an item.

    Args:
        graph: where to.
        file: the answers, as `answer_files.read` takes them.
        dataset: the dataset that they are about.
        about: `user` or `item`.
        model: who answered.
        numbers: a list of `org_id remap_id`, where the file names users or items by number. Of a file as CoLaKG's
            authors publish it, for a dataset of that format, the map beside it is taken.
        max_rejected: the largest share of answers, from 0 to 1, that may be left out because they cannot be used.
        home: lists of rejected answers are written below it; None for none.
        progress: opens progress bars.

    Raises:
        InputError: the file is wrong in some way; nothing was written.
        NotFoundError: there is no such dataset.
        ConflictError: it is not whole, or was changed in the meantime.
    """
    started = time.perf_counter()
    described = ready_dataset(graph, dataset)
    label = ABOUT[about]
    if numbers is None and described.get("format") == colakg.FORMAT.name:
        numbers = _map_beside(file, label)
    migrate(graph)
    with Rejections(home / "imports" / dataset if home is not None else None, max_rejected) as rejections:
        with progress("reading", None) as advance:
            job = _Import(graph, dataset, label, model, Source(file, advance, rejections.add))
            job.read(number_map(numbers))
            advance(job.source.rows % ADVANCE)
        if not job.source.rows:
            raise InputError("it holds no answers", file)
        rejections.check(job.source.rows)
        rejected_file = rejections.keep(f"{job.run_id}.csv")
    report = AnswersReport(
        dataset=dataset,
        about=about,
        model=model,
        source=file_name(file.resolve()),
        numbers=file_name(numbers.resolve()) if numbers else None,
        run=job.uid if job.missing or graph.many("run_exists", run=job.uid) else None,
        rows=job.source.rows,
        rejected=rejections.count,
        reasons=rejections.reasons,
        rejected_file=file_name(rejected_file) if rejected_file else None,
        written=len(job.missing),
        standing=len(job.answers) - len(job.missing),
    )
    job.write(report, progress)
    return replace(report, seconds=round(time.perf_counter() - started, 3))


def ready_dataset(graph: Graph, dataset: str) -> dict[str, Any]:
    """The properties of a dataset that answers can be imported into.

    Raises:
        NotFoundError: there is none.
        ConflictError: it is not whole.
    """
    described = properties(graph, dataset)
    if described.get("state") != "ready":
        raise unready(dataset)
    return described


def unready(dataset: str) -> ConflictError:
    """The error where a dataset is being changed, or its import was interrupted."""
    return ConflictError(f"the dataset {dataset!r} is not whole", cure="Complete its import, then repeat this one")


def _map_beside(file: Path, label: Label) -> Path | None:
    """The map of numbers beside answers as CoLaKG's authors publish them; None for other files."""
    published = bare_name(file) == colakg.ANSWERS[label]
    return Source(file.parent).optional(colakg.MAPS[label]) if published else None


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
        raise InputError(f"{file} does not exist", cure="Name the list of ids and numbers")
    if source.rejected:
        first = source.rejected[0]
        raise InputError(first.reason, first.file, first.line)
    return NumberMap(file.name, rows)


class _Import:
    """One import of answers into one dataset.

    Attributes:
        answers: those that can be used, sorted by id, as rows of `write_answers`.
        missing: those of them that do not stand yet.
    """

    def __init__(self, graph: Graph, dataset: str, label: Label, model: str, source: Source) -> None:
        self.graph, self.dataset, self.label, self.model, self.source = graph, dataset, label, model, source
        self.answers: list[dict[str, Any]] = []
        self.missing: list[dict[str, Any]] = []

    @property
    def run_id(self) -> str:
        """The run's id: a digest of what is imported."""
        content = [self.label, self.model, [row["completion"] for row in self.answers]]
        return f"{KIND}-{digest(content)[:16]}"

    @property
    def uid(self) -> str:
        """The run's uid."""
        return uid(self.dataset, self.run_id)

    def read(self, numbers: NumberMap | None) -> None:
        """Read all answers, and find whom they are about and which of them stand already."""
        found = list(self._own_ids(answer_files.read(self.source), numbers))
        for start in range(0, len(found), BATCH):
            part = [(answer, self._row(answer)) for answer in found[start : start + BATCH]]
            asked = [{"id": answer.id, "profile": row["profile"]} for answer, row in part]
            known = self.graph.many("answered_nodes", dataset=self.dataset, label=self.label, rows=asked)
            standing = {each["id"]: each["completion"] for each in known}
            for answer, row in part:
                if answer.id not in standing:
                    self.source.place(self.source.path, answer.line, f"{answer.id}: {answer.text}")
                    self.source.reject(f"the dataset has no {self.label.lower()} {answer.id[:100]!r}")
                    continue
                self.answers.append(row)
                if standing[answer.id] != row["completion"]:
                    self.missing.append(row)
        for rows in (self.answers, self.missing):
            rows.sort(key=lambda row: str(row["target"]))

    def write(self, report: AnswersReport, progress: Progress) -> None:
        """Write what is missing.

        Raises:
            ConflictError: the dataset was changed in the meantime.
        """
        parameters = {name: getattr(report, name) for name in ("about", "model", "source", "numbers")}
        properties = {
            "dataset": self.dataset,
            "id": self.run_id,
            "kind": KIND,
            "name": f"{report.about} answers",
            "total": len(self.answers),
            "parameters": json.dumps(parameters, sort_keys=True),
        }
        if self.missing:
            self.graph.write("begin_answers", run=self.uid, properties=properties)
        with progress("importing", len(self.answers)) as advance:
            advance(report.standing)
            for start in range(0, len(self.missing), BATCH):
                rows = self.missing[start : start + BATCH]
                self._write(rows, report.source)
                advance(len(rows))
        self.graph.write("finish_answers", run=self.uid, report=report.as_json())

    def _write(self, rows: Sequence[dict[str, Any]], source: str) -> None:
        (done,) = self.graph.write(
            "write_answers",
            dataset=self.dataset,
            run=self.uid,
            label=self.label,
            model=self.model,
            source=source,
            rows=rows,
        )
        if done["written"] != len(rows):
            raise unready(self.dataset)

    def _own_ids(self, answers: Iterator[Answer], numbers: NumberMap | None) -> Iterator[Answer]:
        """The answers by the dataset's own ids, the first about each."""
        first: dict[str, int] = {}
        for answer in answers:
            own = numbers.original(answer.id) if numbers else answer.id
            if own is None:
                self.source.reject(f"{answer.id[:100]!r} is no number in {numbers and numbers.name}")
            elif own in first:
                self.source.reject(f"{answer.id[:100]!r} has an answer already, in line {first[own]}")
            else:
                first[own] = answer.line
                yield Answer(answer.line, own, answer.text)

    def _row(self, answer: Answer) -> dict[str, Any]:
        completion = digest([KIND, self.model, self.label, answer.id, answer.text])
        profile = f"{KIND}/{self.label}/{answer.id}"
        return {
            "target": uid(self.dataset, answer.id),
            "completion": uid(self.dataset, completion),
            "completion_id": completion,
            "profile": uid(self.dataset, profile),
            "profile_id": profile,
            "text": answer.text,
        }

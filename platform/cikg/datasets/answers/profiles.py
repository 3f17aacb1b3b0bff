"""Imports answers about users or items as their profiles, one profile per answer.

An answer whose profile exists already is left alone, so that an interrupted import continues.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Unpack

from typing_extensions import override

from cikg.datasets.answers import files, importing
from cikg.datasets.answers.files import Answer
from cikg.datasets.answers.importing import KIND, Answers, AnswersReport, NumberMap, Options, unready
from cikg.datasets.formats import colakg
from cikg.datasets.reading.source import Source
from cikg.datasets.reading.values import bare_name
from cikg.digests import digest
from cikg.graph import Graph
from cikg.progress import Progress
from cikg.schema import Label, uid

BATCH = 500
"""Answers a transaction: some hundred kilobytes of text."""

ABOUT = {"user": Label.USER, "item": Label.ITEM}
"""What answers can be about, as a person says it."""


def load(graph: Graph, file: Path, dataset: str, about: str, **options: Unpack[Options]) -> AnswersReport:
    """Import answers, each as the profile of a user or an item.

    Args:
        graph: where to.
        file: the answers, as `files.read` takes them.
        dataset: the dataset that they are about.
        about: `user` or `item`.
        **options: see `Options`.

    Raises:
        InputError: the file is wrong in some way; nothing was written.
        NotFoundError: there is no such dataset.
        ConflictError: it is not whole, or was changed in the meantime.
    """
    return importing.load(_Profiles(graph, dataset, options.get("model", "unknown"), about), file, **options)


class _Profiles(Answers):
    """Profiles of users or of items.

    Attributes:
        answers: those that can be used, sorted by id, as rows of `write_answers`.
        missing: those of them that do not stand yet.
    """

    remark = (
        "Imported answers have no evidence. Whoever made them may have seen interactions that are in valid or "
        "test here, so models that use these profiles may look better than they are."
    )

    def __init__(self, graph: Graph, dataset: str, model: str, about: str) -> None:
        super().__init__(graph, dataset, model)
        self.about, self.label = about, ABOUT[about]
        self.answers: list[dict[str, Any]] = []
        self.missing: list[dict[str, Any]] = []

    @override
    def list_beside(self, file: Path, format: str | None) -> Path | None:
        """See `Answers`."""
        published = format == colakg.FORMAT.name and bare_name(file) == colakg.ANSWERS[self.label]
        return Source(file.parent).optional(colakg.MAPS[self.label]) if published else None

    @override
    def read(self, source: Source, numbers: NumberMap | None) -> None:
        """Read all answers, and find whom they are about and which of them stand already."""
        found = list(_own_ids(source, numbers))
        for start in range(0, len(found), BATCH):
            part = [(answer, self._row(answer)) for answer in found[start : start + BATCH]]
            asked = [{"id": answer.id, "profile": row["profile"]} for answer, row in part]
            known = self.graph.many("answered_nodes", dataset=self.dataset, label=self.label, rows=asked)
            standing = {each["id"]: each["completion"] for each in known}
            for answer, row in part:
                if answer.id not in standing:
                    source.place(source.path, answer.line, f"{answer.id}: {answer.text}")
                    source.reject(f"the dataset has no {self.label.lower()} {answer.id[:100]!r}")
                    continue
                self.answers.append(row)
                if standing[answer.id] != row["completion"]:
                    self.missing.append(row)
        for rows in (self.answers, self.missing):
            rows.sort(key=lambda row: str(row["target"]))
        content = [self.label, self.model, [row["completion"] for row in self.answers]]
        self.run_id = f"{KIND}-{digest(content)[:16]}"
        self.written, self.standing = len(self.missing), len(self.answers) - len(self.missing)

    @override
    def write(self, report: AnswersReport, progress: Progress) -> None:
        """See `Answers`."""
        run = uid(self.dataset, self.run_id)
        if self.missing:
            described = report.run_properties(len(self.answers), f"{self.about} answers")
            self.graph.write("begin_answers", run=run, properties=described)
        with progress("importing", len(self.answers)) as advance:
            advance(report.standing)
            for start in range(0, len(self.missing), BATCH):
                rows = self.missing[start : start + BATCH]
                self._write(rows, run, report.source)
                advance(len(rows))
        self.graph.write("finish_answers", run=run, report=report.as_json())

    def _write(self, rows: Sequence[dict[str, Any]], run: str, source: str) -> None:
        (done,) = self.graph.write(
            "write_answers",
            dataset=self.dataset,
            run=run,
            label=self.label,
            model=self.model,
            source=source,
            rows=rows,
        )
        if done["written"] != len(rows):
            raise unready(self.dataset)

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


def _own_ids(source: Source, numbers: NumberMap | None) -> Iterator[Answer]:
    """The answers by the dataset's own ids, the first about each."""
    first: dict[str, int] = {}
    for answer in files.read(source):
        own = numbers.original(answer.id) if numbers else answer.id
        if own is None:
            source.reject(f"{answer.id[:100]!r} is not a number in {numbers and numbers.name}")
        elif own in first:
            source.reject(f"line {first[own]} already has an answer about {answer.id[:100]!r}")
        else:
            first[own] = answer.line
            yield Answer(answer.line, own, answer.text)

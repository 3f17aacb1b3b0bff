"""Writes a dataset into the graph: everything is read and checked before anything is written.

The same command may be repeated at any time: a finished import changes nothing, an interrupted one goes on where it
stopped. The dataset is 'importing' until its last row is in.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cikg.datasets import bulk as bulk_import
from cikg.datasets import registry
from cikg.datasets.batches import Batch, batches, total_rows
from cikg.datasets.bulk import Bulk
from cikg.datasets.drop import clear, held
from cikg.datasets.filters import Filters
from cikg.datasets.records import Format, Record
from cikg.datasets.report import MAX_REJECTED, ImportReport, Rejections, file_name
from cikg.datasets.source import ADVANCE, Source
from cikg.datasets.splits import AppliedSplit, SplitRule, split
from cikg.datasets.tables import Tables, collect
from cikg.errors import ConflictError, InputError
from cikg.graph import Graph
from cikg.graph.migrations import migrate
from cikg.schema import dataset_name, uid

Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]
"""Opens a progress bar: description and total in, `advance(n)` out."""


@dataclass(frozen=True)
class Rules:
    """What of a source is imported, and how it is split.

    Attributes:
        split: how it is split.
        filters: which ratings, users and items are kept.
        max_rejected: the largest share of rows, from 0 to 1, that may be left out because they cannot be used.
    """

    split: SplitRule = field(default_factory=SplitRule)
    filters: Filters = field(default_factory=Filters)
    max_rejected: float = MAX_REJECTED


class TakenError(ConflictError):
    """The name of a dataset is that of another one."""


def _silent(_description: str, _total: int | None) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _count: None)


def load(
    graph: Graph,
    format: str,  # noqa: A002 - the word a person types
    path: Path | None,
    dataset: str,
    rules: Rules | None = None,
    *,
    home: Path | None = None,
    source: str | None = None,
    replace: bool = False,
    bulk: Bulk | None = None,
    progress: Progress = _silent,
) -> ImportReport:
    """Import a dataset.

    Args:
        graph: where to.
        format: the name of the format.
        path: what to read; None where the format brings its own data.
        dataset: the name to import it under.
        rules: what of it is imported, and how it is split.
        home: lists of rejected rows are written below it; None for none.
        source: what to call where it came from, if that is not the path.
        replace: drop what the dataset holds now, if it is something else.
        bulk: how the database can be made anew; None where all rows go over Bolt.
        progress: opens progress bars.

    Raises:
        InputError: the source is wrong in some way; nothing was written.
        NotFoundError: there is no such format.
        TakenError: the dataset holds something else.
        ConflictError: another import is writing it, or the database cannot be made anew as required.
    """
    started = time.perf_counter()
    dataset_name(dataset)
    kind = registry.format_named(format)
    if path is None and kind.needs_path:
        raise InputError(f"the format {format!r} needs a path", cure=kind.help)
    rules = rules or Rules()
    with Rejections(home / "imports" / dataset if home is not None else None, rules.max_rejected) as rejections:
        with progress("reading", None) as advance:
            read = _read(kind, Source(path, advance, rejections.add), rejections, rules)
            advance(read.rows % ADVANCE)
        job = _Import(graph, kind, dataset, source or (file_name(path.resolve()) if path else ""), read)
        rejected_file = rejections.keep(f"{job.run_id}.csv")
    report = ImportReport(
        dataset=dataset,
        format=format,
        source=job.source,
        run=job.uid,
        rows=read.rows,
        rejected=rejections.count,
        reasons=rejections.reasons,
        rejected_file=file_name(rejected_file) if rejected_file else None,
        duplicates=read.tables.duplicates,
        left_out=read.left_out,
        counts=read.tables.counts(),
        split=read.split.as_dict(),
        relations=read.tables.types,
    )
    migrate(graph)
    written = job.run(report, rules, replace=replace, bulk=bulk, progress=progress)
    return dataclasses.replace(report, unchanged=not written, seconds=round(time.perf_counter() - started, 3))


@dataclass(frozen=True)
class _Read:
    """What was read of a source.

    Attributes:
        tables: what is imported.
        split: how it was split.
        field: what the items are.
        left_out: what the person's filters left out, by kind.
        rows: rows read.
    """

    tables: Tables
    split: AppliedSplit
    field: str
    left_out: dict[str, int]
    rows: int


def _read(kind: Format, source: Source, rejections: Rejections, rules: Rules) -> _Read:
    """Read a source to its end, filter and split it.

    Raises:
        InputError: it is unusable, or too many of its rows are.
    """

    def records() -> Iterator[Record]:
        yield from kind.read(source)
        rejections.check(source.rows)

    tables, left_out = rules.filters.apply(collect(records(), source))
    if source.split is not None and rules.split == SplitRule():
        applied = AppliedSplit.of(source.split)
    else:
        tables, applied = split(tables, rules.split)
    return _Read(tables, applied, source.field or kind.field, left_out, source.rows)


class _Import:
    """One import into one dataset."""

    def __init__(self, graph: Graph, kind: Format, dataset: str, source: str, read: _Read) -> None:
        self.graph, self.kind, self.dataset, self.source = graph, kind, dataset, source
        self.tables, self.split, self.field = read.tables, read.split.as_dict(), read.field
        content = f"{kind.name} {json.dumps(self.split)} {self.tables.digest()}"
        self.fingerprint = hashlib.sha256(content.encode()).hexdigest()
        self.run_id = f"import-{self.fingerprint[:16]}"
        self.uid = uid(dataset, self.run_id)
        self.total = total_rows(self.tables)

    def run(self, report: ImportReport, rules: Rules, *, replace: bool, bulk: Bulk | None, progress: Progress) -> bool:
        """Write what is missing; returns False where nothing was."""
        found = next((row["dataset"] for row in self.graph.many("find_dataset", dataset=self.dataset)), None)
        done = 0
        if found is not None and found.get("fingerprint") == self.fingerprint:
            if found["state"] == "ready":
                return False
            done = found["imported"]
        else:
            if found is not None:
                self._make_room(found, replace, progress)
            if not self._begin(report, rules):  # somebody else has begun in the meantime
                return self.run(report, rules, replace=False, bulk=bulk, progress=progress)
        if bulk is not None and bulk.pays(self.total) and done == 0:
            done = self._make_database(bulk, progress)
        self._write_rows(done, progress)
        self._finish()
        return True

    def _make_database(self, bulk: Bulk, progress: Progress) -> int:
        """Make the database anew with all rows in it; returns how many these are.

        Raises:
            ConflictError: it holds something else, and it was required.
        """
        if bulk_import.load(self.graph, bulk.store, self.tables, self.dataset, run=self.uid, progress=progress):
            return self.total
        if bulk.required:
            raise ConflictError(
                "the database cannot be made anew, for it holds more than this import",
                cure="Import without --bulk, or into an empty CIKG_HOME",
            )
        return 0

    def _write_rows(self, done: int, progress: Progress) -> None:
        """Write all rows but the first `done`."""
        with progress("importing", self.total) as advance:
            advance(done)
            for batch in batches(self.tables, self.dataset, self.uid, done):
                self._write(batch)
                advance(batch.end - batch.start)

    def _write(self, batch: Batch) -> None:
        self.graph.write(
            batch.statement,
            dataset=self.dataset,
            fingerprint=self.fingerprint,
            start=batch.start,
            end=batch.end,
            **batch.parameters,
        )

    def _make_room(self, found: dict[str, Any], replace: bool, progress: Progress) -> None:
        if not replace:
            raise TakenError(
                f"the dataset {self.dataset!r} already holds something else, from {found.get('source') or 'elsewhere'}",
                cure="Choose another name with --dataset, or drop what it holds with --replace",
            )
        with progress("dropping", held(self.graph, self.dataset)) as advance:
            clear(self.graph, self.dataset, advance)

    def _begin(self, report: ImportReport, rules: Rules) -> bool:
        """Open the import: the dataset and its run, with what was read and by which rules; False where another did."""
        filters = dataclasses.asdict(rules.filters)
        parameters = {"format": self.kind.name, "source": self.source, "max_rejected": rules.max_rejected}
        relations = sorted(self.tables.types)
        begun = self.graph.write(
            "begin_import",
            dataset=self.dataset,
            fingerprint=self.fingerprint,
            run=self.uid,
            run_id=self.run_id,
            total=self.total,
            parameters=json.dumps(parameters | filters | self.split, sort_keys=True),
            report=report.as_json(),
            properties={
                "format": self.kind.name,
                "field": self.field,
                "source": self.source,
                "relation_names": relations,
                "relations": [self.tables.types[relation] for relation in relations],
                "interests": "imported" if self.tables.interests else "none",
                **filters,
                **self.split,
            },
        )
        return bool(begun)

    def _finish(self) -> None:
        """Close the import.

        Raises:
            ConflictError: another one took its place.
        """
        if not self.graph.write(
            "finish_import", dataset=self.dataset, fingerprint=self.fingerprint, total=self.total, run=self.uid
        ):
            raise ConflictError(
                f"another import is writing the dataset {self.dataset!r}, or something removed a part of it",
                cure="Wait for it, then repeat this one; if there is none, begin anew after `cikg dataset drop`",
            )

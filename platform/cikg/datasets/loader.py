"""Writes a dataset into the graph, once it was read and checked as a whole.

The same command may be repeated at any time: a finished import changes nothing, an interrupted one goes on where it
stopped. The dataset is 'importing' until its last row is in.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

from cikg.datasets import bulk as bulk_import
from cikg.datasets.batches import batches, data_rows, total_rows
from cikg.datasets.bulk import Bulk
from cikg.datasets.checking import Checked, Rules, check, run_id
from cikg.datasets.drop import clear, held
from cikg.datasets.report import ImportReport
from cikg.datasets.tables import Tables
from cikg.errors import ConflictError, MemoryLimitError
from cikg.graph import Graph
from cikg.graph.migrations import migrate
from cikg.progress import Progress, silent


class TakenError(ConflictError):
    """The name of a dataset is that of another one."""


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
    progress: Progress = silent,
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
    rules = rules or Rules()
    checked = check(format, path, dataset, rules, home=home, source=source, progress=progress)
    migrate(graph)
    written = _Import(graph, checked, rules).run(replace=replace, bulk=bulk, progress=progress)
    seconds = round(time.perf_counter() - started, 3)
    return dataclasses.replace(checked.report, unchanged=not written, seconds=seconds)


class _Import:
    """One import into one dataset."""

    def __init__(self, graph: Graph, checked: Checked, rules: Rules) -> None:
        self.graph, self.rules = graph, rules
        self.tables, self.field, self.fingerprint = checked.tables, checked.field, checked.fingerprint
        self.report, self.dataset, self.uid = checked.report, checked.report.dataset, checked.report.run
        self.total = total_rows(self.tables)

    def run(self, *, replace: bool, bulk: Bulk | None, progress: Progress) -> bool:
        """Write what is missing; returns False where nothing was."""
        found = next((row["dataset"] for row in self.graph.many("find_dataset", dataset=self.dataset)), None)
        done = 0
        if found is not None and found.get("fingerprint") == self.fingerprint:
            renamed = str(found.get("field")) != self.field
            if renamed:
                self.graph.write("rename_field", dataset=self.dataset, fingerprint=self.fingerprint, field=self.field)
            if found["state"] == "ready":
                return renamed
            done = found["imported"]
        else:
            if found is not None:
                self._make_room(found, replace, progress)
            if not self._begin():  # somebody else has begun in the meantime
                return self.run(replace=False, bulk=bulk, progress=progress)
        if bulk is not None and bulk.pays(self.total) and done == 0:
            done = self._make_database(bulk, progress)
        write_rows(self.graph, self.tables, self.uid, self.fingerprint, done, progress=progress)
        return True

    def _make_database(self, bulk: Bulk, progress: Progress) -> int:
        """Make the database anew with all rows of data in it; returns how many these are.

        Raises:
            ConflictError: it holds something else, and it was required.
        """
        if bulk_import.load(self.graph, bulk.store, self.tables, self.dataset, run=self.uid, progress=progress):
            return data_rows(self.tables)
        if bulk.required:
            raise ConflictError(
                "the database holds more than this import, so it cannot be rebuilt from files",
                cure="Import without --bulk, or set CIKG_HOME to an empty folder",
            )
        return 0

    def _make_room(self, found: dict[str, Any], replace: bool, progress: Progress) -> None:
        if not replace:
            raise TakenError(
                f"the dataset {self.dataset!r} already holds something else, from {found.get('source') or 'elsewhere'}",
                cure="Choose another name with --dataset; or use --add for what is new, or --replace to start over",
            )
        with progress("dropping", held(self.graph, self.dataset)) as advance:
            clear(self.graph, self.dataset, advance)

    def _begin(self) -> bool:
        """Open the import: the dataset and its run, with what was read and by which rules; False where another did."""
        report, filters = self.report, dataclasses.asdict(self.rules.filters)
        origin = {"format": report.format, "source": report.source}
        parameters = origin | {"max_rejected": self.rules.max_rejected}
        relations = sorted(self.tables.types)
        begun = self.graph.write(
            "begin_import",
            dataset=self.dataset,
            fingerprint=self.fingerprint,
            run=self.uid,
            run_id=run_id(self.fingerprint),
            total=self.total,
            parameters=json.dumps(parameters | filters | report.split, sort_keys=True),
            report=report.as_json(),
            properties={
                **origin,
                "field": self.field,
                "relation_names": relations,
                "relations": [self.tables.types[relation] for relation in relations],
                "interests": "imported" if self.tables.interests else "none",
                **filters,
                **report.split,
            },
        )
        return bool(begun)


def write_rows(graph: Graph, tables: Tables, run: str, fingerprint: str, done: int = 0, *, progress: Progress) -> None:
    """Write all rows of an import, whose run was begun, but the first `done`, and close it.

    Batches become smaller once one exceeds the server's memory.

    Raises:
        ConflictError: another import took its place.
    """
    dataset, total = run.partition(":")[0], total_rows(tables)
    own = {"dataset": dataset, "fingerprint": fingerprint}
    with progress("importing", total) as advance:
        advance(done)
        left = batches(tables, dataset, run, done)
        while batch := next(left, None):
            rows = batch.end - batch.start
            place = {"start": batch.start, "end": batch.end}
            try:
                graph.write_together([(batch.statement, {**own, **place, **batch.parameters})])
            except MemoryLimitError:
                if rows == 1:
                    raise
                left = batches(tables, dataset, run, batch.start, rows // 2)
            else:
                advance(rows)
    if not graph.write("finish_import", **own, total=total, run=run):
        raise ConflictError(
            f"another import is writing the dataset {dataset!r}, or something removed a part of it",
            cure="Wait for it to end, then repeat this one; if none is running, drop the dataset and repeat",
        )

"""Reads a dataset and checks it as a whole: everything that comes before the first write."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from cikg.datasets import registry
from cikg.datasets.filters import Filters
from cikg.datasets.reading.source import ADVANCE, Source
from cikg.datasets.records import Format, Record
from cikg.datasets.report import MAX_REJECTED, ImportReport, Rejections, file_name
from cikg.datasets.splits import AppliedSplit, SplitRule, split
from cikg.datasets.tables import Known, Tables, collect, nothing_known
from cikg.errors import InputError
from cikg.progress import Progress, silent
from cikg.schema import dataset_name, uid


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


@dataclass(frozen=True)
class Checked:
    """A dataset that can be imported.

    Attributes:
        tables: what is imported.
        field: what the items are.
        fingerprint: SHA-256 of what is imported and how it is split: equal for what makes the same graph.
        report: what was read, and what became of it.
    """

    tables: Tables
    field: str
    fingerprint: str
    report: ImportReport


def check(
    format: str,  # noqa: A002 - the word a person types
    path: Path | None,
    dataset: str,
    rules: Rules,
    *,
    home: Path | None = None,
    source: str | None = None,
    known: Known = nothing_known,
    progress: Progress = silent,
) -> Checked:
    """Read a dataset to its end, filter it and split it; nothing is written but a list of rejected rows.

    Args:
        format: the name of the format.
        path: what to read; None where the format brings its own data.
        dataset: the name to import it under.
        rules: what of it is imported, and how it is split.
        home: lists of rejected rows are written below it; None for none.
        source: what to call where it came from, if that is not the path.
        known: what the source need not describe.
        progress: opens progress bars.

    Raises:
        InputError: the source is wrong in some way.
        NotFoundError: there is no such format.
    """
    dataset_name(dataset)
    kind = registry.format_named(format)
    if path is None and kind.needs_path:
        raise InputError(f"the format {format!r} needs a path", cure=kind.help)
    if path is not None and not kind.needs_path:
        raise InputError(f"the format {format!r} comes with its own data and takes no path", cure="Leave out the path")
    with Rejections(home / "imports" / dataset if home is not None else None, rules.max_rejected) as rejections:
        with progress("reading", None) as advance:
            opened = Source(path, advance, rejections.add)
            tables, applied, left_out = _read(kind, opened, rejections, rules, known)
            advance(opened.rows % ADVANCE)
        content = f"{kind.name} {json.dumps(applied.as_dict())} {tables.digest()}"
        fingerprint = hashlib.sha256(content.encode()).hexdigest()
        run = run_id(fingerprint)
        rejected_file = rejections.keep(f"{run}.csv")
    report = ImportReport(
        dataset=dataset,
        format=format,
        source=source or (file_name(path.resolve()) if path else ""),
        run=uid(dataset, run),
        rows=opened.rows,
        rejected=rejections.count,
        reasons=rejections.reasons,
        rejected_file=file_name(rejected_file) if rejected_file else None,
        duplicates=tables.duplicates,
        left_out=left_out,
        counts=tables.counts(),
        split=applied.as_dict(),
        relations=tables.types,
    )
    return Checked(tables, opened.field or kind.field, fingerprint, report)


def run_id(fingerprint: str) -> str:
    """The name of the run that imports what has this fingerprint."""
    return f"import-{fingerprint[:16]}"


def _read(
    kind: Format, source: Source, rejections: Rejections, rules: Rules, known: Known
) -> tuple[Tables, AppliedSplit, dict[str, int]]:
    """A source's tables, how they were split, and what the person's filters left out, by kind.

    Raises:
        InputError: it is unusable, or too many of its rows are.
    """

    def records() -> Iterator[Record]:
        yield from kind.read(source)
        rejections.check(source.rows)

    tables, left_out = rules.filters.apply(collect(records(), source, known))
    as_it_was = source.split is not None and rules.split == SplitRule()
    if tables.knowledge and not (as_it_was and rules.filters == Filters()):
        # It was read out of the training interactions of before, some of which may be test ones now, or gone.
        left_out["knowledge"] = len(tables.knowledge)
        tables = replace(tables, knowledge=[])
    if source.split is not None and as_it_was:
        return tables, AppliedSplit.of(source.split), left_out
    return *split(tables, rules.split), left_out

"""Writes a dataset into the graph: everything is checked before anything is written.

The same command may be repeated at any time: a finished import changes nothing, an interrupted one goes on where it
stopped. The dataset is 'importing' until its last row is in.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cikg.datasets import registry
from cikg.datasets.batches import Batch, batches, total_rows
from cikg.datasets.drop import clear, held
from cikg.datasets.records import Format
from cikg.datasets.source import Source
from cikg.datasets.splits import cut_valid
from cikg.datasets.tables import Tables, collect
from cikg.errors import ConflictError, InputError
from cikg.graph import Graph
from cikg.graph.migrations import migrate
from cikg.schema import dataset_name, uid

Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]
"""Opens a progress bar: description and total in, `advance(n)` out."""


@dataclass(frozen=True)
class ImportReport:
    """What an import found and did.

    Attributes:
        dataset, format, source: what was imported into what.
        run: the uid of the import's run.
        counts: rows by kind, interactions also by split.
        relations: the relationship type of each relation.
        duplicates: repeated rows left out, by kind.
        rejected: rows left out for another reason. A format that cannot use a row stops the import, so it is 0.
        unchanged: True where the graph already held exactly this, and nothing was written.
        seconds: wall time.
    """

    dataset: str
    format: str
    source: str
    run: str
    counts: dict[str, int]
    relations: dict[str, str]
    duplicates: dict[str, int]
    rejected: int
    unchanged: bool
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return asdict(self)


def _silent(_description: str, _total: int | None) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _count: None)


def load(
    graph: Graph,
    format: str,  # noqa: A002 - the word a person types
    path: Path | None,
    dataset: str,
    *,
    valid_share: float = 0.125,
    valid_seed: int = 0,
    replace: bool = False,
    progress: Progress = _silent,
) -> ImportReport:
    """Import a dataset.

    Args:
        graph: where to.
        format: the name of the format.
        path: what to read; None where the format brings its own data.
        dataset: the name to import it under.
        valid_share: the expected share of each user's train interactions that becomes `valid`, unless the source
            has a valid split of its own.
        valid_seed: which they are.
        replace: drop what the dataset holds now, if it is something else.
        progress: opens progress bars.

    Raises:
        InputError: the source is wrong in some way; nothing was written.
        NotFoundError: there is no such format.
        ConflictError: the dataset holds something else, or another import is writing it.
    """
    started = time.perf_counter()
    dataset_name(dataset)
    if not 0 <= valid_share < 1:
        raise InputError(f"the valid share is {valid_share}", cure="Give a number from 0 to below 1")
    kind = registry.format_named(format)
    if path is None and kind.needs_path:
        raise InputError(f"the format {format!r} needs a path", cure=kind.help)
    with progress("checking", None):
        source = Source(path)
        tables = cut_valid(collect(kind.read(source), source), valid_share, valid_seed)
    if source.rejected:
        first = source.rejected[0]
        raise InputError(first.reason, first.file, first.line)
    migrate(graph)
    write = _Import(graph, kind, tables, dataset, str(path.resolve()) if path else "")
    written = write.run(replace, progress, {"valid_share": valid_share, "valid_seed": valid_seed})
    return ImportReport(
        dataset=dataset,
        format=format,
        source=write.source,
        run=write.uid,
        counts=tables.counts(),
        relations=tables.types,
        duplicates=tables.duplicates,
        rejected=0,
        unchanged=not written,
        seconds=round(time.perf_counter() - started, 3),
    )


class _Import:
    """One import into one dataset."""

    def __init__(self, graph: Graph, kind: Format, tables: Tables, dataset: str, source: str) -> None:
        self.graph, self.kind, self.tables, self.dataset, self.source = graph, kind, tables, dataset, source
        self.fingerprint = hashlib.sha256(f"{kind.name} {tables.digest()}".encode()).hexdigest()
        self.run_id = f"import-{self.fingerprint[:16]}"
        self.uid = uid(dataset, self.run_id)
        self.total = total_rows(tables)

    def run(self, replace: bool, progress: Progress, options: dict[str, Any]) -> bool:
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
            self._begin(options)
        with progress("importing", self.total) as advance:
            advance(done)
            for batch in batches(self.tables, self.dataset, self.uid, done):
                self._write(batch)
                advance(batch.end - batch.start)
        if not self.graph.write(
            "finish_import", dataset=self.dataset, fingerprint=self.fingerprint, total=self.total, run=self.uid
        ):
            raise ConflictError(
                f"another import is writing the dataset {self.dataset!r}", cure="Wait for it, then repeat this one"
            )
        return True

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
            raise ConflictError(
                f"the dataset {self.dataset!r} already holds something else, from {found.get('source') or 'elsewhere'}",
                cure="Choose another name with --dataset, or drop what it holds with --replace",
            )
        with progress("dropping", held(self.graph, self.dataset)) as advance:
            clear(self.graph, self.dataset, advance)

    def _begin(self, options: dict[str, Any]) -> None:
        relations = sorted(self.tables.types)
        self.graph.write(
            "begin_import",
            dataset=self.dataset,
            fingerprint=self.fingerprint,
            run=self.uid,
            run_id=self.run_id,
            total=self.total,
            parameters=json.dumps({"format": self.kind.name, "source": self.source, **options}, sort_keys=True),
            properties={
                "format": self.kind.name,
                "field": self.kind.field,
                "source": self.source,
                "relation_names": relations,
                "relations": [self.tables.types[relation] for relation in relations],
                "interests": "imported" if self.tables.interests else "none",
                **options,
            },
        )

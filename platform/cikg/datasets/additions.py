"""Adds what is new in a source to a dataset that is there: `cikg import --add`.

What the dataset has stays as it is: its splits, what jobs and people made, what is served. So it does not matter
whether a source has new rows alone or everything again, and the same addition may be repeated at any time. One that was
interrupted is completed by repeating it: what it wrote counts as there.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Generic

import numpy as np
import numpy.typing as npt

from cikg.datasets.batches import total_rows
from cikg.datasets.checking import Checked, Rules, check, run_id
from cikg.datasets.filters import Filters
from cikg.datasets.loader import write_rows
from cikg.datasets.records import Interest, Item
from cikg.datasets.report import MAX_REJECTED, ImportReport
from cikg.datasets.splits import SplitKind, SplitRule
from cikg.datasets.tables import Indices, Node, Pairs, Tables, relation_types
from cikg.errors import ConflictError, InputError, NotFoundError
from cikg.graph import Graph
from cikg.graph.database import BATCH
from cikg.graph.migrations import migrate
from cikg.progress import Advance, Progress, silent
from cikg.schema import Label, uid

Mask = npt.NDArray[np.bool_]
_Ends = tuple[list[str], Indices]
_THINGS = (Label.ITEM, Label.ENTITY)
"""They share their ids."""


def add(
    graph: Graph,
    format: str,  # noqa: A002 - the word a person types
    path: Path | None,
    dataset: str,
    *,
    min_rating: float | None = None,
    max_rejected: float = MAX_REJECTED,
    home: Path | None = None,
    source: str | None = None,
    progress: Progress = silent,
) -> ImportReport:
    """Add a source's new users, items, entities, facts and interactions to a dataset.

    New interactions become train, unless the source has a split of its own. They may name what the dataset has and the
    source does not describe. A node that is there keeps its name and text, unless the source brings others. Interests
    come only to a dataset whose interests are imported ones.

    Args:
        graph: where to.
        format: the name of the format.
        path: what to read; None where the format brings its own data.
        dataset: the dataset.
        min_rating: interactions of a lower rating are left out. None: as when the dataset was imported.
        max_rejected: the largest share of rows, from 0 to 1, that may be left out because they cannot be used.
        home: lists of rejected rows are written below it; None for none.
        source: what to call where it came from, if that is not the path.
        progress: opens progress bars.

    Returns:
        What was added; `unchanged` where the dataset had all of it.

    Raises:
        InputError: the source is wrong in some way, or an id is that of an item here and of an entity there; nothing
            was written.
        NotFoundError: there is no such dataset, or no such format.
        ConflictError: another import is writing it, or was interrupted.
    """
    started = time.perf_counter()
    migrate(graph)
    found = graph.many("find_dataset", dataset=dataset)
    if not found:
        raise NotFoundError(f"there is no dataset {dataset!r} to add to", cure="Import it first, without --add")
    there = found[0]["dataset"]
    filters = Filters(there.get("min_rating") if min_rating is None else min_rating)
    rules = Rules(SplitRule(SplitKind.GIVEN, valid_share=0.0), filters, max_rejected)

    @cache
    def known(label: Label) -> Container[str]:
        return frozenset(row["id"] for row in graph.many("known_ids", dataset=dataset, label=label))

    checked = check(format, path, dataset, rules, home=home, source=source, known=known, progress=progress)
    report = _Addition(graph, checked, there, progress).run()
    return replace(report, seconds=round(time.perf_counter() - started, 3))


@dataclass(frozen=True)
class _Missing:
    """What a dataset lacks of a source.

    Attributes:
        tables: the source's nodes as they will be, and the edges that are not there.
        counts: what is new, by kind; interactions also by split.
        changed: how many nodes get another name or text.
    """

    tables: Tables
    counts: dict[str, int]
    changed: int

    def anything(self) -> bool:
        """Whether there is something to write."""
        return bool(self.changed or any(self.counts.values()))


class _Addition:
    """One source into one dataset, which `there` describes."""

    def __init__(self, graph: Graph, checked: Checked, there: Mapping[str, Any], progress: Progress) -> None:
        self.graph, self.progress, self.fingerprint = graph, progress, checked.fingerprint
        self.dataset, self.complete = checked.report.dataset, there["state"] == "ready"
        self.types = dict(zip(there.get("relation_names") or [], there.get("relations") or [], strict=True))
        self.tables, left_out = checked.tables, dict(checked.report.left_out)
        if there.get("interests") != "imported" and self.tables.interests:
            left_out["interests"] = len(self.tables.interests)
            nobody = Pairs(np.empty(0, np.int32), np.empty(0, np.int32))
            self.tables = replace(self.tables, interests=[], has_interest=nobody)
        self.report = replace(checked.report, left_out=left_out)

    def run(self) -> ImportReport:
        """Write what is missing; what that was."""
        missing = self._missing()
        if self.complete and not missing.anything():
            return replace(self.report, counts=missing.counts, relations=missing.tables.types, unchanged=True)
        token = f"{self.fingerprint}+{uuid.uuid4().hex}"
        if not self.graph.write("begin_addition", dataset=self.dataset, fingerprint=token, adding=self.fingerprint):
            raise ConflictError(
                f"the dataset {self.dataset!r} is not complete: another import is writing it, or was interrupted",
                cure="Wait for it to end, or repeat the interrupted import",
            )
        missing = self._missing()  # whoever wrote before has lost its place: what is missing now stays so
        report = replace(self.report, counts=missing.counts, relations=missing.tables.types)
        self._describe(missing.tables, token, report)
        write_rows(self.graph, missing.tables, report.run, token, progress=self.progress)
        return report

    def _describe(self, tables: Tables, token: str, report: ImportReport) -> None:
        types = self.types | tables.types
        parameters = {"format": report.format, "source": report.source, "add": True, **report.split}
        self.graph.write(
            "describe_addition",
            dataset=self.dataset,
            fingerprint=token,
            run=report.run,
            run_id=run_id(self.fingerprint),
            name=report.format,
            total=total_rows(tables),
            parameters=json.dumps(parameters, sort_keys=True),
            report=report.as_json(),
            relation_names=list(types),
            relations=list(types.values()),
        )

    def _missing(self) -> _Missing:
        """Compare the source with the dataset."""
        tables, table, holds = self.tables, self.tables.interactions, self.tables.has_interest
        with self.progress("comparing", None) as advance:
            known = _Known(self.graph, self.dataset, advance)
            users, items = known.nodes(Label.USER, tables.users), known.nodes(Label.ITEM, tables.items)
            entities = known.nodes(Label.ENTITY, tables.entities)
            interests = known.nodes(Label.INTEREST, tables.interests)
            user_ids, item_ids, thing_ids, interest_ids = (
                [node.id for node in nodes] for nodes in (tables.users, tables.items, tables.things, tables.interests)
            )
            new = known.lack("known_interactions", (user_ids, table.user_index), (item_ids, table.item_index))
            facts = {}
            for relation, pairs in tables.facts.items():
                ends = ((thing_ids, pairs.source_index), (thing_ids, pairs.target_index))
                facts[relation] = _some(pairs, known.lack("known_facts", *ends, relation=relation))
            ends = ((user_ids, holds.source_index), (interest_ids, holds.target_index))
            has_interest = _some(holds, known.lack("known_interest_edges", *ends))
        facts = {relation: pairs for relation, pairs in facts.items() if len(pairs.source_index)}
        written = replace(
            tables,
            users=users.nodes,
            items=items.nodes,
            entities=entities.nodes,
            interests=interests.nodes,
            interactions=replace(table, **{name: column[new] for name, column in vars(table).items()}),
            facts=facts,
            types=relation_types(facts, self.types),
            has_interest=has_interest,
            knowledge=[],
        )
        kinds: dict[str, _Nodes[Any]] = {"users": users, "items": items, "entities": entities, "interests": interests}
        counts = written.counts() | {kind: found.new for kind, found in kinds.items()}
        return _Missing(written, counts, sum(found.changed for found in kinds.values()))


@dataclass(frozen=True)
class _Nodes(Generic[Node]):
    """Nodes of one kind as they will be; how many of them are new, and how many known ones change."""

    nodes: list[Node]
    new: int
    changed: int


class _Known:
    """What a dataset has, looked up by key."""

    def __init__(self, graph: Graph, dataset: str, advance: Advance) -> None:
        self.graph, self.dataset, self.advance = graph, dataset, advance

    def nodes(self, label: Label, nodes: Sequence[Node]) -> _Nodes[Node]:
        """Nodes of one kind as they will be.

        Raises:
            InputError: an id is that of an item here and of an entity there.
        """
        labels = _THINGS if label in _THINGS else (label,)
        there: dict[str, Mapping[str, Any]] = {}
        for some in _parts(nodes):
            uids = [uid(self.dataset, node.id) for node in some]
            for row in self.graph.many("known_nodes", labels=labels, uids=uids):
                if row["label"] != label:
                    here, now = label.lower(), row["label"].lower()
                    raise InputError(
                        f"{row['id']!r} is the id of an {here}, but of an {now} in the dataset {self.dataset!r}",
                        cure="Give it another id",
                    )
                there[row["id"]] = row
            self.advance(len(some))
        both = [_both(node, there[node.id]) if node.id in there else (node, node) for node in nodes]
        return _Nodes([new for _, new in both], len(nodes) - len(there), sum(old != new for old, new in both))

    def lack(self, statement: str, sources: _Ends, targets: _Ends, **parameters: str) -> Mask:
        """Which of some edges are not there. Both ends are ids and places in them; edges are sorted by source."""
        (source_ids, source_index), (target_ids, target_index) = sources, targets
        lack = np.ones(len(source_index), dtype=bool)
        for rows in _parts(np.unique(source_index).tolist()):
            found = self.graph.many(statement, uids=[uid(self.dataset, source_ids[row]) for row in rows], **parameters)
            there = {row["source"]: set(row["targets"]) for row in found}
            first, last = np.searchsorted(source_index, [rows[0], rows[-1] + 1])
            for edge in range(first, last):
                lack[edge] = target_ids[target_index[edge]] not in there.get(source_ids[source_index[edge]], ())
            self.advance(int(last - first))
        return lack


def _both(node: Node, row: Mapping[str, Any]) -> tuple[Node, Node]:
    """A node that is there as it is, and with the name and the text that a source has of it, if it has one."""
    fields: dict[str, Any] = {"name": row["name"]} | ({"text": row["text"] or ""} if isinstance(node, Item) else {})
    old = replace(node, **fields)
    if isinstance(node, Interest):
        return old, old
    better = {name: said for name in fields if (said := getattr(node, name)) and said != node.id}
    return old, replace(old, **better)


def _parts(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))


def _some(pairs: Pairs, chosen: Mask) -> Pairs:
    return Pairs(pairs.source_index[chosen], pairs.target_index[chosen])

"""Imports which interests users have, as somebody else inferred them: CIKGRec's clustered interests, for one.

A file says all of it: interests that were imported before, by this or with the dataset, are replaced in one
transaction; those that clustering made stay. Imported edges name no evidence, and what is trained on them is told so.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from cikg.datasets.answers import files as answer_files
from cikg.datasets.answers.profiles import KIND, AnswersReport, NumberMap, number_map, ready_dataset, unready
from cikg.datasets.formats import cikgrec
from cikg.datasets.reading.source import ADVANCE, Source
from cikg.datasets.reading.values import bare_name
from cikg.datasets.report import MAX_REJECTED, Rejections, file_name
from cikg.errors import InputError
from cikg.graph import Graph
from cikg.graph.migrations import migrate
from cikg.llm.completions import digest
from cikg.progress import Progress, silent
from cikg.schema import uid

NO_EVIDENCE = (
    "Imported interests name no evidence: whoever inferred them may have known interactions that are valid or test "
    "here, so results of models that read them may be too good."
)


def load_interests(
    graph: Graph,
    file: Path,
    dataset: str,
    *,
    model: str = "unknown",
    numbers: Path | None = None,
    max_rejected: float = MAX_REJECTED,
    home: Path | None = None,
    progress: Progress = silent,
) -> AnswersReport:
    """Import which interests users have.

    Args:
        graph: where to.
        file: the interests, as `answer_files.read_interests` takes them.
        dataset: the dataset whose users they are about.
        model: who inferred them.
        numbers: a list of `org_id remap_id`, where the file names users by number. Of a file as CIKGRec's authors
            publish it, for a dataset of that format, the list beside it is taken.
        max_rejected: the largest share of entries, from 0 to 1, that may be left out because they cannot be used.
        home: lists of rejected entries are written below it; None for none.
        progress: opens progress bars.

    Returns:
        What was found; `written` and `standing` count edges from users to interests.

    Raises:
        InputError: the file is wrong in some way; nothing was written.
        NotFoundError: there is no such dataset.
        ConflictError: it is not whole, or was changed in the meantime.
    """
    started = time.perf_counter()
    described = ready_dataset(graph, dataset)
    if numbers is None and described.get("format") == cikgrec.FORMAT.name and bare_name(file) == cikgrec.INTERESTS:
        numbers = Source(file.parent).optional(cikgrec.USERS)
    migrate(graph)
    with Rejections(home / "imports" / dataset if home is not None else None, max_rejected) as rejections:
        with progress("reading", None) as advance:
            source = Source(file, advance, rejections.add)
            names, held = _known(graph, dataset, source, number_map(numbers))
            advance(source.rows % ADVANCE)
        if not source.rows:
            raise InputError("it holds no interests", file)
        rejections.check(source.rows)
        run = f"{KIND}-{digest(['interests', model, names, held])[:16]}"
        rejected_file = rejections.keep(f"{run}.csv")
    standing = graph.many("imported_interest_runs", dataset=dataset) == [{"run": uid(dataset, run)}]
    report = AnswersReport(
        dataset=dataset,
        about="user",
        model=model,
        source=file_name(file.resolve()),
        numbers=file_name(numbers.resolve()) if numbers else None,
        run=uid(dataset, run) if held else None,
        rows=source.rows,
        rejected=rejections.count,
        reasons=rejections.reasons,
        rejected_file=file_name(rejected_file) if rejected_file else None,
        written=0 if standing else len(held),
        standing=len(held) if standing else 0,
        remark=NO_EVIDENCE,
    )
    if report.written:
        _write(graph, report, run, names, held)
    return replace(report, seconds=round(time.perf_counter() - started, 3))


def _known(
    graph: Graph, dataset: str, source: Source, numbers: NumberMap | None
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The names of interests by id, which is the name without case, and the pairs of users and interests, once each."""
    users = {row["user"] for row in graph.many("dataset_users", dataset=dataset)}
    names: dict[str, str] = {}
    held: set[tuple[str, str]] = set()
    for each in answer_files.read_interests(source):
        user, interest = numbers.original(each.id) if numbers else each.id, each.interest.casefold()
        if user is None:
            source.reject(f"{each.id[:100]!r} is no number in {numbers and numbers.name}")
        elif user not in users:
            source.reject(f"the dataset has no user {user[:100]!r}")
        else:
            held.add((user, interest))
            name = f"interest {interest}" if interest.isdecimal() else each.interest
            names[interest] = min(name, names.get(interest, name))
    return names, sorted(held)


def _write(graph: Graph, report: AnswersReport, run: str, names: dict[str, str], held: list[tuple[str, str]]) -> None:
    """Replace what was imported before.

    Raises:
        ConflictError: the dataset is being changed.
    """
    key = uid(report.dataset, run)
    interests = [
        {"uid": uid(report.dataset, interest), "id": interest, "name": names[interest]} for interest in sorted(names)
    ]
    edges = [{"user": uid(report.dataset, user), "interest": uid(report.dataset, interest)} for user, interest in held]
    context = {"dataset": report.dataset, "run": key}
    parameters = {name: getattr(report, name) for name in ("about", "model", "source", "numbers")}
    node: dict[str, Any] = {"dataset": report.dataset, "id": run, "kind": KIND, "name": "user interests"}
    node |= {"total": len(held), "parameters": json.dumps(parameters, sort_keys=True), "report": report.as_json()}
    graph.write_together(
        [
            ("clear_imported_interests", {"dataset": report.dataset, "kept": [row["uid"] for row in interests]}),
            ("write_imported_interests", {**context, "interests": interests, "rows": edges}),
            ("record_run", {"run": key, "properties": node}),
        ]
    )
    if graph.many("imported_interest_runs", dataset=report.dataset) != [{"run": key}]:
        raise unready(report.dataset)

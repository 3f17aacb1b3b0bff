"""What a person does with an import from a page or over the API: prepare, look into, start, cancel. Each is logged."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from werkzeug.datastructures import MultiDict

from cikg.access import audit
from cikg.datasets.prepared.intake import Choices, Intake, Intakes, Progress, Stage
from cikg.datasets.prepared.proposal import Reader
from cikg.datasets.registry import format_named
from cikg.errors import CikgError, ConflictError, InputError, NotFoundError
from cikg.extraction import commands
from cikg.graph import Graph
from cikg.schema import State, dataset_name, uid
from cikg.settings import Settings
from web import store
from web.parts import runs
from web.parts.queued import LATE_SECONDS

NONE = "-"
_ANSWER, _WAS, _SEVERAL = "answer:", "was:", "several"
_COMMAND = ("import", "prepared")


@dataclass(frozen=True)
class File:
    """A file that was sent."""

    name: str
    bytes: int


@dataclass(frozen=True)
class Import:
    """Where an import stands.

    Attributes:
        id: its key.
        stage: open, queued, running, interrupted, cancelled, failed or done.
        label: where it comes from: a path, or names of files.
        path: the file or folder of the server; None where files were sent.
        files: what was sent; nothing once it is in the graph.
        format: the format; empty where it is found out.
        dataset: the name to import it under; empty before it was started.
        actor: who prepared it.
        created_at: ISO time.
        step: what is being done.
        done: rows of that step.
        total: of how many; None where that is not known.
        stopping: whether it was cancelled and has not ended yet.
        is_late: whether no worker has taken it for longer than that should need.
        message: what went wrong.
        cure: what to do about it.
        report: what was found and done, once it is.
        rejected: whether there is a list of rows that cannot be used.
    """

    id: str
    stage: str
    label: str
    path: str | None
    files: tuple[File, ...]
    format: str
    dataset: str
    actor: str
    created_at: str
    step: str
    done: int
    total: int | None
    stopping: bool
    is_late: bool
    message: str | None
    cure: str | None
    report: dict[str, Any] | None
    rejected: bool

    @property
    def active(self) -> bool:
        """Whether it is still going on."""
        return self.stage in (Stage.QUEUED, Stage.RUNNING)


def _seconds_since(time: str | None) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds() if time else 0.0


def stands(intakes: Intakes, intake: Intake) -> Import:
    """Where an import stands."""
    request, stage = intake.request, intake.stage
    is_late = stage is Stage.QUEUED and _seconds_since(request.queued_at) > LATE_SECONDS
    if is_late and _is_lost(intake):
        stage = intake.stage
    progress = intake.progress
    report = progress.report if progress else None
    reader = Reader(intakes, intake)
    return Import(
        id=intake.id,
        stage=stage,
        label=(report or {}).get("source") or reader.label() or request.format,
        path=request.path,
        files=tuple(File(name, size) for name, size in intake.sent()),
        format=(report or {}).get("format") or request.format,
        dataset=request.dataset,
        actor=request.actor,
        created_at=request.created_at,
        step=progress.step if progress else "",
        done=progress.done if progress else 0,
        total=progress.total if progress else None,
        stopping=stage in (Stage.QUEUED, Stage.RUNNING) and intake.stopped,
        is_late=is_late,
        message=progress.message if progress else None,
        cure=progress.cure if progress else None,
        report=report,
        rejected=bool(rejected(intake, limit=1)),
    )


def _is_lost(intake: Intake) -> bool:
    """Whether a worker ended the command without this import having noticed; then it does now."""
    found = store.graph().many("run_detail", run=intake.request.run or "")
    if not found or found[0]["run"]["state"] in (State.PLANNED, State.RUNNING):
        return False
    said = found[0]["run"].get("error") or "its worker ended before the import began"
    cure = "Workers need the same CIKG_HOME as the dashboard; then start it again"
    intake.tell(Progress(state=Stage.FAILED, message=said, cure=cure))
    return True


def answers(form: MultiDict[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """The answers of a form to the wizard's questions: those given before, and what differs from what it showed."""
    found = dict(before)
    several = form.getlist(_SEVERAL)
    for key in dict.fromkeys([*(name.removeprefix(_ANSWER) for name in form if name.startswith(_ANSWER)), *several]):
        given = [value.strip() for value in form.getlist(_ANSWER + key)]
        answer = ", ".join(given) or NONE if key in several else given[0]
        if answer != form.get(_WAS + key):
            found[key] = answer
    return found


def choices(form: Mapping[str, str]) -> Choices:
    """The options of a form.

    Raises:
        InputError: one of them cannot be.
    """
    given: dict[str, Any] = {name: form[name] for name in Choices.model_fields if form.get(name, "").strip()}
    try:
        for name in ("max_rejected", "test_share", "valid_share"):
            if name in given:
                given[name] = float(given[name]) / 100
        return Choices.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(f"{str(first['loc'][0]).replace('_', ' ')}: {first['msg'].lower()}", cure=_CORRECT) from None
    except ValueError as error:
        raise InputError(f"a share is not a number: {error}", cure=_CORRECT) from None


_CORRECT = "Correct it under “What to leave out, and how to split”"


def start(graph: Graph, settings: Settings, intake: Intake, dataset: str, chosen: Choices, *, actor: str) -> None:
    """Have a worker carry out an import.

    Raises:
        InputError: the dataset cannot be called that, or what was prepared cannot be imported.
        NotFoundError: there is no dataset to add to.
        ConflictError: it is under way or over, or the dataset is of another format.
        UnreachableError: Redis does not answer.
    """
    dataset_name(dataset)
    chosen.rules()
    intake.change(dataset=dataset, choices=chosen)
    kind, _, _ = Reader(Intakes(settings), intake).plan()
    found: dict[str, Any] = next((row["dataset"] for row in graph.many("find_dataset", dataset=dataset)), {})
    if chosen.add and not found:
        raise NotFoundError(f"there is no dataset {dataset!r} to add to", cure="Choose one that is there")
    if (
        not chosen.add and found.get("format", kind.name) != kind.name
    ):  # of the same format, it may be the same: its import will tell
        raise ConflictError(
            f"the dataset {dataset!r} already holds something else, in the format {found['format']}",
            cure="Choose another name, or add to it what is new",
        )
    intake.change(format=kind.name)
    intake.start()
    try:
        intake.queued_as(commands.enqueue(graph, settings, [*_COMMAND, intake.id], dataset))
    except CikgError:
        intake.withdraw()
        raise
    audit.record(graph, actor, "imports.start", dataset, {"import": intake.id, "format": kind.name})


def choose_format(name: str) -> str:
    """A format's name, or nothing where it shall be found out.

    Raises:
        NotFoundError: there is no such format.
    """
    return format_named(name).name if name else ""


def _list(intake: Intake) -> str | None:
    """The CSV file of the rows that an import could not use."""
    progress = intake.progress
    return progress.rejected_file if progress else None


def rejected(intake: Intake, skip: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
    """Rows that an import could not use: file, line (None where there is none), reason and the beginning of the row."""
    return rows_of(_list(intake), skip, limit)


def rows_of(name: str | None, skip: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
    """Rows of such a file; none where it is not there."""
    if name is None or not Path(name).is_file():
        return []
    end = None if limit is None else skip + limit
    with Path(name).open(encoding="utf-8", newline="") as lines:
        return [row | {"line": int(row["line"]) or None} for row in islice(csv.DictReader(lines), skip, end)]


def file_of(name: str | None) -> Path:
    """The file, to be sent.

    Raises:
        NotFoundError: it is not there.
    """
    if name is None or not Path(name).is_file():
        raise NotFoundError(
            "this import has no list of rejected rows", cure="Every row could be used, or the list was removed"
        )
    return Path(name)


def kept_report(graph: Graph, dataset: str, identifier: str) -> dict[str, Any]:
    """The report of an import as its run remembers it, with the keys that `cikg import --json` prints.

    Raises:
        NotFoundError: there is no such run, or it is of something else.
    """
    found = graph.many("run_detail", run=uid(dataset, identifier))
    if not found or not found[0]["run"].get("report") or found[0]["run"].get("kind") != "import":
        raise NotFoundError(f"{dataset!r} has no import {identifier!r}", cure="The Jobs page lists all runs")
    row = found[0]["run"]
    wanted = runs.unpack(row["parameters"])
    own = {"dataset": dataset, "run": row["uid"], "format": wanted["format"], "source": wanted["source"]}
    return {**runs.unpack(row["report"]), **own, "split": wanted}

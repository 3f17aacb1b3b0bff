"""Imports: files that are sent or a path of the server, what they mean, and their import by a worker."""

from __future__ import annotations

from typing import Any

from flask import g, request
from pydantic import BaseModel, ConfigDict, Field

from cikg.access.accounts import Scope
from cikg.datasets.prepared.intake import Choices, Intake, Intakes, Stage
from cikg.datasets.prepared.proposal import Proposal as Proposed
from cikg.datasets.prepared.proposal import Reader, propose
from cikg.datasets.registry import formats as all_formats
from web import imports, login
from web.api.operation import operation
from web.api.paging import Page, Paged, by_place
from web.store import graph, settings

TAG = "Imports"
IMPORT = "/imports/<key:import_id>"


class Format(BaseModel):
    """A format that can be imported."""

    name: str
    help: str = Field(description="What is expected")
    needs_files: bool = Field(description="Whether files or a path are needed")


class Formats(BaseModel):
    """All formats."""

    items: list[Format]


class File(BaseModel):
    """A file that was sent."""

    name: str
    bytes: int


class Import(BaseModel):
    """Where an import stands."""

    id: str
    stage: Stage
    path: str | None = Field(description="The file or folder of the server that it reads; null where files are sent")
    files: list[File] = Field(description="What was sent; nothing once it is in the graph")
    format: str = Field(description="Empty while it is to be found out")
    dataset: str = Field(description="Empty before the start")
    actor: str
    created_at: str
    step: str = Field(description="What is being done: `reading`, `importing`, …")
    done: int = Field(description="Rows of that step")
    total: int | None = Field(description="Of how many; null where that is not known")
    stopping: bool = Field(description="Whether it was cancelled and has not ended yet")
    message: str | None = Field(description="What went wrong")
    cure: str | None = Field(description="What to do about it")
    report: dict[str, Any] | None = Field(description="As `cikg import --json` prints it, once it is done")


class NewImport(BaseModel):
    """Where an import comes from."""

    model_config = ConfigDict(extra="forbid")

    path: str | None = Field(
        None, max_length=1000, description="A file or folder of the server; without one, files are sent"
    )
    format: str = Field("", max_length=100, description="A format's name; found out unless given", examples=["demo"])


class Reading(BaseModel):
    """What the files mean."""

    model_config = ConfigDict(extra="forbid")

    format: str = Field("", max_length=100, description="A format's name; found out unless given")
    mapping: dict[str, Any] | None = Field(
        None, description="What the columns of tables mean, with the keys that docs/tables.md has; guessed unless given"
    )


class Start(Reading):
    """What shall be imported, and as what."""

    dataset: str = Field(min_length=1, max_length=64, description="The dataset's name", examples=["demo"])
    choices: Choices = Choices()


class RejectedRow(BaseModel):
    """A row that cannot be used."""

    file: str
    line: int | None = Field(description="From 1; null where the file has no lines")
    reason: str
    row: str = Field(description="Its beginning")


class Preview(BaseModel):
    """What would become of the first rows."""

    rows: list[dict[str, str]] = Field(description="The first interactions, or items, as a person reads them")
    read: int
    rejected: int
    wrong: list[RejectedRow] = Field(description="The first of those")
    found: dict[str, int] = Field(description="How much of each kind")
    complete: bool = Field(description="Whether all there is was read")


class Proposal(BaseModel):
    """What would be imported."""

    format: str
    fits: list[str] = Field(description="The published formats that can read the files")
    mapping: dict[str, Any] | None = Field(description="What the columns of tables would mean; change and send it back")
    preview: Preview | None
    dataset: str = Field(description="A name for it")
    problem: str | None = Field(description="Why it cannot be imported like this")
    cure: str | None = Field(description="What to do about it")


@operation("GET", "/formats", tag=TAG, answer=Formats)
def formats() -> Formats:
    """The formats that can be imported."""
    return Formats(
        items=[Format(name=each.name, help=each.help, needs_files=each.needs_path) for each in all_formats().values()]
    )


@operation("GET", "/imports", tag=TAG, answer=Page[Import], query=Paged, scope=Scope.WRITE)
def listed(query: Paged) -> Page[Any]:
    """The imports that are prepared, under way or over, of the last day; the newest first."""
    found = _all().listed()
    return by_place(query, lambda skip, limit: [_stands(each) for each in found[skip : skip + limit]])


@operation("POST", "/imports", tag=TAG, answer=Import, status=201, body=NewImport, scope=Scope.WRITE)
def create(body: NewImport) -> imports.Import:
    """Prepare an import of files that will be sent, or of a path of the server. It is kept for a day."""
    _all().sweep()
    made = _all().create(login.caller().name, body.path, imports.choose_format(body.format))
    g.audited = {"import": made.id}
    return _stands(made)


@operation("GET", IMPORT, tag=TAG, answer=Import, scope=Scope.WRITE)
def show(import_id: str) -> imports.Import:
    """Where an import stands, and its report once it is done."""
    return _stands(_all().open(import_id))


@operation("PUT", f"{IMPORT}/files/<key:name>", tag=TAG, answer=Import, scope=Scope.WRITE, sends="bytes", logged=False)
def send(import_id: str, name: str) -> imports.Import:
    """Send a file, or a zip archive of some. One of the same name is replaced."""
    found = _all().open(import_id)
    found.put(name, request.stream)
    return _stands(found)


@operation("POST", f"{IMPORT}/preview", tag=TAG, answer=Proposal, body=Reading, scope=Scope.WRITE, logged=False)
def preview(import_id: str, body: Reading) -> Proposal:
    """Look into the first rows: the format that fits, a mapping, and what would become of them. Nothing is kept."""
    intake = _all().open(import_id)
    wanted = {"format": imports.choose_format(body.format) or intake.request.format, "mapping": body.mapping}
    return _proposal(propose(Reader(_all(), intake, intake.request.model_copy(update=wanted))))


@operation("POST", f"{IMPORT}/start", tag=TAG, answer=Import, status=202, body=Start, scope=Scope.WRITE, logged=False)
def start(import_id: str, body: Start) -> imports.Import:
    """Have a worker import it. Starting what was interrupted goes on; importing the same again changes nothing."""
    intake = _all().open(import_id)
    chosen = imports.choose_format(body.format) or intake.request.format
    intake.change(format=chosen, mapping=body.mapping, answers={})
    imports.start(graph(), settings(), intake, body.dataset, body.choices, actor=login.caller().name)
    return _stands(intake)


@operation("POST", f"{IMPORT}/cancel", tag=TAG, answer=Import, scope=Scope.WRITE)
def cancel(import_id: str) -> imports.Import:
    """Have an import end. What is written stays, marked as incomplete."""
    intake = _all().open(import_id)
    intake.stop()
    return _stands(intake)


@operation("GET", f"{IMPORT}/rejected", tag=TAG, answer=Page[RejectedRow], query=Paged, scope=Scope.WRITE)
def rejected(import_id: str, query: Paged) -> Page[Any]:
    """The rows that could not be used."""
    intake = _all().open(import_id)
    return by_place(query, lambda skip, limit: imports.rejected(intake, skip, limit))


@operation("DELETE", IMPORT, tag=TAG, answer=None, status=204, scope=Scope.WRITE, conflicts=True)
def remove(import_id: str) -> None:
    """Remove what was prepared and sent. What is in the graph stays."""
    _all().open(import_id).remove()


def _all() -> Intakes:
    return Intakes(settings())


def _stands(intake: Intake) -> imports.Import:
    return imports.stands(_all(), intake)


def _proposal(found: Proposed) -> Proposal:
    mapping = found.mapping.model_dump(exclude_unset=True, exclude_none=True) if found.mapping else None
    seen = found.preview
    wrong = [
        RejectedRow(file=each.file, line=each.line or None, reason=each.reason, row=each.row)
        for each in (seen.wrong if seen else ())
    ]
    return Proposal(
        format=found.format,
        fits=found.fits,
        mapping=mapping,
        preview=seen
        and Preview(
            rows=seen.rows,
            read=seen.read,
            rejected=seen.rejected,
            wrong=wrong,
            found=seen.found,
            complete=seen.complete,
        ),
        dataset=found.dataset,
        problem=found.problem[0] if found.problem else None,
        cure=found.problem[1] if found.problem else None,
    )

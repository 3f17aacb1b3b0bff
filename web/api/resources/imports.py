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
from web import login
from web.api.operation import operation
from web.api.paging import Page, Paged, by_place
from web.parts import imports
from web.store import graph, settings

TAG = "Imports"
IMPORT = "/imports/<key:import_id>"


class Format(BaseModel):
    """A format that can be imported."""

    name: str
    help: str = Field(description="Which files it reads")
    needs_files: bool = Field(description="Whether it needs files or a path; the demo does not")


class Formats(BaseModel):
    """The formats."""

    items: list[Format]


class File(BaseModel):
    """A file that was uploaded."""

    name: str
    bytes: int = Field(description="Its size")


class Import(BaseModel):
    """An import and its progress."""

    id: str
    stage: Stage
    path: str | None = Field(description="The file or folder on the server to read; null if files are uploaded")
    files: list[File] = Field(description="The uploaded files; they are deleted once they are in the graph")
    format: str = Field(description="The format; empty if it is to be detected")
    dataset: str = Field(description="The dataset; empty before the start")
    actor: str = Field(description="Who prepared it")
    created_at: str = Field(description="ISO time")
    step: str = Field(description="The current step: `reading`, `importing`, …")
    done: int = Field(description="Number of rows done in this step")
    total: int | None = Field(description="Number of rows of this step; null if unknown")
    stopping: bool = Field(description="Whether it was cancelled and has not stopped yet")
    message: str | None = Field(description="What went wrong")
    cure: str | None = Field(description="What to do about it")
    report: dict[str, Any] | None = Field(description="The output of `cikg import --json`, once it is done")


class NewImport(BaseModel):
    """What to import from."""

    model_config = ConfigDict(extra="forbid")

    path: str | None = Field(
        None, max_length=1000, description="A file or folder on the server; without it, upload files"
    )
    format: str = Field(
        "", max_length=100, description="Name of the format; by default it is detected", examples=["demo"]
    )


class Reading(BaseModel):
    """How to read the files."""

    model_config = ConfigDict(extra="forbid")

    format: str = Field("", max_length=100, description="Name of the format; by default it is detected")
    mapping: dict[str, Any] | None = Field(
        None, description="What the columns of tables mean, with the keys of docs/tables.md; by default it is guessed"
    )


class Start(Reading):
    """How to import the files, and as which dataset."""

    dataset: str = Field(min_length=1, max_length=64, description="Name of the dataset", examples=["demo"])
    choices: Choices = Field(Choices(), description="What to import and how to split it")


class RejectedRow(BaseModel):
    """A row that cannot be used."""

    file: str
    line: int | None = Field(description="Line number, from 1; null if the file has no lines")
    reason: str = Field(description="Why it cannot be used")
    row: str = Field(description="The beginning of the row")


class Preview(BaseModel):
    """What the first rows would become."""

    rows: list[dict[str, str]] = Field(description="The first interactions, or items, as they would be imported")
    read: int = Field(description="Number of rows read")
    rejected: int = Field(description="Number of rows that cannot be used")
    wrong: list[RejectedRow] = Field(description="The first of those")
    found: dict[str, int] = Field(description="Number of users, items and so on among the rows read")
    complete: bool = Field(description="Whether all rows were read")


class Proposal(BaseModel):
    """What would be imported."""

    format: str = Field(description="The format that was given or detected")
    fits: list[str] = Field(description="All published formats that can read the files")
    mapping: dict[str, Any] | None = Field(
        description="For tables, what the columns would mean; change it and send it back"
    )
    preview: Preview | None
    dataset: str = Field(description="A proposed name")
    problem: str | None = Field(description="Why it cannot be imported like this; null if it can")
    cure: str | None = Field(description="What to do about it")


@operation("GET", "/formats", tag=TAG, answer=Formats)
def formats() -> Formats:
    """List the formats that can be imported."""
    return Formats(
        items=[Format(name=each.name, help=each.help, needs_files=each.needs_path) for each in all_formats().values()]
    )


@operation("GET", "/imports", tag=TAG, answer=Page[Import], query=Paged, scope=Scope.WRITE)
def listed(query: Paged) -> Page[Any]:
    """List the imports of the last day, newest first: prepared, running and ended."""
    found = _all().listed()
    return by_place(query, lambda skip, limit: [_stands(each) for each in found[skip : skip + limit]])


@operation("POST", "/imports", tag=TAG, answer=Import, status=201, body=NewImport, scope=Scope.WRITE)
def create(body: NewImport) -> imports.Import:
    """Prepare an import of files to upload, or of a path on the server.

    A prepared import is deleted after a day.
    """
    _all().sweep()
    made = _all().create(login.caller().name, body.path, imports.choose_format(body.format))
    g.audited = {"import": made.id}
    return _stands(made)


@operation("GET", IMPORT, tag=TAG, answer=Import, scope=Scope.WRITE)
def show(import_id: str) -> imports.Import:
    """Return an import: its progress, and its report once it is done."""
    return _stands(_all().open(import_id))


@operation(
    "PUT",
    f"{IMPORT}/files/<key:file>",
    tag=TAG,
    answer=Import,
    scope=Scope.WRITE,
    sends="The bytes of the file",
    conflicts=True,
    logged=False,
)
def send(import_id: str, file: str) -> imports.Import:
    """Upload a file, or a zip archive of files. It replaces a file of the same name."""
    found = _all().open(import_id)
    found.put(file, request.stream)
    return _stands(found)


@operation(
    "POST", f"{IMPORT}/preview", tag=TAG, answer=Proposal, body=Reading, scope=Scope.WRITE, logged=False, reads=True
)
def preview(import_id: str, body: Reading) -> Proposal:
    """Read the first rows and propose how to import them: format, mapping and result. Nothing is stored."""
    intake = _all().open(import_id)
    wanted = {"format": imports.choose_format(body.format) or intake.request.format, "mapping": body.mapping}
    return _proposal(propose(Reader(_all(), intake, intake.request.model_copy(update=wanted))))


@operation("POST", f"{IMPORT}/start", tag=TAG, answer=Import, status=202, body=Start, scope=Scope.WRITE, logged=False)
def start(import_id: str, body: Start) -> imports.Import:
    """Have a worker carry out the import.

    If the import was interrupted, it resumes. Importing the same data again changes nothing.
    """
    intake = _all().open(import_id)
    chosen = imports.choose_format(body.format) or intake.request.format
    intake.change(format=chosen, mapping=body.mapping, answers={})
    imports.start(graph(), settings(), intake, body.dataset, body.choices, actor=login.caller().name)
    return _stands(intake)


@operation("POST", f"{IMPORT}/cancel", tag=TAG, answer=Import, scope=Scope.WRITE)
def cancel(import_id: str) -> imports.Import:
    """Cancel an import. What it has written stays, and the dataset is marked as incomplete."""
    intake = _all().open(import_id)
    intake.stop()
    return _stands(intake)


@operation("GET", f"{IMPORT}/rejected", tag=TAG, answer=Page[RejectedRow], query=Paged, scope=Scope.WRITE)
def rejected(import_id: str, query: Paged) -> Page[Any]:
    """List the rows that could not be used."""
    intake = _all().open(import_id)
    return by_place(query, lambda skip, limit: imports.rejected(intake, skip, limit))


@operation("DELETE", IMPORT, tag=TAG, answer=None, status=204, scope=Scope.WRITE, conflicts=True)
def remove(import_id: str) -> None:
    """Delete a prepared import and its files. What is in the graph stays."""
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

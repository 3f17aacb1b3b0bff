"""Import: files or a path of the server, what they mean, how far their import is, and its report."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from flask import Blueprint, Response, redirect, request, send_file, url_for
from flask.typing import ResponseReturnValue

from cikg.access import audit
from cikg.access.accounts import Scope
from cikg.datasets.mapping.conversation import Question
from cikg.datasets.mapping.preview import Preview
from cikg.datasets.prepared.intake import STARTABLE, Intake, Intakes, Stage
from cikg.datasets.prepared.proposal import TABLE, Beginning, Proposal, Reader, propose
from cikg.datasets.registry import formats
from cikg.datasets.splits import SplitKind
from cikg.errors import CikgError, InputError, ServiceError
from cikg.graph import Graph
from web import login
from web.chrome import render, wants_json
from web.errors import status_of
from web.parts import imports, receiving
from web.parts.imports import Import
from web.store import graph, settings
from web.urls import page

blueprint = Blueprint("imports", __name__)
SHOWN_REJECTED = 10
_TABLES = "CSV, TSV or Parquet in any layout: you say what the columns mean, or a TOML mapping next to them does."


@dataclass(frozen=True)
class Kind:
    """A format that can be chosen: its name, what is expected, and whether it needs files."""

    name: str
    help: str
    needs_files: bool


@dataclass(frozen=True)
class ImportsPage:
    """What can be imported, and what is being.

    Attributes:
        kinds: all formats.
        folders: of the server, that may be imported from.
        megabytes: the most that can be sent.
        imports: those of the last day, the newest first.
        error: what is wrong with what was sent, and what to do.
        path: what was sent, where it was a path that is refused.
    """

    template: ClassVar[str] = "import.html"
    kinds: tuple[Kind, ...]
    folders: tuple[str, ...]
    megabytes: int
    imports: tuple[Import, ...]
    error: tuple[str, str | None] | None
    path: str


@dataclass(frozen=True)
class Part:
    """What is asked about a file; without a name about all of them.

    Attributes:
        file: its name.
        questions: with the answers that count.
        table: its first rows.
    """

    file: str
    questions: tuple[Question, ...]
    table: Beginning | None


@dataclass(frozen=True)
class LookingPage:
    """An import that nobody has looked into yet; the page does so once it is there, since that may take seconds."""

    template: ClassVar[str] = "import_looking.html"
    found: Import


@dataclass(frozen=True)
class PreparePage:
    """An import before its start, or after one that did not succeed.

    Attributes:
        found: where it stands.
        kinds: all formats.
        format: the one that counts.
        fits: those that can read the files.
        parts: what is asked about each file.
        preview: what would become of the first rows.
        problem: why it cannot be imported like this, and what to do.
        dataset: the name to import it under.
        choices: what of it.
        splits: ways to split.
        rejected: the first rows that the last try could not use.
        error: what is wrong with what was sent, and what to do.
    """

    template: ClassVar[str] = "import_prepare.html"
    found: Import
    kinds: tuple[Kind, ...]
    format: str
    fits: tuple[str, ...]
    parts: tuple[Part, ...]
    preview: Preview | None
    problem: tuple[str, str | None] | None
    dataset: str
    choices: dict[str, Any]
    splits: tuple[str, ...]
    rejected: tuple[dict[str, Any], ...]
    error: tuple[str, str | None] | None


@dataclass(frozen=True)
class ImportPage:
    """An import that is under way or over.

    Attributes:
        found: where it stands.
        rejected: the first rows that could not be used.
    """

    template: ClassVar[str] = "import_report.html"
    found: Import
    rejected: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class ImportedPage:
    """What the import of a dataset found and did, as its run remembers it.

    Attributes:
        dataset: the dataset.
        run: the run's id.
        report: what was found and done.
        rejected: the first rows that could not be used, to those who may import.
    """

    template: ClassVar[str] = "imported.html"
    dataset: str
    run: str
    report: dict[str, Any]
    rejected: tuple[dict[str, Any], ...]


def load_imports(error: CikgError | None = None, path: str = "") -> ImportsPage:
    """Read what can be imported, and what is being."""
    intakes = Intakes(settings())
    intakes.sweep()
    return ImportsPage(
        kinds=_kinds(),
        folders=tuple(map(str, intakes.folders)),
        megabytes=settings().upload_megabytes,
        imports=tuple(imports.stands(intakes, each) for each in intakes.listed()),
        error=(error.message, error.cure) if error else None,
        path=path,
    )


def load_import(
    identifier: str, error: CikgError | None = None, *, look: bool = True
) -> LookingPage | PreparePage | ImportPage:
    """Read one import.

    Args:
        identifier: its key.
        error: what is wrong with what was sent.
        look: whether to look into one that is open, however long that takes.

    Raises:
        NotFoundError: there is none.
    """
    intakes = Intakes(settings())
    intake = intakes.open(identifier)
    found = imports.stands(intakes, intake)
    rejected = tuple(imports.rejected(intake, limit=SHOWN_REJECTED))
    if found.stage not in STARTABLE:
        return ImportPage(found, rejected)
    if found.stage == Stage.OPEN and not look:
        return LookingPage(found)
    reader = Reader(intakes, intake)
    proposal = propose(reader)
    return PreparePage(
        found=found,
        kinds=_kinds(),
        format=proposal.format,
        fits=tuple(proposal.fits),
        parts=_parts(proposal),
        preview=proposal.preview,
        problem=proposal.problem,
        dataset=proposal.dataset,
        choices=reader.request.choices.model_dump(mode="json"),
        splits=tuple(SplitKind),
        rejected=rejected,
        error=(error.message, error.cure) if error else None,
    )


def load_imported(graph: Graph, dataset: str, identifier: str) -> ImportedPage:
    """Read the report of an import from its run.

    Raises:
        NotFoundError: there is no such run.
    """
    report = imports.kept_report(graph, dataset, identifier)
    may_see = Scope.WRITE in login.caller().scopes  # rows may be private
    rows = imports.rows_of(report.get("rejected_file"), limit=SHOWN_REJECTED) if may_see else []
    return ImportedPage(dataset, identifier, report, tuple(rows))


def _kinds() -> tuple[Kind, ...]:
    """All formats; plain tables first, whose mapping this page makes itself."""
    found = [Kind(each.name, each.help, each.needs_path) for each in formats().values() if each.name != TABLE]
    return (Kind(TABLE, _TABLES, needs_files=True), *found)


def _parts(proposal: Proposal) -> tuple[Part, ...]:
    """The questions by the file that they are about; the longest name first, since one may begin another."""
    tables = {table.file: table for table in proposal.tables}
    keys = [question.key for question in proposal.questions]
    names = [key.removesuffix(": delimiter") for key in keys if key.endswith(": delimiter")]
    names += [name for name in tables if name not in names]
    found: dict[str, list[Question]] = {name: [] for name in names}
    for question in proposal.questions:
        of = [name for name in names if question.key.startswith(f"{name}: ")]
        found.setdefault(max(of, key=len, default=""), []).append(question)
    return tuple(Part(name, tuple(asked), tables.get(name)) for name, asked in found.items())


def begin(path: str, format: str) -> Intake:  # noqa: A002 - the word a person reads
    """Prepare an import of a path of the server, or of data that come with the platform.

    Raises:
        InputError: nobody may import from there, or nothing is there.
        NotFoundError: there is no such format.
    """
    chosen = imports.choose_format(format)
    brings = bool(chosen) and not formats()[chosen].needs_path
    return Intakes(settings()).create(login.caller().name, None if brings else path, chosen)


def prepare(identifier: str) -> Intake:
    """Keep what a form says of an import: its format, and the answers.

    Raises:
        NotFoundError: there is no such import or format.
        ConflictError: it is under way, or over.
    """
    intake, form = Intakes(settings()).open(identifier), request.form
    chosen = imports.choose_format(form.get("format", ""))
    intake.change(format=chosen, answers=imports.answers(form, intake.request.answers))
    return intake


def _refused(identifier: str, error: CikgError) -> Response:
    """The page of an import with what is wrong with what was sent, which stays in its fields to be corrected."""
    if isinstance(error, ServiceError):
        raise error
    found = load_import(identifier, error)
    if isinstance(found, PreparePage):
        found = replace(found, dataset=request.form.get("dataset", found.dataset))
        with suppress(InputError):
            found = replace(found, choices=imports.choices(request.form).model_dump(mode="json"))
    return render(found, status_of(error))


@page(blueprint, "/import")
@login.needs(Scope.WRITE)
def index() -> Response:
    """What can be imported, and what is being."""
    return render(load_imports())


@blueprint.post("/import")
@login.needs(Scope.WRITE)
def send() -> ResponseReturnValue:
    """Take files."""
    try:
        made = receiving.receive(login.caller().name)
    except CikgError as error:
        return render(load_imports(error), status_of(error))
    return _made(made)


@blueprint.post("/import/begin")
@login.needs(Scope.WRITE)
def name_path() -> ResponseReturnValue:
    """Take a path of the server, or a format that brings its own data."""
    path = request.form.get("path", "")
    try:
        made = begin(path, request.form.get("format", ""))
    except CikgError as error:
        return render(load_imports(error, path), status_of(error))
    return _made(made)


def _made(intake: Intake) -> ResponseReturnValue:
    audit.record(graph(), login.caller().name, "imports.create", intake.id)
    return redirect(url_for("imports.show", identifier=intake.id), 303)


@page(blueprint, "/import/<id:identifier>")
@login.needs(Scope.WRITE)
def show(identifier: str) -> Response:
    """What would be imported; how far it is; what came of it."""
    return render(load_import(identifier, look=wants_json() or "look" in request.args))


@blueprint.post("/import/<id:identifier>/preview")
@login.needs(Scope.WRITE)
def preview(identifier: str) -> ResponseReturnValue:
    """Keep what was chosen, and look again."""
    prepare(identifier)
    return redirect(url_for("imports.show", identifier=identifier, look=1), 303)


@blueprint.post("/import/<id:identifier>/start")
@login.needs(Scope.WRITE)
def start(identifier: str) -> ResponseReturnValue:
    """Have a worker import it."""
    try:
        intake, form, who = prepare(identifier), request.form, login.caller().name
        imports.start(graph(), settings(), intake, form.get("dataset", ""), imports.choices(form), actor=who)
    except CikgError as error:
        return _refused(identifier, error)
    return redirect(url_for("imports.show", identifier=identifier), 303)


@blueprint.post("/import/<id:identifier>/cancel")
@login.needs(Scope.WRITE)
def cancel(identifier: str) -> ResponseReturnValue:
    """Have it end."""
    Intakes(settings()).open(identifier).stop()
    audit.record(graph(), login.caller().name, "imports.cancel", identifier)
    return redirect(url_for("imports.show", identifier=identifier), 303)


@blueprint.post("/import/<id:identifier>/remove")
@login.needs(Scope.WRITE)
def remove(identifier: str) -> ResponseReturnValue:
    """Remove what was prepared; what is in the graph stays."""
    Intakes(settings()).open(identifier).remove()
    audit.record(graph(), login.caller().name, "imports.remove", identifier)
    return redirect(url_for("imports.index"), 303)


@blueprint.get("/import/<id:identifier>/rejected.csv")
@login.needs(Scope.WRITE)
def rejected(identifier: str) -> Response:
    """All rows that could not be used, as CSV."""
    progress = Intakes(settings()).open(identifier).progress
    file = imports.file_of(progress.rejected_file if progress else None)
    return send_file(file, "text/csv", as_attachment=True, download_name=f"rejected-{identifier}.csv", max_age=0)


@page(blueprint, "/d/<id:dataset>/imports/<id:identifier>")
def imported(dataset: str, identifier: str) -> Response:
    """What the import of a dataset found and did."""
    return render(load_imported(graph(), dataset, identifier))


@blueprint.get("/d/<id:dataset>/imports/<id:identifier>/rejected.csv")
@login.needs(Scope.WRITE)
def kept_rejected(dataset: str, identifier: str) -> Response:
    """All rows that this import could not use, as CSV."""
    file = imports.file_of(imports.kept_report(graph(), dataset, identifier).get("rejected_file"))
    return send_file(file, "text/csv", as_attachment=True, download_name=f"rejected-{identifier}.csv", max_age=0)

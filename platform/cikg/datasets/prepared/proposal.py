"""What a prepared import would read and make: the format that fits, the wizard's questions with answers, a preview."""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cikg.datasets.mapping.conversation import NO, Question, answer, converse, dataset_of
from cikg.datasets.mapping.model import Mapping, load_mapping, render
from cikg.datasets.mapping.preview import Preview, first_rows, fits, fitting, glance, preview
from cikg.datasets.prepared.intake import Intake, Intakes, Request
from cikg.datasets.prepared.unpacking import OURS
from cikg.datasets.reading.values import bare_name
from cikg.datasets.records import Format
from cikg.datasets.registry import format_named
from cikg.errors import InputError

TABLE = "table"
MAPPING_FILE = f"{OURS}mapping.toml"
LOOKED = 20_000
"""Rows of each file that a proposal reads."""

_NO_TABLES = (".md", ".pdf", ".html", ".htm", ".toml", ".json", ".jsonl", ".zip", ".docx", ".py")


@dataclass(frozen=True)
class Beginning:
    """The first rows of a table as they stand in its file."""

    file: str
    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Proposal:
    """What would be imported.

    Attributes:
        format: the format; empty where none is chosen and none fits.
        fits: published formats that can read the files.
        path: what the format reads; None where it brings its own data, or the mapping stands for it.
        questions: what was asked about tables; `guess` is the answer that counts, `problem` why another did not.
        mapping: what the answers make of them.
        tables: their first rows.
        preview: what would become of them.
        dataset: a name for it.
        problem: why it cannot be imported like this, and what to do.
    """

    format: str
    fits: list[str]
    path: Path | None
    questions: list[Question]
    mapping: Mapping | None
    tables: list[Beginning]
    preview: Preview | None
    dataset: str
    problem: tuple[str, str | None] | None = None


class Reader:
    """Reads what an import was prepared from, and nothing else: neither paths nor links may lead out of it.

    Args:
        intakes: all imports; they know which folders of this machine are allowed.
        intake: the one.
        request: what is wanted, if that is not what the import says.
    """

    def __init__(self, intakes: Intakes, intake: Intake, request: Request | None = None) -> None:
        self._intakes, self._intake = intakes, intake
        self.request = request or intake.request

    @property
    def root(self) -> Path:
        """The file or folder that was named, or the folder of what was sent.

        Raises:
            InputError: nobody may import from there any more, nothing is there, or nothing was sent.
        """
        if self.request.path is not None:
            return self._intakes.allowed(self.request.path)
        if not self._entries(self._intake.files):
            raise InputError("nothing was sent yet", cure="Choose files, or a folder of files")
        return self._sent()

    def _sent(self) -> Path:
        """The folder in which the files lie that were sent: a folder alone in a folder is it."""
        folder, entries = self._intake.files, self._entries(self._intake.files)
        while len(entries) == 1 and entries[0].is_dir():
            folder, entries = entries[0], self._entries(entries[0])
        return folder

    @staticmethod
    def _entries(folder: Path) -> list[Path]:
        entries = folder.iterdir() if folder.is_dir() else ()
        return sorted(entry for entry in entries if not entry.name.startswith(OURS))

    @property
    def mapping_file(self) -> Path:
        """Where the mapping that the answers make is written: beside what was sent."""
        return (self._sent() if self.request.path is None else self._intake.files) / MAPPING_FILE

    def files(self) -> list[Path]:
        """The files that lie at the root, or the root itself."""
        root = self.root
        return [root] if root.is_file() else [entry for entry in self._entries(root) if entry.is_file()]

    def label(self) -> str:
        """What to call where it came from: the path, or the names of what was sent."""
        if self.request.path is not None:
            return self.request.path
        names = [name for name, _ in self._intake.sent()]
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

    def plain(self, text: str) -> str:
        """A sentence in which files have the names that they were sent under."""
        if self.request.path is not None:
            return text.replace(f"{self._intake.files / MAPPING_FILE}: ", "")
        folders = (self.mapping_file.parent, self._intake.files)
        for shown in (f"{self.mapping_file}: ", f"{MAPPING_FILE}: ", *(f"{folder}/" for folder in folders)):
            text = text.replace(shown, "")
        return text.replace(str(self._intake.files), "what was sent")

    def place(self, kind: Format) -> Path:
        """What a published format reads: the folder, or the one file in it where only that fits.

        Raises:
            InputError: there is nothing to read.
        """
        root, files = self.root, self.files()
        return files[0] if len(files) == 1 and not fits(kind, root) and fits(kind, files[0]) else root

    def plan(self) -> tuple[Format, Path | None, Mapping | None]:
        """The format, what it reads, and for tables the mapping, checked.

        Raises:
            InputError: it cannot be imported like this.
        """
        found = propose(self, show=False)
        if found.problem is not None:
            raise InputError(found.problem[0], cure=found.problem[1])
        return format_named(found.format), found.path, found.mapping

    def guard(self, mapping: Mapping, beside: Path) -> Mapping:
        """The mapping, once each of its files is one of this import.

        Raises:
            InputError: one is not.
        """
        for key, part in mapping.parts():
            if not self._is_ours(beside / part.file):
                raise InputError(
                    f"{key}.file: {part.file[:200]!r} is not a file of this import", cure="Name one of its files"
                )
        return mapping

    def _is_ours(self, file: Path) -> bool:
        try:
            whole = file.resolve()
            is_within = whole.is_relative_to(self._intake.files.resolve())
            return whole.is_file() and (is_within if self.request.path is None else self._intakes.contains(whole))
        except (OSError, ValueError):  # too long for a name, or with a zero byte
            return False


def propose(reader: Reader, *, show: bool = True) -> Proposal:
    """What would be imported, as far as that can be told; what is wrong with it is part of the answer.

    Args:
        reader: reads the files.
        show: also read the first rows, and what would become of them.

    Raises:
        NotFoundError: the format that was chosen does not exist.
    """
    request, fitting_formats = reader.request, list[str]()
    if request.format and not format_named(request.format).needs_path:
        kind = format_named(request.format)
        return Proposal(kind.name, [], None, [], None, [], None, request.dataset or kind.name)
    try:
        files = reader.files()
        name = _dataset(request, reader.root, files)
        if show or not request.format:
            fitting_formats = fitting(reader.root) or (fitting(files[0]) if len(files) == 1 else [])
        chosen = request.format or _guess(request, files, fitting_formats)
    except InputError as error:
        return Proposal(request.format, [], None, [], None, [], None, request.dataset, _said(reader, error))
    made = Proposal(chosen, fitting_formats, None, [], None, [], None, name)
    return _tables(reader, made, files, show) if chosen == TABLE else _published(reader, made, show)


def _said(reader: Reader, error: InputError) -> tuple[str, str | None]:
    return reader.plain(error.message), error.cure and reader.plain(error.cure)


def _guess(request: Request, files: list[Path], fitting_formats: list[str]) -> str:
    """The published format that fits, of several the one whose description names most of the files; else tables."""
    if request.mapping is not None or any(file.suffix == ".toml" for file in files):
        return TABLE
    named = {name: sum(bare_name(file) in format_named(name).help for file in files) for name in fitting_formats}
    return max(named, key=lambda name: named[name], default=TABLE)


def _dataset(request: Request, root: Path, files: list[Path]) -> str:
    if request.dataset:
        return request.dataset
    own = root.name not in ("files", "") and root.is_dir()
    return dataset_of(root.name if own else files[0].name if files else "")


def _published(reader: Reader, made: Proposal, show: bool) -> Proposal:
    kind = format_named(made.format)
    try:
        place = reader.place(kind)
        seen = glance(kind, place) if show else None
    except InputError as error:
        return replace(made, problem=_said(reader, error))
    return replace(made, path=place, preview=seen)


def _tables(reader: Reader, made: Proposal, files: list[Path], show: bool) -> Proposal:
    written = next((file for file in files if file.suffix == ".toml"), None)
    conversation = _Conversation(reader.request.answers)
    beside = reader.root if reader.root.is_dir() else reader.root.parent
    try:
        if reader.request.mapping is not None:
            mapping = _given(reader.request.mapping)
        elif written is not None:
            mapping, made = load_mapping(written), replace(made, path=written)
        else:
            mapping = conversation.hold(files, beside if reader.request.path is None else None)
        reader.guard(mapping, beside)
        made = replace(made, questions=conversation.asked, mapping=mapping)
        if not show:
            return replace(made, problem=conversation.problem)
        seen = preview(mapping, beside / MAPPING_FILE, most=LOOKED)
        return replace(made, tables=_beginnings(mapping, beside), preview=seen, problem=conversation.problem)
    except InputError as error:
        return replace(made, questions=conversation.asked, problem=_said(reader, error))


def _given(mapping: Dictionary[str, Any]) -> Mapping:
    try:
        return Mapping.model_validate(mapping)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "mapping"
        raise InputError(
            f"{where}: {first['msg'].lower()}", cure="docs/tables.md lists the keys of a mapping"
        ) from None


def _beginnings(mapping: Mapping, beside: Path) -> list[Beginning]:
    parts = {part.file: part for _, part in mapping.parts()}
    return [Beginning(Path(file).name, *first_rows(part, beside)) for file, part in parts.items()]


class _Conversation:
    """The wizard's questions, answered by a form: what it does not answer is as the wizard guesses.

    Attributes:
        asked: the questions, with the answer that counts as their guess.
        problem: a question that has no guess and was not answered.
    """

    def __init__(self, answers: Dictionary[str, str]) -> None:
        self._answers = answers
        self._by_key: dict[str, Question] = {}
        self._files: list[str] = []
        self.problem: tuple[str, str | None] | None = None

    @property
    def asked(self) -> list[Question]:
        return list(self._by_key.values())

    def hold(self, files: list[Path], beside: Path | None) -> Mapping:
        """Talk about the files that may be tables.

        Raises:
            InputError: one cannot be read, or they make no mapping.
        """
        tables = [file for file in files if file.suffix.lower() not in _NO_TABLES]
        if not tables:
            raise InputError(
                f"{', '.join(file.name for file in files[:6])}: none of these is a table",
                cure="Send CSV, TSV or Parquet, or choose the format of the files",
            )
        self._files = [file.name for file in tables]
        return answer(converse(tables, beside), self._reply)[0]

    def _reply(self, question: Question) -> str:
        if question.key in self._files:  # "is that right?": the form has a field for each part of it
            return NO
        given, before = self._answers.get(question.key), self._by_key.get(question.key)
        if before is not None:  # what was given cannot be
            given = None
        reply = given if given is not None else question.guess
        if reply is None:
            if not question.columns:
                raise InputError(f"{question.key}: the answer cannot be guessed", cure="Answer the question")
            taken = {each.guess for each in self.asked}
            reply = next((column for column in question.columns if column not in taken), question.columns[0])
            self.problem = self.problem or (f"{question.key}: the answer cannot be guessed", "Choose a column")
        self._by_key[question.key] = replace(question, guess=reply)
        return reply


def mapping_text(mapping: Mapping) -> str:
    """The mapping as the file that `cikg import table` reads."""
    return render(mapping)

"""Exports a dataset as a folder of tables, for backup and analysis; the format `archive` reads it again.

    NAME/
        manifest.json   what it is, and rows, bytes and SHA-256 of every table
        users, items, entities, interests, interactions, facts, user_interests
                        what was imported
        graph/nodes, graph/edges
                        all that jobs and people added: intents, merges, corrections, runs, the answers themselves;
                        see `cikg.datasets.knowledge`. An import of the folder gives the same graph again
        knowledge/…     the same as tables for analysis, with run, answer, evidence and pruning; no import reads them

Tables are Parquet, or CSV for spreadsheets. Rows are sorted, so that the same graph gives the same bytes. In CSV an
empty cell is no value; a text that is empty, or begins as a formula or with an apostrophe, has an apostrophe before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import polars as pl

from cikg import __version__
from cikg.datasets.knowledge import RUN_KINDS, encode
from cikg.errors import InputError
from cikg.files import disk, new_folder
from cikg.graph import Graph
from cikg.graph.database import Row
from cikg.graph.datasets import check
from cikg.graph.export import read_one_state
from cikg.progress import Progress
from cikg.schema import SPLIT_KEYS

LAYOUT: Literal[2] = 2
"""Number of the layout above; an archive of another layout is refused."""

MANIFEST = "manifest.json"
FORMATS = ("parquet", "csv")

_UNRATED = float("nan")
_NEVER = -(2**63)
_CHUNK = 2_000
"""Rows of an answer, each with all edges of one node, that are put into columns at once."""

_RISKY = "^[=+\\-@\t\r\n＝＋－＠']"
"""Beginnings of a text that a spreadsheet may take for a formula, and the apostrophe, so that it can be taken off."""

Read = Callable[..., Iterator[Row]]
Schema = Mapping[str, pl.DataType]


@dataclass(frozen=True)
class ArchiveTable:
    """One table of an archive.

    Attributes:
        name: of the file, without its ending.
        statement: the Cypher that reads it.
        schema: its columns.
        keys: the columns that it is sorted by.
        grouped: columns that an answer holds as lists, one entry a row of the table.
        parameters: of the statement.
    """

    name: str
    statement: str
    schema: Schema
    keys: tuple[str, ...]
    grouped: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


def _texts(*names: str) -> dict[str, pl.DataType]:
    return {name: pl.String() for name in names}


_EVIDENCE = {"evidence": pl.List(pl.String())}
_PRUNED = _texts("pruned_by", "pruned_reason") | {"pruned_along": pl.Boolean()}
_MADE = (
    _texts("run", "completion") | {"round": pl.Int64()} | _EVIDENCE | {"merged_from": pl.List(pl.String())} | _PRUNED
)

DATA = (
    ArchiveTable("users", "archive_users", _texts("id", "name"), ("id",)),
    ArchiveTable("items", "archive_items", _texts("id", "name", "text"), ("id",)),
    ArchiveTable("entities", "archive_entities", _texts("id", "name"), ("id",)),
    ArchiveTable("interests", "archive_interests", _texts("id", "name"), ("id",)),
    ArchiveTable(
        "interactions",
        "archive_interactions",
        _texts("user", "item", "split") | {"rating": pl.Float64(), "at": pl.Int64()},
        ("user", "item"),
        ("item", "split", "rating", "at"),
        {"unrated": _UNRATED, "never": _NEVER},
    ),
    ArchiveTable("facts", "archive_facts", _texts("head", "relation", "tail"), ("head", "relation", "tail"), ("tail",)),
    ArchiveTable(
        "user_interests", "archive_user_interests", _texts("user", "interest"), ("user", "interest"), ("interest",)
    ),
)
"""What an import reads again."""

KNOWLEDGE = "knowledge"

ADDED = (
    ArchiveTable("intents", "knowledge_intents", _texts("id", "name", "merged_into"), ("id",)),
    ArchiveTable("interests", "knowledge_interests", _texts("id", "name", "run"), ("id",)),
    ArchiveTable(
        "user_intents", "knowledge_user_intents", _texts("user", "intent", "name") | _MADE, ("user", "intent", "run")
    ),
    ArchiveTable(
        "item_intents", "knowledge_item_intents", _texts("item", "intent", "name") | _MADE, ("item", "intent", "run")
    ),
    ArchiveTable(
        "intent_interests", "knowledge_intent_interests", _texts("intent", "interest", "run"), ("intent", "interest")
    ),
    ArchiveTable(
        "user_interests",
        "knowledge_user_interests",
        _texts("user", "interest", "name", "run", "completion") | _EVIDENCE | _PRUNED,
        ("user", "interest", "run"),
    ),
    ArchiveTable(
        "profiles",
        "knowledge_profiles",
        _texts("id", "about", "described", "text", "source", "run", "completion") | _EVIDENCE | _PRUNED,
        ("id", "about", "described", "run"),
    ),
)
"""What a language model added."""

WHOLE = (
    ArchiveTable(
        "graph/nodes",
        "knowledge_nodes",
        _texts("label", "key", "properties"),
        ("label", "key"),
        parameters={"kinds": RUN_KINDS},
    ),
    ArchiveTable(
        "graph/edges",
        "knowledge_edges",
        _texts("type", "source_label", "source", "target_label", "target", "properties"),
        ("type", "source_label", "target_label", "source", "target", "properties"),
    ),
)
"""The same and all else that jobs and people added, as an import reads it again."""

TABLES = (*DATA, *WHOLE, *(replace(table, name=f"{KNOWLEDGE}/{table.name}") for table in ADDED))


@dataclass(frozen=True)
class Archived:
    """What was exported.

    Attributes:
        dataset: its name.
        path: the folder.
        format: of its tables.
        rows: by table; those of `knowledge/` begin with that.
    """

    dataset: str
    path: str
    format: str
    rows: dict[str, int]


def export_dataset(graph: Graph, dataset: str, folder: Path, format: str, progress: Progress) -> Archived:  # noqa: A002
    """Write a dataset into a new folder, whole or not at all.

    Args:
        graph: where from.
        dataset: its name.
        folder: must not be there yet.
        format: one of `FORMATS`.
        progress: opens a progress bar: description and total in, `advance(n)` out.

    Raises:
        InputError: there is something at the path.
        NotFoundError: there is no such dataset.
        ConflictError: it is not complete.
    """
    if folder.exists() or folder.is_symlink():
        raise InputError(f"{folder} already exists", cure="Give the path of a new folder")
    check(graph, dataset)
    with progress("reading", None) as advance:
        described, frames = _read(graph, dataset, advance)
    rows = {name: frame.height for name, frame in frames.items()}
    try:
        with progress("writing", sum(rows.values())) as advance, disk(folder.parent), new_folder(folder) as made:
            _write_all(made, described, frames, format, advance)
    except OSError as error:
        raise InputError(f"it cannot be written: {error.strerror}", folder) from None
    return Archived(dataset, str(folder), format, rows)


def _write_all(
    folder: Path,
    described: Row,
    frames: dict[str, pl.DataFrame],
    format: str,  # noqa: A002
    advance: Callable[[int], None],
) -> None:
    tables = {}
    for name, frame in frames.items():
        file = folder / f"{name}.{format}"
        file.parent.mkdir(exist_ok=True)
        _write(frame, file)
        tables[name] = {"file": f"{name}.{format}", "rows": frame.height, **fingerprint(file)}
        advance(frame.height)
    text = json.dumps(_manifest(described, tables), indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _read(graph: Graph, dataset: str, advance: Callable[[int], None]) -> tuple[Row, dict[str, pl.DataFrame]]:
    """The properties of a dataset and its tables, all of one state of the graph: no writer changed it in between."""

    def read_all(described: Row) -> tuple[Row, dict[str, pl.DataFrame]]:
        with graph.reading() as read:
            return described, {table.name: _frame(read, dataset, table, advance) for table in TABLES}

    return read_one_state(graph, dataset, read_all)


def _frame(read: Read, dataset: str, table: ArchiveTable, advance: Callable[[int], None]) -> pl.DataFrame:
    schema = {name: pl.List(kind) if name in table.grouped else kind for name, kind in table.schema.items()}
    answers = read(table.statement, dataset=dataset, **table.parameters)
    if "properties" in table.schema:
        answers = (row | {"properties": encode(dataset, dict(row["properties"]))} for row in answers)
    chunks = [pl.DataFrame(schema=table.schema)]
    while rows := list(islice(answers, _CHUNK)):
        chunk = pl.DataFrame(rows, schema=schema)
        chunks.append(chunk.explode(table.grouped) if table.grouped else chunk)
        advance(chunks[-1].height)
    frame = pl.concat(chunks).sort(table.keys)
    if "at" in table.schema:
        return frame.with_columns(pl.col("rating").fill_nan(None), pl.col("at").replace(_NEVER, None))
    return frame


def _write(frame: pl.DataFrame, file: Path) -> None:
    if file.suffix == ".parquet":
        frame.write_parquet(file)
        return
    frame.with_columns(
        (_cell(pl.col(name)) if kind == pl.String else _json(pl.col(name))).alias(name)
        for name, kind in frame.schema.items()
        if kind == pl.String or isinstance(kind, pl.List)
    ).write_csv(file)


def _cell(column: pl.Expr) -> pl.Expr:
    """Texts as cells that no spreadsheet takes for a formula, and that are told from a missing one."""
    return pl.when((column == "") | column.str.contains(_RISKY)).then("'" + column).otherwise(column)


def _text(column: pl.Expr) -> pl.Expr:
    """The text that `_cell` made a cell of."""
    return column.str.strip_prefix("'")


def _json(column: pl.Expr) -> pl.Expr:
    return column.map_elements(
        lambda values: json.dumps(values.to_list(), ensure_ascii=False), return_dtype=pl.String, skip_nulls=True
    )


def fingerprint(file: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file, as the manifest has them."""
    with file.open("rb") as stream:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def _manifest(described: Row, tables: dict[str, dict[str, Any]]) -> dict[str, Any]:
    kept = ("id", "format", "source", "field", "interests", *SPLIT_KEYS)
    return {
        "layout": LAYOUT,
        "cikg": __version__,
        "dataset": {key: described[key] for key in kept if key in described},
        "tables": tables,
    }


def table_frame(folder: Path, described: Mapping[str, Any], schema: Schema) -> pl.DataFrame:
    """Read a table of an archive as it was before it was written.

    Args:
        folder: the archive.
        described: the table's entry in the manifest.
        schema: its columns.

    Raises:
        InputError: it is not what was exported.
    """
    file = folder / str(described["file"])
    try:
        if fingerprint(file).items() <= described.items():
            frame = pl.read_parquet(file, glob=False) if file.suffix == ".parquet" else _read_csv(file, schema)
            if frame.height == described["rows"] and frame.schema == dict(schema):
                return frame
    except (OSError, pl.exceptions.PolarsError):
        pass
    raise InputError(
        "the table is missing or was changed since the export",
        file,
        cure="Export the dataset again, or import what you edited with a mapping: docs/tables.md",
    )


def _read_csv(file: Path, schema: Schema) -> pl.DataFrame:
    cells = pl.read_csv(file, glob=False, schema=dict.fromkeys(schema, pl.String()))
    return cells.with_columns(
        _text(pl.col(name)) if kind == pl.String else pl.col(name).cast(kind) for name, kind in schema.items()
    )

"""What a database's schema is, and where it departs from what `cypher/schema` and `cikg embed` make of it.

A departure is a `Drift`. Work on a drifted database is refused: without a unique key two writers make two nodes, and
without an index a look-up reads everything. Indexes of a person's own are left alone, since they change no answer; a
constraint of a person's own on one of the platform's labels counts, since it can make a write fail.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cikg.graph import vectors
from cikg.graph.database import Graph
from cikg.graph.schema_files import Migration
from cikg.schema import Label, Relationship

REPAIR = "`cikg schema migrate --repair` recreates it"
_CREATE = re.compile(
    r"""CREATE\s+(?:(?P<kind>RANGE|TEXT|POINT|FULLTEXT|VECTOR)\s+)?(?P<what>CONSTRAINT|INDEX)\s+(?P<name>\w+)\s+
        IF\s+NOT\s+EXISTS\s+FOR\s+ (?:\(\w+:(?P<labels>[\w|]+)\) | \(\)-\[\w+:(?P<types>[\w|]+)\]-\(\))\s+
        (?P<on>.*?) (?:\s+OPTIONS\s+(?P<options>.*))?""",
    re.VERBOSE | re.DOTALL,
)
_DROP = re.compile(r"DROP\s+(?:CONSTRAINT|INDEX)\s+(?P<name>\w+)\s+IF\s+EXISTS")
_PROPERTY = re.compile(r"\b\w+\.(\w+)\b")
_OPTION = re.compile(r"`(?P<key>[\w.]+)`\s*:\s*'?(?P<value>[\w.]+)'?")
_OURS = {*Label, *Relationship}


@dataclass(frozen=True)
class Definition:
    """A constraint or an index.

    Attributes:
        name: its name.
        kind: `unique` or another constraint; `range`, `fulltext`, `vector` or another index.
        constraint: whether it is a constraint; the index of a constraint is not told apart from it.
        on: labels or relationship types, sorted.
        properties: their properties, in order.
        options: settings of the index as text, lower case; of a definition in a file those that it names.
        statement: what makes it; empty for what a database shows.
    """

    name: str
    kind: str
    constraint: bool
    on: tuple[str, ...]
    properties: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)
    statement: str = ""

    def __str__(self) -> str:
        return f"{'|'.join(self.on)}({', '.join(self.properties)})"

    @property
    def what(self) -> str:
        """`constraint` or `index`."""
        return "constraint" if self.constraint else "index"

    def same(self, other: Definition) -> bool:
        """Whether another one, of whatever name, does the same; options that only one names do not count."""
        common = self.options.keys() & other.options.keys()
        return (self.kind, self.on, self.properties) == (other.kind, other.on, other.properties) and all(
            self.options[key] == other.options[key] for key in common
        )


@dataclass(frozen=True)
class Shown:
    """A constraint or an index as the database shows it.

    Attributes:
        definition: what it is.
        state: `online`, `populating` or `failed`.
        percent: how much of it is filled.
        failure: why it failed, or an empty text.
        origin: `schema`, `embedding` or `other`.
    """

    definition: Definition
    state: str
    percent: float
    failure: str
    origin: str = "other"


@dataclass(frozen=True)
class Drift:
    """A departure.

    Attributes:
        message: what is wrong, in a sentence without its full stop.
        cure: what to do.
        make: the definition that repairs it, where that is safe.
        drop: the name of the index to drop before.
    """

    message: str
    cure: str
    make: Definition | None = None
    drop: str | None = None


@dataclass(frozen=True)
class SchemaState:
    """A database's schema.

    Attributes:
        files: {version, name, state, checksum, applied_at} of each file: `applied`, `pending`, `edited` or `unknown`.
        shown: its constraints and indexes, by name.
        embeddings: {embedding, datasets} of those that datasets list, as `Intent/lexical_64`.
        drift: the departures, the gravest first.
    """

    files: list[dict[str, Any]]
    shown: dict[str, Shown]
    embeddings: dict[str, list[str]]
    drift: list[Drift]


def definitions(migrations: Sequence[Migration]) -> dict[str, Definition]:
    """What the files make, by name: all that is created, less what a later file drops."""
    found: dict[str, Definition] = {}
    for statement in (statement for migration in migrations for statement in migration.statements):
        if dropped := _DROP.fullmatch(statement):
            found.pop(dropped["name"], None)
        made = _CREATE.fullmatch(statement)
        if made is None:
            continue
        constraint = made["what"] == "CONSTRAINT"
        options = {option["key"]: option["value"].lower() for option in _OPTION.finditer(made["options"] or "")}
        found[made["name"]] = Definition(
            made["name"],
            "unique" if constraint else (made["kind"] or "range").lower(),
            constraint,
            tuple(sorted((made["labels"] or made["types"]).split("|"))),
            tuple(_PROPERTY.findall(made["on"])),
            options,
            statement,
        )
    return found


def inspect(graph: Graph, migrations: Sequence[Migration]) -> SchemaState:
    """Look at a database's schema; changes nothing.

    Args:
        graph: the database.
        migrations: the files that it should have.
    """
    applied = {row["version"]: row for row in graph.many("migrations")}
    files = _files(migrations, applied)
    known = definitions(migrations)
    due = definitions([migration for migration in migrations if migration.version in applied])
    embeddings = {row["embedding"]: row["datasets"] for row in graph.many("all_embeddings")}
    vectors_due = {one.name: one for one in map(_vector_index, embeddings)}
    shown = {
        name: Shown(**{**vars(one), "origin": _origin(one.definition, known)})
        for name, one in sorted(_shown(graph).items())
    }
    drift = [*_drift_of_files(files), *_drift_of_objects(known, due | vectors_due, shown)]
    return SchemaState(files, shown, embeddings, drift)


def _files(migrations: Sequence[Migration], applied: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    files = []
    for migration in migrations:
        row = applied.get(migration.version)
        edited = row is not None and row["checksum"] != migration.checksum
        state = "edited" if edited else "applied" if row else "pending"
        at = row["applied_at"].iso_format() if row and row["applied_at"] else None
        entry = {"version": migration.version, "name": migration.name, "state": state}
        files.append(entry | {"checksum": migration.checksum, "applied_at": at})
    for version in sorted(set(applied) - {migration.version for migration in migrations}):
        row = applied[version]
        entry = {"version": version, "name": row["name"], "state": "unknown", "checksum": row["checksum"]}
        files.append(entry | {"applied_at": row["applied_at"].iso_format() if row["applied_at"] else None})
    return files


def _shown(graph: Graph) -> dict[str, Shown]:
    indexes = {row["name"]: row for row in graph.many("schema_indexes")}
    found: dict[str, Shown] = {}
    for row in graph.many("schema_constraints"):
        kind = "unique" if "UNIQUENESS" in row["type"] else row["type"].lower()
        definition = Definition(row["name"], kind, True, _sorted(row["labels"]), tuple(row["properties"] or []))
        index = indexes.pop(row["index"], None) if row["index"] else None
        found[row["name"]] = _state(definition, index)
    for name, row in indexes.items():
        options = {key: str(value).lower() for key, value in (row["options"].get("indexConfig") or {}).items()}
        properties = tuple(row["properties"] or [])
        found[name] = _state(
            Definition(name, row["type"].lower(), False, _sorted(row["labels"]), properties, options), row
        )
    return found


def _sorted(names: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(sorted(names or []))


def _state(definition: Definition, index: dict[str, Any] | None) -> Shown:
    if index is None:
        return Shown(definition, "online", 100.0, "")
    failure = (index["failure"] or "").strip().splitlines()
    return Shown(definition, index["state"].lower(), index["percent"], failure[0] if failure else "")


def _vector_index(entry: str) -> Definition:
    """The index that a listed embedding needs."""
    label, _, embedding = entry.partition("/")
    name = vectors.index_name(Label(label), embedding)
    options = {key: str(value).lower() for key, value in vectors.index_options(embedding).items()}
    return Definition(name, "vector", False, (label,), (f"embedding_{embedding}", "dataset"), options)


def _origin(definition: Definition, known: dict[str, Definition]) -> str:
    if definition.name in known:
        return "schema"
    embedded = definition.kind == "vector" and definition.properties[0].startswith("embedding_")
    return "embedding" if embedded and definition.on[0] in _OURS else "other"


def _drift_of_files(files: list[dict[str, Any]]) -> list[Drift]:
    found = [
        Drift(
            f"the database has schema version {file['version']}, which this version of cikg does not know",
            "Install the version of cikg that wrote it, or a newer one",
        )
        for file in reversed(files)
        if file["state"] == "unknown"
    ]
    return found + [
        Drift(
            f"cypher/schema/{file['version']}_{file['name']}.cypher was edited after this database applied it",
            "Restore the file and put the change into a new one, or start with an empty database",
        )
        for file in files
        if file["state"] == "edited"
    ]


def _drift_of_objects(known: dict[str, Definition], due: dict[str, Definition], shown: dict[str, Shown]) -> list[Drift]:
    """Departures of constraints and indexes.

    Args:
        known: what all files make, applied or not.
        due: what has to be there now.
        shown: what is there.
    """
    found: list[Drift] = []
    for name, definition in (known | due).items():
        here = shown.get(name)
        if here is None:
            twin = next((one.definition for one in shown.values() if one.definition.same(definition)), None)
            if twin is not None:
                found.append(_under_another_name(definition, twin))
            elif name in due:
                found.append(Drift(f"the {definition.what} {name} on {definition} is missing", REPAIR, definition))
        elif not here.definition.same(definition):
            found.append(_different(definition, here.definition))
    found += [_failed(one, (known | due).get(name)) for name, one in shown.items() if _has_failed(one)]
    return found + [
        Drift(
            f"the constraint {name} on {one.definition} is not defined in any file of cypher/schema",
            f"Drop it with DROP {one.definition.what.upper()} {_quoted(name)}",
        )
        for name, one in shown.items()
        if one.definition.constraint and one.origin == "other" and _OURS & {*one.definition.on}
    ]


def _under_another_name(definition: Definition, twin: Definition) -> Drift:
    return Drift(
        f"the {definition.what} {definition.name} on {definition} exists under the name {twin.name}",
        f"Drop that with DROP {twin.what.upper()} {_quoted(twin.name)}; then {REPAIR}",
    )


def _different(definition: Definition, here: Definition) -> Drift:
    options = {key: value for key, value in definition.options.items() if here.options.get(key, value) != value}
    wanted = f" with {', '.join(f'{key} {value}' for key, value in options.items())}" if options else ""
    message = (
        f"{definition.name} is a {here.kind} {here.what} on {here} and should be "
        f"a {definition.kind} {definition.what} on {definition}{wanted}"
    )
    if definition.constraint or here.constraint:
        return Drift(message, f"Drop it with DROP {here.what.upper()} {_quoted(here.name)}; then {REPAIR}")
    return Drift(message, REPAIR, definition, drop=here.name)


def _has_failed(one: Shown) -> bool:
    return one.state == "failed" and bool(_OURS & {*one.definition.on})


def _failed(one: Shown, definition: Definition | None) -> Drift:
    name = one.definition.name
    message = f"the {one.definition.what} {name} on {one.definition} has failed: {one.failure.rstrip('.')}"
    if definition is None or definition.constraint:
        return Drift(message, f"Drop it with DROP {one.definition.what.upper()} {_quoted(name)}")
    return Drift(message, f"Correct the cause; then {REPAIR}", definition, drop=name)


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z]\w*", name) else "`" + name.replace("`", "``") + "`"

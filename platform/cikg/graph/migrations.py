"""Brings a database's constraints and indexes up to date: the files of `cypher/schema`, in order, each once.

An applied file is remembered as a `Migration` node with its checksum; a file that changed after it was applied is
refused, since a database made before the change would differ from one made after it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cikg.errors import DriftError, ServiceError
from cikg.graph.database import Graph
from cikg.graph.schema_files import Migration, available
from cikg.graph.schema_state import Definition, Drift, SchemaState, inspect
from cikg.graph.vectors import INDEX_SECONDS, make_index
from cikg.schema import Label

OLDEST_SERVER = (2026, 1)
"""Year and month of the first Neo4j that has what the schema needs."""


@dataclass(frozen=True)
class Changes:
    """What `migrate` did.

    Attributes:
        applied: versions of the files applied.
        repaired: names of the constraints and indexes made again.
    """

    applied: list[str]
    repaired: list[str]


def migrate(graph: Graph, migrations: Sequence[Migration] | None = None, *, repair: bool = False) -> Changes:
    """Apply what is missing and wait until every index answers. Several may do this at once.

    Args:
        graph: the database.
        migrations: what it should have (default: `available()`).
        repair: make again what was dropped, and indexes that failed or became others.

    Returns:
        What was done; nothing where the database was up to date.

    Raises:
        DriftError: the database's schema is not what these files make: they are newer or changed since, or something
            was dropped, has failed or stands in the way.
        ServiceError: something cannot be made, because of what the database holds, or because the server is too old.
    """
    wanted = available() if migrations is None else migrations
    state = inspect(graph, wanted)
    if not repair:
        refuse(state)
    if not state.drift and not _pending(state, wanted):
        return Changes([], [])
    refuse_old(graph.one("server")["version"])
    with graph.defining():
        mended = _mend(graph, inspect(graph, wanted).drift) if repair else []
        state = inspect(graph, wanted)
        refuse(state)
        missing = _pending(state, wanted)
        for migration in missing:
            for statement in migration.statements:
                graph.execute(f"CYPHER 25\n{statement}")
            graph.write("await_indexes", seconds=INDEX_SECONDS)
            graph.write("record_migration", version=migration.version, name=migration.name, checksum=migration.checksum)
    return Changes([migration.version for migration in missing], mended)


def _pending(state: SchemaState, migrations: Sequence[Migration]) -> list[Migration]:
    versions = {file["version"] for file in state.files if file["state"] == "pending"}
    return [migration for migration in migrations if migration.version in versions]


def refuse_old(version: str) -> None:
    """Go on only with a server that filters a vector search by a property.

    Raises:
        ServiceError: it is older.
    """
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST_SERVER:
        raise ServiceError(
            f"Neo4j {version} is too old", cure=f"Use {'.'.join(f'{number:02d}' for number in OLDEST_SERVER)} or newer"
        )


def refuse(state: SchemaState) -> None:
    """Go on only with a schema that has not drifted; one that merely lacks files is fine.

    Raises:
        DriftError: it has; says the gravest departure, and how many more there are.
    """
    if not state.drift:
        return
    first, *others = state.drift
    more = f" (and {len(others)} more: `cikg schema status`)" if others else ""
    raise DriftError(f"{first.message}{more}", cure=first.cure)


def _mend(graph: Graph, drift: Sequence[Drift]) -> list[str]:
    """Make again what can be made without losing anything; the names of what was made."""
    made: list[str] = []
    for one in drift:
        if one.make is None or one.make.name in made:
            continue
        if one.drop is not None:
            graph.write("drop_index", name=one.drop)
        try:
            _make(graph, one.make)
        except ServiceError as error:
            reason = " ".join(error.message.removeprefix("Neo4j refused a statement: ").split()).rstrip(".")
            raise DriftError(
                f"the {one.make.what} {one.make.name} on {one.make} cannot be made: {reason}",
                cure="Correct the data that prevents it, then run `cikg schema migrate --repair` again",
            ) from error
        made.append(one.make.name)
    return made


def _make(graph: Graph, definition: Definition) -> None:
    if definition.statement:
        graph.execute(f"CYPHER 25\n{definition.statement}")
        graph.write("await_indexes", seconds=INDEX_SECONDS)
    else:
        make_index(graph, Label(definition.on[0]), definition.properties[0].removeprefix("embedding_"))

"""The connection to Neo4j: named statements in, plain dictionaries out, driver errors as ours."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import neo4j
from neo4j import exceptions as driver_errors

from cikg.errors import MemoryLimitError, NotFoundError, UnreachableError
from cikg.graph.refusals import OUT_OF_MEMORY, blamed_on_statement, memory_limit, translated
from cikg.graph.statements import Statement, named
from cikg.settings import Settings

Row = dict[str, Any]
_BOLT = re.compile(r"(bolt|neo4j)(\+s|\+ssc)?://", re.IGNORECASE)

BATCH = 10_000
"""Rows a write transaction: large enough to amortise a commit, small enough for the server's memory limit."""
SILENCE = 15.0
"""Seconds after which a server that takes a connection and says nothing counts as away; the driver would wait for 60. A
connection that is open already has all the time that its statement takes."""

# Where nobody has set up logs, as on the command line, our sentence is all that a person sees of a lost connection.
logging.getLogger("neo4j").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Answer:
    """The rows of a person's question, in plain values.

    Attributes:
        columns: their names.
        rows: a value a column.
        truncated: True where there are more rows than were asked for.
    """

    columns: list[str]
    rows: list[list[Any]]
    truncated: bool


@dataclass(frozen=True)
class Operator:
    """One step of a plan, as the server carries out a statement.

    Attributes:
        depth: how many steps take its rows on.
        name: its kind: `NodeUniqueIndexSeek`, `Expand(All)`, …
        details: what it does, in Cypher.
        estimated: rows that the planner expects of it.
        rows: rows it gave; None where the statement was not run.
        hits: reads of the store that it cost; None where the statement was not run.
    """

    depth: int
    name: str
    details: str
    estimated: float
    rows: int | None
    hits: int | None


class Graph:
    """One database. Make it after a fork, never before; it is safe to share between threads.

    Args:
        driver: an open driver.
        database: the database's name.
    """

    def __init__(self, driver: neo4j.Driver, database: str) -> None:
        self._driver = driver
        self._database = database
        # Servers of a cluster may lag behind each other; a single one need not be told what it has, and perhaps has no
        # more, since its database was exchanged for another.
        self._bookmarks = None if isinstance(driver, neo4j.BoltDriver) else driver.execute_query_bookmark_manager

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._driver.close()

    def many(self, name: str, /, **parameters: Any) -> list[Row]:
        """Run a reading statement; return its rows. Retried by the driver while the server is briefly away."""
        return self._run(named(name).text, parameters, neo4j.RoutingControl.READ)

    def one(self, name: str, /, **parameters: Any) -> Row:
        """Run a reading statement that returns exactly one row.

        Raises:
            NotFoundError: it returned none.
        """
        rows = self.many(name, **parameters)
        if len(rows) != 1:
            shown = ", ".join(f"{key}={value!r}" for key, value in parameters.items())
            raise NotFoundError(f"{name} found {len(rows)} rows where one was expected ({shown})")
        return rows[0]

    def write(self, name: str, /, **parameters: Any) -> list[Row]:
        """Run a writing statement in one transaction, retried until it is certainly applied; return its rows.

        Statements are idempotent, so a commit whose answer was lost is safely repeated.
        """
        return self._run(named(name).text, parameters, neo4j.RoutingControl.WRITE)

    def run(self, statement: Statement, /, **parameters: Any) -> list[Row]:
        """Run a statement that was made from a named one, as `vectors.written_for` makes them; return its rows."""
        routing = neo4j.RoutingControl.WRITE if statement.writes else neo4j.RoutingControl.READ
        return self._run(statement.text, parameters, routing)

    def write_rows(
        self,
        name: str,
        /,
        rows: Sequence[Mapping[str, Any]],
        *,
        batch: int = BATCH,
        advance: Callable[[int], None] | None = None,
        **parameters: Any,
    ) -> None:
        """Run a statement that takes `$rows`, a batch a transaction; one that exceeds the server's memory is halved.

        Callers pass rows sorted by their key, so that concurrent writers take locks in one order.

        Args:
            name: the statement.
            rows: its rows.
            batch: rows a transaction.
            advance: called with the number of rows after each commit.
            **parameters: the statement's other parameters.

        Raises:
            MemoryLimitError: a single row exceeds it.
        """
        start = 0
        while start < len(rows):
            part = [dict(row) for row in rows[start : start + batch]]
            try:
                self.write_together([(name, {**parameters, "rows": part})])
            except MemoryLimitError:
                if len(part) == 1:
                    raise
                batch = len(part) // 2  # for the rest, too: they are alike
                continue
            start += len(part)
            if advance is not None:
                advance(len(part))

    def write_together(
        self, steps: Sequence[tuple[str, Mapping[str, Any]]], *, guarded: bool = False
    ) -> list[list[Row]]:
        """Run several writing statements in one transaction: all of them are applied, or none.

        Args:
            steps: names and parameters of idempotent statements, in order.
            guarded: run the others only if the first one returns a row.

        Returns:
            The rows of each that ran.

        Raises:
            MemoryLimitError: at once; the driver would try again, and fail again, for as long as it tries anything.
        """

        def work(transaction: neo4j.ManagedTransaction) -> list[list[Row]]:
            done: list[list[Row]] = []
            try:
                for name, parameters in steps:
                    done.append([dict(record) for record in transaction.run(named(name).text, dict(parameters))])
                    if guarded and not done[0]:
                        break
            except driver_errors.TransientError as error:
                if error.code in OUT_OF_MEMORY:
                    raise memory_limit() from error
                raise
            return done

        with (
            translated(),
            self._driver.session(database=self._database, bookmark_manager=self._bookmarks) as session,
        ):
            return session.execute_write(work)

    @contextmanager
    def reading(self) -> Iterator[Callable[..., Iterator[Row]]]:
        """One read transaction for several statements; each of them sees what is committed when it runs.

        Yields a function `(name, **parameters)` that streams a statement's rows.
        """
        with (
            translated(),
            self._driver.session(
                database=self._database, default_access_mode=neo4j.READ_ACCESS, fetch_size=20_000
            ) as session,
            session.begin_transaction() as transaction,
        ):

            def stream(name: str, /, **parameters: Any) -> Iterator[Row]:
                for record in transaction.run(named(name).text, parameters):
                    yield dict(record)

            yield stream

    @contextmanager
    def holding(self, *names: str, **parameters: Any) -> Iterator[list[Row]]:
        """Run statements that take locks, and keep them until the block ends; nothing that they wrote is kept.

        Yields the rows of the last one.
        """
        with translated(), self._driver.session(database=self._database) as session:
            transaction = session.begin_transaction()
            try:
                rows: list[Row] = []
                for name in names:
                    rows = [dict(record) for record in transaction.run(named(name).text, parameters)]
                yield rows
            finally:
                with suppress(driver_errors.DriverError, driver_errors.Neo4jError):  # a server that ended holds nothing
                    transaction.close()

    def look(
        self,
        text: str,
        parameters: Mapping[str, Any],
        limit: int,
        *,
        seconds: float | None = None,
        see: Callable[[Any], None] | None = None,
    ) -> Answer:
        """Run what a person asks, in a read transaction that is never repeated.

        Args:
            text: one Cypher statement.
            parameters: its parameters.
            limit: the most rows to fetch.
            seconds: how long the server may take; None for as long as it wants.
            see: called with each value of the rows as the driver gives it.

        Raises:
            InputError: the server does not accept the statement, or it writes, or takes too much time or memory.
        """
        with self._asking(seconds, fetch_size=min(limit + 1, 1_000)) as transaction:
            result = transaction.run(text, dict(parameters))
            records = list(itertools.islice(result, limit + 1))
            if see is not None:
                for value in itertools.chain.from_iterable(record.values() for record in records[:limit]):
                    see(value)
            rows = [[plain(value) for value in record.values()] for record in records[:limit]]
            return Answer(list(result.keys()), rows, truncated=len(records) > limit)

    def plan(
        self, text: str, parameters: Mapping[str, Any], *, profile: bool = False, seconds: float | None = None
    ) -> list[Operator]:
        """How the server carries out a statement: its steps, the last one first, each before those that feed it.

        Args:
            text: one Cypher statement.
            parameters: its parameters; only a profile needs them.
            profile: run the statement, and say what each step cost.
            seconds: how long the server may take.

        Raises:
            InputError: as `look`.
        """
        return self.examine(text, parameters, profile=profile, seconds=seconds)[1]

    def examine(
        self, text: str, parameters: Mapping[str, Any], *, profile: bool = False, seconds: float | None = None
    ) -> tuple[str, list[Operator]]:
        """The type of a statement, as the server says it, and its plan: `r` reads, `w` and `rw` write, `s` is neither.

        Arguments and errors are those of `plan`.
        """
        with self._asking(seconds, fetch_size=1_000) as transaction:
            result = transaction.run(f"{'PROFILE' if profile else 'EXPLAIN'} {text}", dict(parameters))
            for _ in result:  # a profile counts what was fetched
                pass
            summary = result.consume()
        return str(summary.query_type), list(_operators(dict((summary.profile if profile else summary.plan) or {}), 0))

    @contextmanager
    def _asking(self, seconds: float | None, fetch_size: int) -> Iterator[neo4j.Transaction]:
        """A read transaction for a person's statement; errors are the statement's."""
        with (
            translated(),
            blamed_on_statement(seconds),
            self._driver.session(
                database=self._database, default_access_mode=neo4j.READ_ACCESS, fetch_size=fetch_size
            ) as session,
            session.begin_transaction(timeout=seconds) as transaction,
        ):
            yield transaction

    def execute(self, text: str, **parameters: Any) -> list[Row]:
        """Run Cypher that is not in `cypher/` as a named block: schema migrations."""
        return self._run(text, parameters, neo4j.RoutingControl.WRITE)

    @contextmanager
    def defining(self) -> Iterator[None]:
        """Make constraints and indexes in this block, and wait for them: one process at a time does.

        Several at once can make the server wait for ever: an index that is being filled and a constraint that is being
        made on the same label each wait for the other's transaction.
        """
        self.write("make_schema_lock")
        with self.holding("hold_schema"):
            yield

    def _run(self, text: str, parameters: Mapping[str, Any], routing: neo4j.RoutingControl) -> list[Row]:
        with translated():
            result = self._driver.execute_query(
                text,
                parameters_=dict(parameters),
                routing_=routing,
                database_=self._database,
                bookmark_manager_=self._bookmarks,
            )
        return [dict(zip(result.keys, record.values(), strict=True)) for record in result.records]


def connect(settings: Settings, *, retry_seconds: float = 30) -> Graph:
    """Open the configured Neo4j and prove that it answers.

    Args:
        settings: name its address, user and password.
        retry_seconds: how long a statement is tried again while the server is away.

    Raises:
        UnreachableError: nothing answers there, or no address is known.
        AuthenticationError: it refuses the password.
    """
    if settings.neo4j_uri is None:
        raise UnreachableError(
            "Neo4j is not running and CIKG_NEO4J_URI is not set",
            cure="Start the embedded services with `cikg up`, or set CIKG_NEO4J_URI",
        )
    if not _BOLT.match(settings.neo4j_uri):  # the driver would take http:, too, the address that browsers have
        raise _no_bolt(settings.neo4j_uri)
    password = settings.neo4j_password.get_secret_value() if settings.neo4j_password else ""
    try:
        driver = neo4j.GraphDatabase.driver(
            settings.neo4j_uri,
            auth=(settings.neo4j_user, password),
            connection_timeout=10,
            connection_acquisition_timeout=SILENCE,
            max_transaction_retry_time=retry_seconds,
            user_agent="cikg",
            notifications_min_severity="OFF",
        )
    except (ValueError, driver_errors.ConfigurationError) as error:
        raise _no_bolt(settings.neo4j_uri) from error
    try:
        with translated(settings.neo4j_uri):
            driver.verify_connectivity()
    except BaseException:
        driver.close()
        raise
    return Graph(driver, settings.neo4j_database)


def _no_bolt(address: str) -> UnreachableError:
    return UnreachableError(
        f"CIKG_NEO4J_URI is {address!r}, which is not a Bolt address",
        cure="Write it like bolt://host:7687 or neo4j+s://host",
    )


def plain(value: Any) -> Any:
    """A value of the driver as one that JSON can show."""
    match value:
        case neo4j.graph.Node() | neo4j.graph.Relationship():
            kind = {"labels": sorted(value.labels)} if isinstance(value, neo4j.graph.Node) else {"type": value.type}
            return kind | plain(dict(value))
        case neo4j.graph.Path():
            return plain([value.start_node, *(step for edge in value.relationships for step in (edge, edge.end_node))])
        case list():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case None | bool() | int() | float() | str():
            return value
    return value.iso_format() if hasattr(value, "iso_format") else str(value)


def _operators(step: Mapping[str, Any], depth: int) -> Iterator[Operator]:
    """A plan from top to bottom."""
    if not step:
        return
    details = step["args"]
    yield Operator(
        depth=depth,
        name=step["operatorType"].partition("@")[0],
        details=" ".join(str(details.get("Details", "")).split()),
        estimated=details.get("EstimatedRows", 0.0),
        rows=step.get("rows"),
        hits=step.get("dbHits"),
    )
    for child in step.get("children", []):
        yield from _operators(child, depth + 1)

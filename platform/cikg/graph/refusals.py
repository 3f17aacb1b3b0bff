"""What the driver's errors mean to a person: each as one of ours, with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from neo4j import exceptions as driver_errors

from cikg.errors import (
    AuthenticationError,
    InputError,
    MemoryLimitError,
    NotReadOnlyError,
    ServiceError,
    TooLargeError,
    TooSlowError,
    UnreachableError,
)
from cikg.graph.interrupts import interruptible

OUT_OF_MEMORY = {f"Neo.TransientError.General.{name}OutOfMemoryError" for name in ("MemoryPool", "Transaction", "")}
_STOPPED = {
    "Neo.DatabaseError.Transaction.TransactionLogError",  # it could not write to its disk
    "Neo.DatabaseError.Transaction.TransactionCommitFailed",
    "Neo.DatabaseError.Transaction.TransactionStartFailed",  # nor does it read until it is started again
    "Neo.TransientError.General.DatabaseUnavailable",
}


def memory_limit() -> MemoryLimitError:
    """The error of a transaction for which the server has too little memory."""
    return MemoryLimitError(
        "a transaction needs more memory than Neo4j gives one",
        cure="Raise db.memory.transaction.max or dbms.memory.transaction.total.max in its neo4j.conf",
    )


_NOT_FOR_READERS = {
    "Neo.ClientError.Procedure.ProcedureNotFound",
    "Neo.ClientError.Statement.ArgumentError",  # a second EXPLAIN, PROFILE or language before the statement
    "Neo.ClientError.Statement.UnsupportedAdministrationCommand",
}


@contextmanager
def blamed_on_statement(seconds: float | None) -> Iterator[None]:
    """Errors of a person's own statement are that person's input, not a fault of the server."""
    try:
        yield
    except driver_errors.Neo4jError as error:
        code = error.code or ""
        if code == "Neo.ClientError.Statement.AccessMode":
            raise NotReadOnlyError("the statement writes, but may only read", cure="Use MATCH and RETURN") from None
        if code.startswith("Neo.ClientError.Transaction.TransactionTimedOut"):
            took = f"{seconds:g} seconds" if seconds else "the server allows"
            raise TooSlowError(
                f"the statement took longer than {took}", cure="Ask for less, or allow more time"
            ) from None
        if code in OUT_OF_MEMORY:
            raise TooLargeError(
                "the statement needs more memory than Neo4j allows one",
                cure="Ask for less, or for a part at a time",
            ) from None
        if code in _NOT_FOR_READERS:
            raise NotReadOnlyError(
                "the statement does something other than reading the graph",
                cure="Use MATCH and RETURN, without CYPHER, EXPLAIN or PROFILE before it",
            ) from None
        if code.startswith("Neo.ClientError.Statement."):
            summary = (error.message or str(error)).splitlines()[0].rstrip(". ")
            raise InputError(f"Neo4j does not accept the statement: {summary}") from None
        raise


@contextmanager
def translated(address: str | None = None) -> Iterator[None]:
    """Turn the driver's errors into ours."""
    where = f" at {address}" if address else ""
    try:
        with interruptible():
            yield
    except (driver_errors.AuthError, driver_errors.TokenExpired) as error:
        raise AuthenticationError(
            f"Neo4j{where} refuses the user or password", cure="Set CIKG_NEO4J_USER and CIKG_NEO4J_PASSWORD"
        ) from error
    except (driver_errors.ServiceUnavailable, driver_errors.SessionExpired) as error:
        raise UnreachableError(
            f"Neo4j{where} does not answer", cure="Start it with `cikg up`, or correct CIKG_NEO4J_URI"
        ) from error
    except driver_errors.Neo4jError as error:
        if error.code == "Neo.ClientError.Database.DatabaseNotFound":
            raise ServiceError(
                f"Neo4j{where} has no such database: {error.message}", cure="Correct CIKG_NEO4J_DATABASE"
            ) from error
        if error.code in OUT_OF_MEMORY:
            raise memory_limit() from error
        if error.code in _STOPPED:
            raise UnreachableError(
                f"Neo4j{where} has stopped its database",
                cure="If its disk is full, make room and restart it; else its log says why",
            ) from error
        raise ServiceError(f"Neo4j refused a statement: {error.message or error}") from error
    except driver_errors.DriverError as error:
        raise ServiceError(f"the connection to Neo4j failed: {error}") from error

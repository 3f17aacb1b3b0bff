"""Addresses and names that lead to no graph are told in a sentence that names the setting; Ctrl-C is Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid

import pytest

from cikg.embedded.supervisor import environment
from cikg.errors import ServiceError, UnreachableError
from cikg.graph import Graph, connect
from cikg.settings import Settings


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:7474", "127.0.0.1:7687", "", "bolt:/host", "redis://127.0.0.1:1"]
)
def test_what_is_no_bolt_address_is_named(settings: Settings, address: str) -> None:
    with pytest.raises(UnreachableError, match=r"which is not a Bolt address. Write it like bolt://host:7687"):
        connect(settings.model_copy(update={"neo4j_uri": address}))


def test_a_database_that_is_not_there_is_named(settings: Settings) -> None:
    with (
        connect(settings.model_copy(update={"neo4j_database": "nowhere"})) as graph,
        pytest.raises(ServiceError, match=r"no such database: .*nowhere.* Correct CIKG_NEO4J_DATABASE"),
    ):
        graph.many("find_dataset", dataset="any")


ENDLESS = "CYPHER 25 UNWIND range(1, 1000000000000) AS one WITH one WHERE one % 7 = 8 RETURN count(*) AS id"
READER = """
import dataclasses, sys
from unittest import mock
from cikg.graph import connect, database, statements
from cikg.settings import load_settings

statement = dataclasses.replace(statements.named("dataset_names"), text=sys.argv[2])
with connect(load_settings()) as graph, mock.patch.object(database, "named", lambda name: statement):
    print("asking", flush=True)
    if sys.argv[1] == "reading":
        with graph.reading() as read:
            list(read("dataset_names"))
    else:
        getattr(graph, sys.argv[1])("dataset_names")
"""


@pytest.mark.parametrize("way", ["many", "write", "reading"])
def test_an_interruption_ends_the_statement_and_is_no_error(settings: Settings, graph: Graph, way: str) -> None:
    """Not one of the driver's, which would end a command with a traceback, nor a wait for what is asked to end."""
    name = f"/* {uuid.uuid4().hex} */"
    running = (
        "SHOW TRANSACTIONS YIELD currentQuery WHERE currentQuery CONTAINS $name AND currentQuery STARTS WITH 'CYPHER'"
    )

    def wait_for(count: int) -> None:
        for _ in range(600):
            if len(graph.execute(running, name=name)) == count:
                return
            time.sleep(0.1)
        raise AssertionError(f"there should be {count} such statements on the server")

    command = [sys.executable, "-c", READER, way, f"{ENDLESS} {name}"]
    with subprocess.Popen(
        command, env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout and reader.stdout.readline() == "asking\n"
        try:
            wait_for(1)
            reader.send_signal(signal.SIGINT)
            _, errors = reader.communicate(timeout=60)
        finally:
            reader.kill()
    assert errors.rstrip().endswith("KeyboardInterrupt"), errors[-2_000:]
    assert "During handling" not in errors, errors[-2_000:]
    wait_for(0)

"""Addresses and names that lead to no graph are told in a sentence that names the setting; Ctrl-C is Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from cikg.embedded.supervisor import environment
from cikg.errors import ServiceError, UnreachableError
from cikg.graph import connect
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


READER = """
import dataclasses
from unittest import mock
from cikg.graph import connect, database, statements
from cikg.settings import load_settings

slow = "CYPHER 25 RETURN reduce(sum = 0, one IN range(1, 60000000) | sum + one) AS sum, range(1, 200000) AS id"
statement = dataclasses.replace(statements.named("dataset_names"), text=slow)
with connect(load_settings()) as graph, mock.patch.object(database, "named", lambda name: statement):
    with graph.reading() as read:
        print("reading", flush=True)
        list(read("dataset_names"))
"""


def test_an_interrupted_answer_is_an_interruption(settings: Settings) -> None:
    """Not an error of the driver's, which would end a command with a traceback."""
    command = [sys.executable, "-c", READER]
    with subprocess.Popen(
        command, env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout and reader.stdout.readline() == "reading\n"
        time.sleep(0.7)  # it waits for an answer that will not fit into what it has read into so far
        reader.send_signal(signal.SIGINT)
        _, errors = reader.communicate(timeout=30)
    assert errors.rstrip().endswith("KeyboardInterrupt") and "BufferError" not in errors, errors[-2_000:]

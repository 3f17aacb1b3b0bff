"""Addresses and names that lead to no graph are told in a sentence that names the setting; Ctrl-C is Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from cikg.embedded.supervisor import environment
from cikg.errors import ServiceError, UnreachableError
from cikg.graph import connect
from cikg.settings import Settings


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:7474", "127.0.0.1:7687", "", "bolt:/host", "redis://127.0.0.1:1"]
)
def test_what_is_no_bolt_address_is_named(settings: Settings, address: str) -> None:
    with pytest.raises(UnreachableError, match=r"which is no Bolt address. Write it like bolt://host:7687"):
        connect(settings.model_copy(update={"neo4j_uri": address}))


def test_a_database_that_is_not_there_is_named(settings: Settings) -> None:
    with (
        connect(settings.model_copy(update={"neo4j_database": "nowhere"})) as graph,
        pytest.raises(ServiceError, match=r"no such database: .*nowhere.* Correct CIKG_NEO4J_DATABASE"),
    ):
        graph.many("find_dataset", dataset="any")


@pytest.mark.parametrize("after", [0, 20_000])
def test_an_interrupted_answer_is_an_interruption(settings: Settings, after: int) -> None:
    """Not an error of the driver's, which would end a command with a traceback."""
    program = (
        "import sys; from unittest import mock; from cikg.graph import connect, database, statements\n"
        "from cikg.settings import load_settings\n"
        "long = statements.named('dataset_names')\n"
        "import dataclasses\n"
        "long = dataclasses.replace(long, text='CYPHER 25 UNWIND range(1, 100000000) AS id RETURN id')\n"
        "with mock.patch.object(database, 'named', lambda name: long), connect(load_settings()) as graph:\n"
        "    with graph.reading() as read:\n"
        "        for number, _ in enumerate(read('dataset_names')):\n"
        f"            if number == {after}: print('reading', flush=True)\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout and reader.stdout.readline() == "reading\n"
        reader.send_signal(signal.SIGINT)
        _, errors = reader.communicate(timeout=30)
    assert errors.rstrip().endswith("KeyboardInterrupt"), errors[-2_000:]

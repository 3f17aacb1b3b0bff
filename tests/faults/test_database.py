"""A Neo4j at its worst: it takes connections and says nothing."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from cikg.errors import UnreachableError
from cikg.graph import Graph, connect, database
from cikg.schema import uid
from cikg.settings import Settings
from tests.conftest import CIKG

BOLT_5_4 = b"\x00\x00\x04\x05"
"""What a server answers first: the version of the protocol that it chose."""


@pytest.fixture
def mute(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port where a server takes every connection, says one thing, and nothing after that."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            with suppress(OSError):  # closed
                while True:
                    held.append(server.accept()[0])
                    held[-1].sendall(request.param)

        thread = threading.Thread(target=take)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in held:
            connection.close()


@pytest.mark.parametrize("mute", [b"", BOLT_5_4], indirect=True, ids=["at once", "after the version"])
@pytest.mark.parametrize("scheme", ["bolt", "neo4j"])
def test_a_neo4j_that_says_nothing_is_told(
    mute: int, scheme: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "SILENCE", 0.5)
    address = f"{scheme}://127.0.0.1:{mute}"
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=f"Neo4j at {address} does not answer"):
        connect(settings.model_copy(update={"neo4j_uri": address}))
    assert time.monotonic() - began < 20, "the driver's own patience is 60 s"


@pytest.mark.parametrize("mute", [BOLT_5_4], indirect=True, ids=["after the version"])
def test_a_command_says_so_in_one_sentence(mute: int, environment: dict[str, str]) -> None:
    command = [*CIKG[:-1], "from cikg.graph import database; database.SILENCE = 0.5; " + CIKG[-1], "dataset", "list"]
    own = environment | {"CIKG_NEO4J_URI": f"bolt://127.0.0.1:{mute}"}
    told = subprocess.run(command, env=own, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 2
    (sentence,) = told.stderr.splitlines()
    assert sentence.startswith("cikg: Neo4j at ")


def _text(value: str) -> bytes:
    return b"\xd0" + bytes([len(value)]) + value.encode()


HINTS = b"\xa1" + _text("connection.recv_timeout_seconds") + b"\x01"
GREETING = b"\xa3" + b"".join(
    _text(name) + value
    for name, value in {"server": _text("Neo4j/5.4.0"), "connection_id": _text("bolt-1"), "hints": HINTS}.items()
)
"""What Neo4j says of itself as a connection begins: here, that a client hears something from it every second."""
RUN = 0x10
"""A message that begins a statement."""


@pytest.fixture
def falling_mute() -> Iterator[tuple[int, threading.Event]]:
    """A port where a server agrees to everything until the first statement, and says nothing after that.

    With it comes whether somebody waited for so long that the server hung up.
    """
    held: list[socket.socket] = []
    ended, hung_up = threading.Event(), threading.Event()

    def agree(connection: socket.socket) -> None:
        with suppress(OSError), connection.makefile("rb") as said:
            said.read(20)
            connection.sendall(BOLT_5_4)
            while size := int.from_bytes(said.read(2)):
                message = said.read(size)
                said.read(2)
                if message[1] == RUN and not ended.wait(20):
                    hung_up.set()
                    connection.shutdown(socket.SHUT_RDWR)
                answer = b"\xb1\x70" + GREETING
                connection.sendall(len(answer).to_bytes(2) + answer + b"\x00\x00")

    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            with suppress(OSError):  # closed
                while True:
                    held.append(server.accept()[0])
                    threading.Thread(target=agree, args=(held[-1],), daemon=True).start()

        thread = threading.Thread(target=take)
        thread.start()
        yield server.getsockname()[1], hung_up
        ended.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in held:
            connection.close()


def test_one_that_falls_mute_within_a_statement_is_told(
    falling_mute: tuple[int, threading.Event], settings: Settings
) -> None:
    port, hung_up = falling_mute
    own = settings.model_copy(update={"neo4j_uri": f"bolt://127.0.0.1:{port}"})
    with connect(own, retry_seconds=0) as graph, pytest.raises(UnreachableError, match="does not answer"):
        graph.execute("RETURN 1")
    assert not hung_up.is_set(), "its silence was enough"


def test_a_statement_has_all_the_time_that_it_takes(
    graph: Graph, settings: Settings, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "SILENCE", 0.5)
    command = {"run": uid(dataset, "waits"), "properties": {"dataset": dataset, "id": "waits"}}
    with connect(settings) as patient:
        waiting = threading.Thread(target=patient.write, args=("queue_command",), kwargs=command)
        with graph.holding("queue_command", **command):  # and the other one waits for its lock
            waiting.start()
            waiting.join(2.0)
            assert waiting.is_alive(), "it waits"
        waiting.join()
    (found,) = graph.execute("MATCH (run:Run {uid: $run}) RETURN run.state AS state", run=command["run"])
    assert found["state"] == "planned", "it came through once it could"

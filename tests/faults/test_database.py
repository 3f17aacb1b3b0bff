"""A Neo4j at its worst: it says nothing, many write to it at once, or others keep their own data in it."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from cikg.datasets.drop import drop
from cikg.datasets.loader import load
from cikg.errors import UnreachableError
from cikg.extraction import queue
from cikg.graph import Graph, connect, database
from cikg.graph.snapshot import take
from cikg.schema import uid
from cikg.settings import Settings
from tests.conftest import CIKG
from tests.integration.extraction.conftest import site

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


WRITERS = 8


def test_writers_in_opposite_orders_all_finish_with_exactly_the_edges(graph: Graph, dataset: str) -> None:
    """Neo4j ends one of two that wait for each other, and the driver lets it try again."""
    graph.execute(
        "UNWIND range(0, 19) AS n "
        "CREATE (:User {uid: $d + ':u' + n, dataset: $d}), (:Interest {uid: $d + ':i' + n, dataset: $d})",
        d=dataset,
    )
    pairs = [(f"{dataset}:u{user}", f"{dataset}:i{interest}") for user in range(20) for interest in range(20)]
    rows = [{"user": user, "interest": interest, "completion": "c", "evidence": []} for user, interest in pairs]
    begin = threading.Barrier(WRITERS)

    def write(number: int) -> None:
        begin.wait()
        graph.write_rows("write_holders", rows[:: -1 if number % 2 else 1], batch=100, run=f"{dataset}:{number}")

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    edges = graph.execute(
        "MATCH (u:User {dataset: $d})-[:HAS_INTEREST]->(i) RETURN u.uid AS user, i.uid AS interest", d=dataset
    )
    assert sorted((edge["user"], edge["interest"]) for edge in edges) == sorted(pairs)


def test_many_at_once_make_one_node_of_a_key(graph: Graph, dataset: str) -> None:
    key, begin = f"{dataset}:answer", threading.Barrier(2 * WRITERS)

    def write(number: int) -> None:
        begin.wait()
        properties = {"id": "answer", "text": f"{number}", "model": f"{number}", "status": "valid"}
        graph.write("store_completions", dataset=dataset, rows=[{"uid": key, "properties": properties}])

    with ThreadPoolExecutor(2 * WRITERS) as pool:
        list(pool.map(write, range(2 * WRITERS)))
    (kept,) = graph.execute("MATCH (c:Completion {uid: $uid}) RETURN c.text AS text, c.model AS model", uid=key)
    assert kept["text"] == kept["model"], "one of them, and whole"


FOREIGN = """
CREATE (ann:Foreign:User {name: 'Ann', secret: 'of another program'}),
       (ann)-[:INTERACTED]->(:Foreign:Item {title: 'x'}), (ann)-[:KNOWS]->(:Foreign:Person {uid: $d + ':0'}),
       (:Foreign:Dataset {title: 'not ours'}), (:Foreign:Interest),
       (:Foreign:Run {state: 'running'}), (:Foreign:Entity {dataset: 7}), (:Foreign:Subject {state: 'planned'}),
       (:Foreign:Account {email: 'ann@example.org'}), (:Foreign:Query {text: 'SELECT 1'})
"""


def foreign(graph: Graph) -> list[database.Row]:
    return graph.execute(
        "MATCH (n:Foreign) OPTIONAL MATCH (n)-[e]-(other) "
        "RETURN elementId(n) AS id, labels(n) AS labels, properties(n) AS properties, type(e) AS type, "
        "properties(e) AS edge, elementId(other) AS other ORDER BY id, type, other"
    )


def test_data_of_others_in_the_same_database_is_neither_read_nor_touched(
    graph: Graph, dataset: str, settings: Settings, environment: dict[str, str]
) -> None:
    alone = f"{dataset}-alone"
    load(graph, "demo", None, alone)
    expected = take(graph, alone, settings).manifest["counts"]
    graph.execute(FOREIGN, d=dataset)
    try:
        before = foreign(graph)
        load(graph, "demo", None, dataset)
        assert take(graph, dataset, settings).manifest["counts"] == expected
        queue.sweep(graph, queue.create_app(settings), settings)
        command = [*CIKG, "dataset", "list", "--json"]
        listed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert dataset in listed.stdout and "not ours" not in listed.stdout
        with site(settings) as browser:
            for page in ("/", "/health", f"/d/{dataset}/", "/api/v1/datasets"):
                assert browser.get(page, follow_redirects=True).status_code == 200, page
        drop(graph, dataset)
        assert foreign(graph) == before
    finally:
        graph.execute("MATCH (n:Foreign) DETACH DELETE n")

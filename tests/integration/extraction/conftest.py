"""A planted library, a stand-in that counts its calls, and worker processes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

import web
from cikg.cli import main
from cikg.embedded.supervisor import environment
from cikg.extraction import ledger
from cikg.extraction.job import Request, Subject, Work, job
from cikg.extraction.jobs.user_interests import UserInterests
from cikg.extraction.runner import Runner
from cikg.graph import Graph
from cikg.llm.prompts import Prompt
from cikg.settings import Settings
from tests.dashboard import operator
from tests.workplace import TOPICS, end, free_port, plant_library, start_standin, start_worker
from web import store

REPOSITORY = Path(__file__).parents[3]
ITEMS_OF_A_TOPIC = 12


def plant(graph: Graph, dataset: str, readers: int) -> dict[str, str]:
    """Write readers who read 4 books of one topic each, up to 96 of them no two the same; returns reader -> topic."""
    plant_library(graph, dataset, ITEMS_OF_A_TOPIC)
    rows = []
    for reader in range(readers):
        topic, turn = reader % len(TOPICS), reader // len(TOPICS)
        first, step = turn % ITEMS_OF_A_TOPIC, 1 + (turn // ITEMS_OF_A_TOPIC) % 2
        books = [f"{topic}-{(first + step * number) % ITEMS_OF_A_TOPIC}" for number in range(4)]
        unread = f"{topic}-{(first + step * 4) % ITEMS_OF_A_TOPIC}"
        rows.append({"user": f"r{reader}", "books": books, "test": unread})
    graph.execute(
        "UNWIND $rows AS row MERGE (u:User {uid: $d + ':' + row.user}) SET u += {dataset: $d, id: row.user} "
        "WITH u, row UNWIND range(0, size(row.books) - 1) AS at "
        "MATCH (b:Item {uid: $d + ':' + row.books[at]}) "
        "MERGE (u)-[r:INTERACTED]->(b) SET r += {split: 'train', at: at} "
        "WITH DISTINCT u, row MATCH (b:Item {uid: $d + ':' + row.test}) "
        "MERGE (u)-[r:INTERACTED]->(b) SET r += {split: 'test', at: 99}",
        d=dataset,
        rows=rows,
    )
    return {row["user"]: TOPICS[number % len(TOPICS)] for number, row in enumerate(rows)}


def found(graph: Graph, dataset: str) -> list[dict[str, Any]]:
    """What extraction wrote, without what differs between two equal runs: times, and the dataset's name."""
    return graph.execute(
        "MATCH (u:User {dataset: $d})-[e:POSSESSES]->(i:Intent) "
        "RETURN u.id AS user, i.id AS intent, i.name AS name, e.evidence AS evidence, e.round AS round, "
        "substring(e.completion, size($d)) AS completion, substring(e.run, size($d)) AS run ORDER BY user, intent",
        d=dataset,
    )


def everything(graph: Graph, dataset: str) -> str:
    """A digest of every node and edge of a dataset with all properties, times included."""
    nodes = graph.execute(
        "MATCH (n {dataset: $d}) RETURN labels(n) AS labels, n.uid AS uid, properties(n) AS p ORDER BY labels, uid",
        d=dataset,
    )
    edges = graph.execute(
        "MATCH (a {dataset: $d})-[e]->(b) RETURN a.uid AS a, type(e) AS type, b.uid AS b, properties(e) AS p "
        "ORDER BY a, type, b",
        d=dataset,
    )
    return hashlib.sha256(json.dumps([nodes, edges], default=str, sort_keys=True).encode()).hexdigest()


@pytest.fixture
def planted(graph: Graph, dataset: str) -> Iterator[Callable[..., dict[str, str]]]:
    """`plant` for the test's own datasets, removed afterwards."""
    made: list[str] = []

    def make(readers: int, name: str = dataset) -> dict[str, str]:
        made.append(name)
        return plant(graph, name, readers)

    yield make
    for name in made:
        graph.execute("MATCH (n {dataset: $d}) DETACH DELETE n", d=name)


@dataclass
class StandIn:
    """A running stand-in."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def control(self, told: dict[str, Any] | None = None) -> int:
        """Tell it how to behave, if anything is told; the chat requests since it was told, faults included."""
        data = None if told is None else json.dumps(told).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/control", data=data, timeout=5) as answer:
            return int(json.load(answer)["calls"])

    @property
    def calls(self) -> int:
        return self.control()


@pytest.fixture(scope="session")
def shared_standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """One stand-in for all tests that do not stop it."""
    port = free_port()
    process = start_standin(tmp_path_factory.mktemp("standin"), port, counting=True)
    yield StandIn(port)
    end(process)


@pytest.fixture
def standin(shared_standin: StandIn) -> Callable[..., StandIn]:
    """Have the stand-in behave: `standin(fault="refusal@some text")`; its count starts again."""

    def tell(**told: Any) -> StandIn:
        shared_standin.control(told)
        return shared_standin

    return tell


@pytest.fixture
def own_standin(tmp_path: Path) -> Iterator[Callable[[int], StandIn]]:
    """Start a stand-in on a port, for tests that need it dead for a while."""
    running: list[subprocess.Popen[bytes]] = []

    def start(port: int) -> StandIn:
        running.append(start_standin(tmp_path, port, counting=True))
        return StandIn(port)

    yield start
    for process in running:
        end(process)


@pytest.fixture
def job_settings(settings: Settings) -> Callable[..., Settings]:
    """Settings that ask a given stand-in, with short waits: `job_settings(standin, llm_retries=0)`."""

    def make(asked: StandIn | str, **changes: Any) -> Settings:
        redis = settings.redis_url.get_secret_value().rpartition("/")[0] if settings.redis_url else ""
        values = {
            "openai_base_url": asked if isinstance(asked, str) else asked.url,
            "openai_model": "stand-in",
            "openai_api_key": None,
            "redis_url": SecretStr(f"{redis}/9"),  # its own messages: the person's workers read database 0
            "llm_timeout": 5.0,
            "llm_retries": 1,
            "sweep_seconds": 3600.0,  # a test's worker does its own runs alone
        }
        return settings.model_copy(update={**values, **changes})

    return make


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[[Settings], subprocess.Popen[bytes]]]:
    """Start Celery workers as the supervisor starts them."""
    running: list[subprocess.Popen[bytes]] = []

    def start(settings: Settings) -> subprocess.Popen[bytes]:
        running.append(start_worker(settings, tmp_path / f"worker-{len(running)}.log").process)
        return running[-1]

    yield start
    for process in running:
        end(process)


@contextmanager
def site(settings: Settings) -> Iterator[FlaskClient]:
    """The dashboard, by whoever runs the platform."""
    app = web.create_app(settings.model_copy(update={"secret_key": SecretStr("a-key-of-the-tests-0123456")}))
    yield operator(app, settings)
    store.close(app)


@dataclass
class Ended:
    """What a finished command said."""

    code: int
    data: dict[str, Any]
    errors: str


Command = Callable[..., "Future[Ended]"]


@pytest.fixture
def cikg(monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Run the command-line tool in a thread: `cikg(settings, "extract", …).result()`."""
    with ThreadPoolExecutor(1) as pool:

        def start(settings: Settings, *arguments: str) -> Future[Ended]:
            wanted = environment(settings)
            for name in set(os.environ) - set(wanted):
                monkeypatch.delenv(name)
            for name, value in wanted.items():
                monkeypatch.setenv(name, value)
            return pool.submit(_run, [*arguments, "--json"])

        yield start


def _run(arguments: list[str]) -> Ended:
    output, errors = io.StringIO(), io.StringIO()
    code: Any = 0
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            main(arguments)
        except SystemExit as stop:
            code = stop.code
    (line,) = output.getvalue().splitlines()
    return Ended(code, json.loads(line), errors.getvalue())


@dataclass
class Workplace:
    """What the tests of the whole way need."""

    graph: Graph
    dataset: str
    planted: Callable[..., dict[str, str]]
    standin: Callable[..., StandIn]
    own_standin: Callable[[int], StandIn]
    settings: Callable[..., Settings]
    worker: Callable[[Settings], subprocess.Popen[bytes]]
    cikg: Command


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Workplace:
    """All of them at once."""
    fixtures = {"settings": "job_settings"}
    names = [field.name for field in fields(Workplace)]
    return Workplace(**{name: request.getfixturevalue(fixtures.get(name, name)) for name in names})


def go_on(place: Workplace, settings: Settings, run: str) -> dict[str, Any]:
    """Do what is left of a run in this process, as workers would; where it stands then."""
    with Runner(place.graph, settings) as runner:
        runner.work_all(run, ledger.open_shards(place.graph, run))
    return ledger.progress(place.graph, run)


def two_turns(subject: Subject) -> Work:
    """Ask about a reader, and once more with the first answer."""
    talk = job("user_interests").work(subject)
    first: Request = next(talk)
    answer: UserInterests = yield first
    (system, question) = first.prompt.messages
    asked = (system, ("user", f"Is this all: {answer.interests[0].phrase}?"), question)
    last = yield Request(Prompt(first.prompt.name, first.prompt.version, asked), first.schema)
    return last

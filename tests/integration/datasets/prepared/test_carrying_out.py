"""Prepared imports under bad luck: two that begin at once, and a worker's process that is killed half-way."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cikg.datasets import loader
from cikg.datasets.drop import drop
from cikg.datasets.loader import TakenError, load
from cikg.datasets.prepared.carrying_out import carry_out
from cikg.datasets.prepared.intake import Choices, Intake, Intakes
from cikg.errors import CikgError
from cikg.graph import Graph
from cikg.settings import Settings
from tests.integration.graph.state import digest

MAPPING = '[interactions]\nfile = "ratings.csv"\nheader = false\nuser = 1\nitem = 2\nrating = 3\n'
SMALL = (
    "import sys; from cikg.datasets import batches; batches.NODE_BATCH, batches.EDGE_BATCH = 60, 20; "
    "from cikg.cli import main; main(sys.argv[1:])"
)


def ratings(seed: int, count: int = 3_000) -> str:
    return "".join(f"u{n % 101},i{(n * 7 + seed) % 97},{n % 5 + 1}\n" for n in range(count))


def folder(path: Path, seed: int) -> Path:
    path.mkdir()
    (path / "ratings.csv").write_text(ratings(seed))
    (path / "mine.toml").write_text(MAPPING)
    return path / "mine.toml"


@pytest.fixture
def names(graph: Graph, dataset: str) -> Iterator[list[str]]:
    made = [dataset, f"{dataset}-calm"]
    yield made
    for name in made:
        if graph.many("find_dataset", dataset=name):
            drop(graph, name)


@pytest.mark.parametrize("seeds", [(0, 1), (0, 0)], ids=["different", "the same"])
def test_two_imports_that_begin_at_once_do_not_mix(
    graph: Graph, names: list[str], tmp_path: Path, seeds: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2, timeout=30)
    begin = loader._Import._begin

    def together(self: Any, *arguments: Any) -> bool:
        if threading.current_thread().name.startswith("import"):
            both.wait()  # neither finds the other before it begins
        return begin(self, *arguments)

    monkeypatch.setattr(loader._Import, "_begin", together)
    ended: dict[int, CikgError | None] = {}

    def start(number: int, mapping: Path) -> None:
        try:
            load(graph, "table", mapping, names[0])
            ended[number] = None
        except CikgError as error:
            ended[number] = error

    mappings = [folder(tmp_path / f"{number}", seed) for number, seed in enumerate(seeds)]
    threads = [threading.Thread(target=start, args=each, name=f"import-{each[0]}") for each in enumerate(mappings)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = next(number for number, error in ended.items() if error is None)
    if seeds[0] != seeds[1]:
        assert isinstance(ended[1 - first], TakenError)
    load(graph, "table", mappings[first], names[1])
    assert digest(graph, names[0]) == digest(graph, names[1])


@pytest.fixture
def prepared(settings: Settings, names: list[str]) -> Iterator[Intake]:
    with Intakes(settings).receive("tests") as made:
        made.put("ratings.csv", io.BytesIO(ratings(0).encode()))
        made.put("mine.toml", io.BytesIO(MAPPING.encode()))
    made.change(dataset=names[0], format="table", choices=Choices())
    made.start()
    yield made
    made.remove()


def test_a_process_that_was_killed_is_gone_on_from(
    graph: Graph, settings: Settings, environment: dict[str, str], prepared: Intake, tmp_path: Path
) -> None:
    name = prepared.request.dataset
    calm = f"{name}-calm"
    arguments = [sys.executable, "-c", SMALL, "import", "prepared", prepared.id]
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(arguments, env=environment | dict.fromkeys(["PYTHONWARNINGS"], ""), stderr=said)
        deadline = time.monotonic() + 60
        while not any(row["dataset"]["imported"] > 250 for row in graph.many("find_dataset", dataset=name)):
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "said").read_text()
            time.sleep(0.005)
        assert prepared.stage.value == "running"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert prepared.stage.value == "interrupted" and prepared.sent(), "what was sent is still there"
    assert not carry_out(settings, prepared.id).unchanged  # as the next worker does
    assert prepared.stage.value == "done"
    load(graph, "table", folder(tmp_path / "calm", 0), calm)
    assert digest(graph, name) == digest(graph, calm)

"""Many people at once: keep-alive clients that walk pages and API for a while, each pausing between two clicks.

python -m tests.benchmarks.bench_load DATASET [--clients 50] [--seconds 60]

The dataset has to be imported and a model of it published. Says how many requests failed (none should), how long they
took, and what memory the server had after a third of the time and at the end.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import psutil

from cikg.access import tokens
from cikg.access.accounts import Scope
from cikg.graph import connect
from cikg.settings import load_settings
from tests.benchmarks.bench_api import know, log_in, questions, server

PAUSES = 0.5, 1.5
"""Seconds between an answer and the next click."""
API_SHARE = 0.3


@dataclass
class Walked:
    """What the clients saw; shared by their threads, and only appended to."""

    milliseconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ways:
    """Where clients go: paths and headers of the API (True) and of pages (False)."""

    paths: dict[bool, list[str]]
    headers: dict[bool, dict[str, str]]


def walk(port: int, ways: Ways, seed: int, end: float, seen: Walked) -> None:
    """One client: a page or a question of the API, a pause, the next; over one connection as long as it holds."""
    chance = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while time.monotonic() < end:
        time.sleep(chance.uniform(*PAUSES))
        is_api = chance.random() < API_SHARE
        path = chance.choice(ways.paths[is_api])
        begun = time.perf_counter()
        try:
            connection.request("GET", path, headers=ways.headers[is_api])
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            seen.failures.append(f"{path}: {error!r}")
            connection.close()
            continue
        seen.milliseconds.append((time.perf_counter() - begun) * 1e3)
        if answer.status != http.client.OK:
            seen.failures.append(f"{path}: {answer.status}")
    connection.close()


def memory(process: int) -> float:
    """MiB that a process and its children hold."""
    root = psutil.Process(process)
    held: int = sum(each.memory_info().rss for each in [root, *root.children(recursive=True)])
    return held / 2**20


def main() -> None:
    """Walk, and say what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    settings, seen = load_settings(), Walked()
    with connect(settings) as graph, server(settings) as (port, process):
        asked = questions(arguments.dataset, know(graph, arguments.dataset), 300)
        paths = {
            is_api: [path for name, each in asked.items() if name.startswith("API") == is_api for path in each]
            for is_api in (True, False)
        }
        paths[False] = [path for path in paths[False] if path not in ("/healthz", "/health")]
        identifier, token = tokens.create(graph, None, "benchmark", [Scope.READ], actor="benchmark", days=1)
        headers = {True: {"Authorization": f"Bearer {token}"}, False: log_in(port, settings)}
        ways = Ways(paths, headers)
        end = time.monotonic() + arguments.seconds
        clients = [
            threading.Thread(target=walk, args=(port, ways, seed, end, seen)) for seed in range(arguments.clients)
        ]
        for client in clients:
            client.start()
        time.sleep(arguments.seconds / 3)
        early = memory(process)
        for client in clients:
            client.join()
        late = memory(process)
        tokens.revoke(graph, identifier, "benchmark")
    median, high, highest = np.percentile(seen.milliseconds, [50, 95, 99])
    print(  # noqa: T201
        f"{arguments.clients} clients, {arguments.seconds:.0f} s: {len(seen.milliseconds)} answers, "
        f"{len(seen.failures)} failures; p50 {median:.0f}, p95 {high:.0f}, p99 {highest:.0f} ms; "
        f"{early:.0f} MiB after a third, {late:.0f} MiB at the end; load {os.getloadavg()[0]:.1f}"
    )
    for failure in seen.failures[:10]:
        print(failure)  # noqa: T201


if __name__ == "__main__":
    main()

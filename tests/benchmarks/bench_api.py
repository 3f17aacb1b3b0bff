"""How fast the API and the pages answer over HTTP, one worker, one caller after another: median, p95 and p99.

python -m tests.benchmarks.bench_api DATASET [--requests N]

The dataset has to be imported and a model of it published. A bare `/healthz` in the same run is the yardstick: what the
server, the client and the machine cost alone. No question is asked twice, so that no answer is one that was kept.
"""

from __future__ import annotations

import argparse
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
from werkzeug.routing import Map

from cikg.access import tokens
from cikg.access.accounts import Scope
from cikg.access.sessions import one_time_token
from cikg.embedded.supervisor import environment
from cikg.graph import Graph, connect
from cikg.settings import Settings, load_settings
from web.urls import IdConverter

WARM = 20
"""Requests of a kind before those that are timed."""


@contextmanager
def server(settings: Settings) -> Iterator[tuple[int, int]]:
    """The dashboard as `cikg up` runs it, with one worker; its port and its process's id."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--interface", "wsgi", "--no-ws", "--factory", "--blocking-threads", "8", "--log-level", "error"]
    process = subprocess.Popen(
        [sys.executable, "-m", "granian", *options, "--host", "127.0.0.1", "--port", str(port), "web:create_app"],
        env=environment(settings) | {"CIKG_SECRET_KEY": "b" * 32, "CIKG_API_RATE_LIMIT": "100000000 per minute"},
    )
    try:
        _await(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def _await(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return


def log_in(port: int, settings: Settings) -> dict[str, str]:
    """Headers of a browser that is logged in as the operator."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", f"/login/{one_time_token(settings)}")
    cookie = connection.getresponse().headers["Set-Cookie"]
    return {"Cookie": cookie.partition(";")[0], "Accept": "text/html"}


def times(port: int, headers: dict[str, str], paths: list[str]) -> np.ndarray:
    """Milliseconds of each request, over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    spent = []
    for path in paths:
        start = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        spent.append((time.perf_counter() - start) * 1e3)
        if answer.status != http.client.OK:
            raise SystemExit(f"{path} answers {answer.status}")
    return np.array(spent)


@dataclass(frozen=True)
class Known:
    """Ids and names of a dataset to ask about, as they stand in addresses."""

    users: list[str]
    items: list[str]
    names: list[str]
    busiest: str


def know(graph: Graph, dataset: str) -> Known:
    """Read them."""
    users = [_part(row["id"]) for row in graph.many("list_users", dataset=dataset, text="", after="", limit=2**31 - 1)]
    items = graph.many("list_items", dataset=dataset, text="", after="", limit=1000)
    first = graph.one("browse_items", dataset=dataset, text="", by="", skip=0, limit=1)["rows"][0]["id"]
    return Known(users, [_part(row["id"]) for row in items], [row["name"] for row in items], _part(first))


def _part(identifier: str) -> str:
    return IdConverter(Map()).to_url(identifier)


def questions(dataset: str, known: Known, number: int) -> dict[str, list[str]]:
    """Addresses by what they ask, the first of each kind for warming up."""
    random, few = np.random.default_rng(0), max(number // 10, 20)
    users = random.permutation(known.users)[: number + WARM].tolist()
    words = [quote(name) for name in random.permutation(sorted(set(known.names)))[: few + WARM]]
    api, pages = f"/api/v1/datasets/{dataset}", f"/d/{dataset}"
    fixed = ["", "/users", "/items", "/interests", "/intents", "/entities", "/explore", "/jobs", "/costs", "/models"]
    return {
        "healthz": ["/healthz"] * (number + WARM),
        "API recommendations": [f"{api}/users/{user}/recommendations" for user in users],
        "API user": [f"{api}/users/{user}" for user in users[: few + WARM]],
        "API search": [f"{api}/search?q={word}" for word in words],
        "API busiest neighbours": [
            f"{api}/nodes/item/{known.busiest}/neighbours?limit={place + 1}" for place in range(few + WARM)
        ],
        "page user": [f"{pages}/users/{user}" for user in users[: few + WARM]],
        "page search": [f"{pages}/search?q={word}" for word in words],
        "page busiest item": [f"{pages}/items/{known.busiest}"] * (few + WARM),
        "page explore busiest": [f"{pages}/explore?at=Item:{known.busiest}"] * (few + WARM),
        **{f"page {path or 'dataset'}": [f"{pages}{path}"] * (WARM + 20) for path in fixed},
        "page overview": ["/"] * (WARM + 20),
        "page settings": ["/settings"] * (WARM + 20),
        "page health": ["/health"] * 5,
    }


def main() -> None:
    """Print one line a kind of request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--requests", type=int, default=1000)
    arguments = parser.parse_args()
    settings = load_settings()
    with connect(settings) as graph, server(settings) as (port, _):
        asked = questions(arguments.dataset, know(graph, arguments.dataset), arguments.requests)
        identifier, token = tokens.create(graph, None, "benchmark", [Scope.READ], actor="benchmark", days=1)
        browser = log_in(port, settings)
        for name, paths in asked.items():
            headers = browser if name.startswith("page") else {"Authorization": f"Bearer {token}"}
            warm = min(WARM, len(paths) // 5)
            times(port, headers, paths[:warm])
            spent = times(port, headers, paths[warm:])
            median, high, highest = np.percentile(spent, [50, 95, 99])
            print(  # noqa: T201
                f"{name:24} n={len(spent):5}  p50 {median:7.2f}  p95 {high:7.2f}  p99 {highest:7.2f} ms"
                f"  load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
        tokens.revoke(graph, identifier, "benchmark")


if __name__ == "__main__":
    main()

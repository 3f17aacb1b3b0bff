"""How fast the API answers over HTTP, one worker, one caller after another: milliseconds at the median, p95 and p99.

python -m tests.benchmarks.bench_api DATASET [--requests N]

The dataset has to be imported and a model of it published. A bare `/healthz` in the same run is the yardstick: what the
server, the client and the machine cost alone.
"""

from __future__ import annotations

import argparse
import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import numpy as np

from cikg.access import tokens
from cikg.access.accounts import Scope
from cikg.embedded.supervisor import environment
from cikg.graph import Graph, connect
from cikg.settings import Settings, load_settings


@contextmanager
def server(settings: Settings) -> Iterator[int]:
    """The dashboard as `cikg up` runs it, with one worker; its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", "1", "--no-ws", "--factory"]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port), "--log-level", "error", "web:create_app"],
        env=environment(settings) | {"CIKG_SECRET_KEY": "b" * 32, "CIKG_API_RATE_LIMIT": "100000000 per minute"},
    )
    try:
        _await(port)
        yield port
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


def times(port: int, token: str, paths: list[str]) -> np.ndarray:
    """Milliseconds of each request, over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    spent = []
    for path in paths:
        start = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        answer.read()
        spent.append((time.perf_counter() - start) * 1e3)
        if answer.status != http.client.OK:
            raise SystemExit(f"{path} answers {answer.status}")
    return np.array(spent)


def busiest(graph: Graph, dataset: str) -> str:
    """The item with the most edges."""
    return str(graph.one("browse_items", dataset=dataset, text="", skip=0, limit=1)["rows"][0]["id"])


def main() -> None:
    """Print one line a kind of request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--requests", type=int, default=1000)
    arguments = parser.parse_args()
    settings, random = load_settings(), np.random.default_rng(0)
    base = f"/api/v1/datasets/{arguments.dataset}"
    with connect(settings) as graph, server(settings) as port:
        users = [row["id"] for row in graph.many("list_users", dataset=arguments.dataset, after="", limit=2**31 - 1)]
        names = [row["name"] for row in graph.many("list_items", dataset=arguments.dataset, after="", limit=1000)]
        chosen = [quote(str(user), safe="") for user in random.choice(users, arguments.requests)]
        identifier, token = tokens.create(graph, None, "benchmark", [Scope.READ], actor="benchmark", days=1)
        few = max(arguments.requests // 10, 20)
        kinds = {
            "healthz": ["/healthz"] * arguments.requests,
            "recommendations": [f"{base}/users/{user}/recommendations" for user in chosen],
            "user": [f"{base}/users/{user}" for user in chosen[:few]],
            "search": [f"{base}/search?q={quote(name[:12])}" for name in random.choice(names, few)],
            "busiest neighbours": [f"{base}/nodes/item/{busiest(graph, arguments.dataset)}/neighbours"] * few,
        }
        for name, paths in kinds.items():
            times(port, token, paths[:20])
            spent = times(port, token, paths)
            print(  # noqa: T201
                f"{name:20} n={len(spent):5}  p50 {np.median(spent):7.2f}  p95 {np.percentile(spent, 95):7.2f}"
                f"  p99 {np.percentile(spent, 99):7.2f} ms"
            )
        tokens.revoke(graph, identifier, "benchmark")


if __name__ == "__main__":
    main()

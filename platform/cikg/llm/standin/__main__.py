"""Run the stand-in as the environment describes it.

    python -m cikg.llm.standin [--host HOST] [--port PORT]

`CIKG_STANDIN_KEY` is the key that it asks for, `CIKG_STANDIN_LATENCY_MS` how long it takes for an answer, and
`CIKG_STANDIN_FAULT` what goes wrong with it.
"""

from __future__ import annotations

import argparse
import gc
import os

from aiohttp import web

from cikg.llm.standin import MODEL, StandIn


def serve(standin: StandIn) -> None:
    """Serve it where the command line says, until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m cikg.llm.standin", description="A server that answers by rule.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8089)
    given = parser.parse_args()
    gc.freeze()  # what is there by now stays, and need not be looked through while answering
    print(f"The {MODEL} listens on {given.host}:{given.port}", flush=True)  # noqa: T201 — the service's log
    web.run_app(
        standin.application(),
        host=given.host,
        port=given.port,
        access_log=None,
        print=None,
        shutdown_timeout=1.0,  # who asked for an answer that hangs does not get it
    )


if __name__ == "__main__":
    serve(
        StandIn(
            key=os.environ.get("CIKG_STANDIN_KEY"),
            latency_ms=float(os.environ.get("CIKG_STANDIN_LATENCY_MS", "0")),
            fault=os.environ.get("CIKG_STANDIN_FAULT", ""),
        )
    )

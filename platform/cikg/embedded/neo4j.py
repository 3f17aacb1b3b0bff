"""The embedded Neo4j: a Java virtual machine in a process of its own, Bolt on loopback, data below the home.

    python -m cikg.embedded.neo4j PORT

The password comes from the home's secrets, never from the command line. SIGTERM and SIGINT end it cleanly.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cikg.embedded import fetch, java, staging
from cikg.embedded.home import Secrets
from cikg.errors import ServiceError
from cikg.settings import Settings, load_settings

_CONFIGURATION = """\
# Written at each start.
server.default_listen_address=127.0.0.1
server.bolt.enabled=true
server.bolt.listen_address=127.0.0.1:{port}
server.bolt.advertised_address=127.0.0.1:{port}
server.http.enabled=false
server.https.enabled=false
dbms.security.auth_enabled=true
dbms.usage_report.enabled=false
# LOAD CSV reads neither files nor addresses.
dbms.security.allow_csv_import_from_file_urls=false
internal.dbms.cypher_ip_blocklist=0.0.0.0/0,::/0
# A database keeps the language that it was made with.
db.query.default_language=CYPHER_25
db.transaction.timeout=10m
# While a statement runs, clients hear every 15 s that the server lives. They give up one that misses this three times;
# by default after two minutes.
server.bolt.connection_keep_alive=15s
server.bolt.connection_keep_alive_streaming_scheduling_interval=15s
server.bolt.connection_keep_alive_probes=3
db.memory.transaction.max=256m
server.memory.pagecache.size=256m
# Clients of a closing server are told at once; by default it would wait ten seconds for more of them.
internal.dbms.bolt.netty_server_shutdown_quiet_period_duration=0s
internal.server.bolt.thread_pool_shutdown_wait_time=1s
# Two databases would reserve 256 MB each and keep 2 GB of history.
db.tx_log.preallocate=false
db.tx_log.rotation.retention_policy=1 days 256M
"""


def directory(settings: Settings) -> Path:
    """Where the embedded Neo4j keeps its data, configuration and own logs."""
    return settings.home / "neo4j"


def configure(settings: Settings, port: int) -> Path:
    """Write `neo4j.conf`; return it."""
    path = directory(settings) / "conf" / "neo4j.conf"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(_CONFIGURATION.format(port=port), encoding="utf-8")
    return path


def administer(home: Path, arguments: Sequence[str]) -> int:
    """Run `neo4j-admin` with arguments on a home whose server does not run; return its exit code."""
    from jpype import JClass, JString  # noqa: PLC0415 — importable before Java runs, usable after

    path = JClass("java.nio.file.Path")
    context = JClass("org.neo4j.cli.ExecutionContext")(path.of(str(home)), path.of(str(home / "conf")))
    return int(JClass("org.neo4j.cli.AdminTool").execute(context, JString[:](list(arguments))))


def _set_first_password(home: Path, password: str) -> None:
    """Set the password before the first start, so that the well-known first one never works."""
    if (home / "data" / "databases" / "system").exists():
        return
    code = administer(home, ["dbms", "set-initial-password", password])
    if code != 0:
        raise ServiceError(
            f"Neo4j's first password could not be set (exit code {code})", cure=f"Remove {home} and start again"
        )


def _end_at_panic(service: Any) -> None:
    """End this process where the database panics, as it does once it cannot write to its disk.

    Only a new start recovers it, and the supervisor makes one. The end is sudden: an orderly one would write once more
    what was half written, and no start could read such a log.
    """
    import jpype  # noqa: PLC0415

    events = dict.fromkeys(("databaseStart", "databaseShutdown", "databaseCreate", "databaseDrop"), lambda _event: None)
    events["databasePanic"] = lambda _event: os.kill(os.getpid(), signal.SIGKILL)
    listener = "org.neo4j.graphdb.event.DatabaseEventListener"
    service.registerDatabaseEventListener(jpype.JProxy(listener, dict=events))


def serve(settings: Settings, port: int) -> None:
    """Run Neo4j until a signal comes."""
    import jpype  # noqa: PLC0415

    stop = {signal.SIGTERM, signal.SIGINT}
    # Before Java makes its threads, so that they all inherit it and the signal waits for `sigwait` below.
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    home = directory(settings)
    configuration = configure(settings, port)
    staging.settle(home)
    java.start(settings)
    _set_first_password(home, Secrets.of(settings).neo4j_password)
    path = jpype.JClass("java.nio.file.Path")
    builder = jpype.JClass("org.neo4j.dbms.api.DatabaseManagementServiceBuilder")(path.of(str(home)))
    service = builder.loadPropertiesFromFile(path.of(str(configuration))).build()
    _end_at_panic(service)
    print(f"Neo4j {fetch.NEO4J.version} listens on 127.0.0.1:{port}", flush=True)  # noqa: T201 — the service's log
    signal.sigwait(stop)
    service.shutdown()
    print("Neo4j has shut down", flush=True)  # noqa: T201


if __name__ == "__main__":
    serve(load_settings(), int(sys.argv[1]))

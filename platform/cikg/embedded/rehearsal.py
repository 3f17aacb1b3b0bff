"""Makes the cache from which the embedded Neo4j starts faster, by having it do what the platform often asks of it.

    python -m cikg.embedded.rehearsal

A server with a home of its own, which is removed afterwards, makes the schema, takes the demo catalogue in, and carries
a job's ledger and answers. What Java records of that becomes the cache from which `java.start` starts. Nothing needs
it: where it cannot be made, a sentence says why, and servers start more slowly.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cikg import logs
from cikg.embedded import java, supervisor
from cikg.errors import CikgError, ServiceError
from cikg.files import alone, new_folder
from cikg.progress import Advance
from cikg.settings import Settings, load_settings

DATASET = "rehearsal"
SUBJECTS = 200
_ROOM = 1_000_000_000
"""Bytes: what is recorded, the cache, and the scratch home, with as much again to spare."""
_SECONDS = 300
"""How long making the cache may take; it takes about ten seconds."""
_MADE_FOR = "java"
"""Link beside a cache to the virtual machine that it is for, by which it is known when that is gone."""
_STEPS = ("starting Neo4j", "importing", "extracting", "stopping Neo4j", "writing")
_TOOL_OPTIONS = "JAVA_TOOL_OPTIONS"
"""Variable that every Java reads."""
_OTHERS = ("neo4j_uri", "neo4j_password", "redis_url", "openai_base_url", "openai_api_key", "openai_model", "web_port")


def rehearse(settings: Settings, *, quiet: bool = False) -> Path:
    """Make the cache, unless one is there that fits; of two processes that want to, the second waits for the first.

    Args:
        settings: name the folder of what set-up fetched. Its archives are there.
        quiet: show no progress bar.

    Returns:
        The cache.

    Raises:
        CikgError: Java cannot use one here, or there is no room, or a server does not start or does not end well.
        OSError: the folder cannot be written.
    """
    if not java.can_be_cached(settings):
        raise CikgError(f"Java keeps no cache for {settings.cache}, whose name has other than ASCII characters")
    if not java.archives(settings):
        raise CikgError("Neo4j's jars are missing", cure="Run `python -m cikg.embedded.fetch`")
    made = java.cache(settings)
    folder = made.parent.parent
    with alone(folder):
        if made.is_file():
            return made
        _remove_useless(folder)
        if shutil.disk_usage(folder).free < _ROOM:
            raise CikgError(f"{folder} has less than {_ROOM / 1e9:.0f} GB of free space")
        with _steps(quiet) as advance, new_folder(made.parent) as new:
            with tempfile.TemporaryDirectory(prefix=".rehearsal-", dir=folder) as scratch:
                recorded = Path(scratch) / "recorded"
                _record(settings, Path(scratch) / "home", recorded, advance)
                _write(settings, recorded, new / made.name)
            (new / _MADE_FOR).symlink_to(java.jvm())
            new.chmod(0o755)
        advance(1)
    return made


def _remove_useless(folder: Path) -> None:
    """Remove caches of this environment, which fit no more, of those that are gone, and what a kill left half made."""
    for half in [*folder.glob(".start-*"), *folder.glob(".rehearsal-*")]:
        shutil.rmtree(half, ignore_errors=True)
    for other in folder.glob("start-*"):
        if not (other / _MADE_FOR).exists() or (other / _MADE_FOR).samefile(java.jvm()):
            shutil.rmtree(other, ignore_errors=True)


def _record(settings: Settings, home: Path, recorded: Path, advance: Advance) -> None:
    """Run a server that writes what it did to `recorded` when it ends."""
    own = settings.model_copy(update={**dict.fromkeys(_OTHERS), "home": home, "llm_prices": {}})
    with _java_told(java.recording(recorded)), supervisor.serving(own, ("neo4j", "stand-in")) as reached:
        advance(1)
        _play(reached, advance)
    advance(1)


@contextmanager
def _java_told(options: str) -> Iterator[None]:
    """Have processes that are started in this block start Java with more options."""
    before = os.environ.get(_TOOL_OPTIONS)
    os.environ[_TOOL_OPTIONS] = f"{before or ''} {options}".strip()
    try:
        yield
    finally:
        del os.environ[_TOOL_OPTIONS]
        if before is not None:
            os.environ[_TOOL_OPTIONS] = before


def _play(settings: Settings, advance: Advance) -> None:
    """What the platform often asks."""
    # Each takes a second to import, and who finds a cache made needs none of them.
    from cikg.datasets.loader import load  # noqa: PLC0415
    from cikg.extraction import ledger  # noqa: PLC0415
    from cikg.extraction.job import job  # noqa: PLC0415
    from cikg.extraction.runner import Runner  # noqa: PLC0415
    from cikg.graph import connect  # noqa: PLC0415

    with connect(settings) as graph:
        load(graph, "demo", None, DATASET)
        advance(1)
        model = settings.openai_model or ""
        planned = ledger.plan(graph, job("user_interests"), DATASET, model, limit=SUBJECTS)
        with Runner(graph, settings) as runner:
            runner.work_all(planned.run.uid, ledger.start(graph, planned))
        advance(1)


def _write(settings: Settings, recorded: Path, made: Path) -> None:
    """Make the cache of what was recorded.

    Raises:
        ServiceError: Java does not.
    """
    command = [sys.executable, "-m", "cikg.embedded.java", str(recorded), str(made)]
    environment = supervisor.environment(settings)
    try:
        ended = subprocess.run(  # noqa: S603 — ourselves
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ServiceError(f"Java did not finish the cache within {_SECONDS} s") from None
    if ended.returncode != 0 or not made.is_file():
        said = [line for line in (ended.stdout + ended.stderr).splitlines() if line.strip()]
        raise ServiceError(f"Java did not make the cache: {said[-1] if said else f'exit code {ended.returncode}'}")
    made.chmod(0o644)


@contextmanager
def _steps(quiet: bool) -> Iterator[Advance]:
    """A progress bar that names the step under way."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task(f"Start-up cache of Neo4j: {_STEPS[0]}", total=len(_STEPS))

        def advance(count: int) -> None:
            progress.advance(task, count)
            done = int(progress.tasks[task].completed)
            progress.update(task, description="Start-up cache of Neo4j: " + (*_STEPS, "done")[done])

        yield advance


def main() -> int:
    """Make the cache; what hinders that is a remark, and no failure."""
    parser = argparse.ArgumentParser(
        prog="python -m cikg.embedded.rehearsal", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    quiet = parser.parse_args().quiet
    logs.configure("WARNING")
    try:
        rehearse(load_settings(with_embedded=False), quiet=quiet)
    except (CikgError, OSError) as error:
        print(f"cikg: Neo4j has no start-up cache and starts more slowly: {error}", file=sys.stderr)  # noqa: T201
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

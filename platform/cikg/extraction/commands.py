"""Commands of `cikg` that a worker carries out: trainings above all, which take longer than anybody waits.

Each is a run in the graph, as an LLM job is: it stands there before its message is sent, its worker holds it by a lease
and says how far it is, and a person can cancel it. One whose worker died is taken up again, and since every command
goes on from what it has kept, a training does so from its checkpoint.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from cikg import progress
from cikg.errors import InputError, ServiceError
from cikg.extraction import ledger, queue
from cikg.files import identity
from cikg.graph import Graph, datasets
from cikg.schema import State, dataset_name, uid
from cikg.settings import Settings

_log = structlog.stdlib.get_logger(__name__)

COMMANDS = {
    **dict.fromkeys(("cluster", "embed", "extract", "import", "intents", "publish", "snapshot"), "graph"),
    **dict.fromkeys(("train", "tune", "evaluate", "compare", "report"), "training"),
}
"""The commands that a worker may carry out for a person, and the queue of each."""
_LOOK = 2.0
"""Seconds between two looks at a command, at most."""
_PATIENCE = 30.0
"""Seconds that a command which is told to end has for that."""
_KEPT = 20_000
"""Characters of what a command printed that are kept, the last ones."""
_PROGRAM = (
    "import sys; from cikg.embedded import guard; guard.die_with_parent(int(sys.argv[1])); "
    "from cikg.cli import main; main(sys.argv[2:])"
)


def enqueue(graph: Graph, settings: Settings, arguments: Sequence[str], dataset: str | None = None) -> str:
    """Have a worker carry out a command; the uid of its run.

    Args:
        graph: the graph.
        settings: of this process.
        arguments: the command as a person types it, without `cikg`.
        dataset: whose run it is; what `--dataset` says if None.

    Raises:
        InputError: it is none that workers carry out.
        NotFoundError: it names a dataset that is not there.
        UnreachableError: Redis does not answer; a worker's sweeper finds the command once it does.
    """
    name = next(iter(arguments), "")
    if name not in COMMANDS:
        raise InputError(f"workers do not carry out {name!r}", cure=f"They do: {', '.join(sorted(COMMANDS))}")
    app = queue.create_app(settings)
    named = _dataset(arguments)
    if named is not None and name != "import":
        datasets.check(graph, named)
    whose = dataset or named or "demo"  # as every command without the option
    identifier = f"{name}-{uuid.uuid4().hex[:12]}"
    run = uid(whose, identifier)
    properties = {
        "dataset": whose,
        "id": identifier,
        "name": " ".join(arguments[:2]) if len(arguments) > 1 and not arguments[1].startswith("-") else name,
        "queue": COMMANDS[name],
        "home": identity(settings.home),
        "home_path": str(settings.home.absolute()),
        "parameters": json.dumps({"arguments": list(arguments)}),
    }
    graph.write("queue_command", run=run, properties=properties)
    queue.enqueue_command(app, run, COMMANDS[name])
    return run


def _dataset(arguments: Sequence[str]) -> str | None:
    """The dataset that a command names, if it does."""
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        option, _, value = argument.partition("=")
        if option == "--dataset":
            return dataset_name(value or following)
    return None


def carry_out(graph: Graph, settings: Settings, run: str, leaving: Callable[[], bool] = lambda: False) -> None:
    """Carry out a command in a process of its own, whose memory and processor are not the LLM's.

    Harmless where the command is done, cancelled, in another worker's hands, or of another home.

    Args:
        graph: the graph.
        settings: of this process.
        run: the uid of the command's run.
        leaving: whether this process is told to end, and the command is another's.

    Raises:
        ServiceError: Neo4j failed; the command is taken up again when its lease has run out.
    """
    token = uuid.uuid4().hex
    held = {"run": run, "lease": token, "milliseconds": int(settings.lease_seconds * 1000)}
    home = identity(settings.home)
    claimed = graph.write("claim_command", **held, home=home, most_attempts=ledger.MOST_ATTEMPTS)
    if not claimed:
        return
    arguments = json.loads(claimed[0]["parameters"])["arguments"]
    with tempfile.TemporaryDirectory(prefix="cikg-command-") as name:
        folder = Path(name)
        process = _start(arguments, folder)
        while not _ended(process, min(_LOOK, settings.lease_seconds / 5)):
            if leaving():
                graph.write("release_command", run=run, lease=token)
                _end(process)
            elif not _renew(graph, held, folder):
                _end(process)
        said = (_text(folder / "output") or _text(folder / "errors"))[-_KEPT:].strip()
    error = _cause(said, process.returncode) if process.returncode else None
    (_log.error if error else _log.info)("a command ended", run=run, command=arguments, error=error)
    state = State.FAILED if error else State.DONE
    graph.write("end_command", run=run, lease=token, state=state, error=error, said=said)


def _start(arguments: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _PROGRAM, str(os.getpid()), *arguments, "--json"]
    environment = {**os.environ, progress.FILE: str(folder / "progress")}
    with (folder / "output").open("wb") as output, (folder / "errors").open("wb") as errors:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment)  # noqa: S603


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process as Ctrl-C does, so that it keeps what it has, or else by force."""
    process.send_signal(signal.SIGINT)
    if not _ended(process, _PATIENCE):
        process.kill()
        process.wait()


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether a process ends within some seconds."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _renew(graph: Graph, held: dict[str, Any], folder: Path) -> bool:
    """Keep the lease; False where the command is cancelled, or another worker's."""
    try:
        return bool(graph.write("renew_command", **held, progress=_text(folder / "progress") or None))
    except ServiceError as error:  # while Neo4j is away, the command may well go on
        _log.warning("cannot say how far a command is", run=held["run"], error=str(error))
        return True


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _cause(said: str, code: int) -> str:
    """Why a command failed, as it said it."""
    try:
        told = json.loads(said.splitlines()[-1])
        return str(told["message"])
    except (ValueError, KeyError, TypeError, IndexError):
        return said.splitlines()[-1] if said else f"it ended with the code {code}"

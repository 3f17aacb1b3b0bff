"""Starts one service so that it cannot outlive its supervisor, and so that no earlier instance of it is left.

    python -m cikg.embedded.guard NAME

The supervisor runs this for each service; it becomes the service's process. What to run stands in
`<home>/run/commands.json`. Each start adds a line to `<home>/run/NAME.starts`, from which `cikg status` counts.
Processes of a home are known by a variable in their environment, which their own children inherit.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

import psutil

MARK = "CIKG_SUPERVISED"
_PR_SET_PDEATHSIG = 1


def mark(home: Path, name: str) -> str:
    """The value of `MARK` for one service of one home."""
    return f"{name}@{home.absolute()}"


def leftovers(home: Path, names: list[str]) -> list[psutil.Process]:
    """Processes of these services of this home, except this process and those above it."""
    marks = {mark(home, name) for name in names}
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in own and process.environ().get(MARK) in marks:
                found.append(process)
        except psutil.Error:
            continue  # another user's, or gone already
    return found


def end(processes: list[psutil.Process], patience: float) -> None:
    """Ask processes to end, and make them after `patience` seconds."""
    for order, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        for process in processes:
            try:
                process.send_signal(order)
            except psutil.NoSuchProcess:
                continue
        _, processes = psutil.wait_procs(processes, timeout=seconds)
        if not processes:
            return


def die_with_parent() -> None:
    """Have the system send SIGTERM to this process when its parent ends, however that happens (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() == 1:  # it ended before we asked
        sys.exit(0)


def main() -> None:
    """Become the service."""
    name = sys.argv[1]
    home = Path(os.environ["CIKG_HOME"])
    die_with_parent()
    end(leftovers(home, [name]), patience=10)
    run = home / "run"
    command = json.loads((run / "commands.json").read_text(encoding="utf-8"))[name]
    with (run / f"{name}.starts").open("a", encoding="utf-8") as starts:
        starts.write(f"{time.time():.0f}\n")
    os.environ[MARK] = mark(home, name)
    os.execv(command[0], command)  # noqa: S606 — no shell wanted


if __name__ == "__main__":
    main()

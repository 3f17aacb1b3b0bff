"""Starts one service so that it cannot outlive its supervisor, and ends what is left of its earlier start.

    python -m cikg.embedded.guard NAME

The supervisor runs this for each service; it becomes the service's process. What to run stands in
`<home>/run/commands.json`. Each start adds a line to `<home>/run/NAME.starts`: process and time, from which
`cikg status` counts. Processes of a home are known by these lines, and by a variable in their environment, which their
own children inherit (Redis overwrites its environment with its title).
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

import psutil

MARK = "CIKG_SUPERVISED"
PARENT = "CIKG_PARENT"
"""Variable that tells a process who started it: asking for its parent may come too late."""
SUPERVISOR = "supervisor"
_PR_SET_PDEATHSIG = 1
_CLOCK_SECONDS = 2.0
"""A process's start is known through the machine's boot time, which corrections of the clock move a little."""


def mark(home: Path, name: str) -> str:
    """The value of `MARK` for one service of one home."""
    return f"{name}@{home.absolute()}"


def leftovers(home: Path, names: list[str]) -> list[psutil.Process]:
    """Processes of these services of this home, except this process and those above it."""
    marks = {mark(home, name) for name in names}
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    recorded = dict(filter(None, (last_start(home, name) for name in names)))
    found = []
    for process in psutil.process_iter():
        try:
            begun = recorded.get(process.pid, 0.0)
            if process.pid in own or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if abs(process.create_time() - begun) < _CLOCK_SECONDS or process.environ().get(MARK) in marks:
                found.append(process)
        except psutil.Error:
            continue  # another user's, or gone already
    return found


def starts_file(home: Path, name: str) -> Path:
    """One line a start of this service since the last `up`."""
    return home / "run" / f"{name}.starts"


def last_start(home: Path, name: str) -> tuple[int, float] | None:
    """Process id and time (seconds since the epoch) of a service's last start."""
    try:
        pid, begun = starts_file(home, name).read_text(encoding="utf-8").splitlines()[-1].split()
    except (OSError, IndexError):
        return None
    return int(pid), float(begun)


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


def die_with_parent(parent: int) -> None:
    """Have the system send SIGTERM to this process when its parent ends, however that happens (Linux).

    Args:
        parent: who started it. In a container that may be process 1, which elsewhere adopts the orphans.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we asked
        sys.exit(0)


def _parent(home: Path) -> int:
    """Who started this process: whoever says so to the supervisor, and the supervisor its services."""
    if sys.argv[1] == SUPERVISOR:
        return int(os.environ[PARENT])
    return int((home / "run" / f"{SUPERVISOR}.pid").read_text(encoding="utf-8"))


def main() -> None:
    """Become the service."""
    name = sys.argv[1]
    home = Path(os.environ["CIKG_HOME"])
    die_with_parent(_parent(home))
    # When granian's main process is killed, its worker stays and would go on taking requests.
    end(leftovers(home, [name]), patience=10)
    command = json.loads((home / "run" / "commands.json").read_text(encoding="utf-8"))[name]
    with starts_file(home, name).open("a", encoding="utf-8") as starts:
        starts.write(f"{os.getpid()} {psutil.Process().create_time()}\n")
    os.environ[MARK] = mark(home, name)
    os.execv(command[0], command)  # noqa: S606 — no shell wanted


if __name__ == "__main__":
    main()

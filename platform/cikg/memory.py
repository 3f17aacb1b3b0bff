"""What this process holds of the machine's memory, and what is left of it."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

_LINUX = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")
"""The process's own control group (version 2), as a container sees it."""


def peak_memory() -> int:
    """The most memory this process has held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def available_memory() -> int:
    """Memory that can be taken without swapping, in bytes; half of the machine's where the system does not say.

    In a container it is what the container may still take.
    """
    return min(_of_machine(), _of_group())


def _of_machine() -> int:
    if _LINUX.exists():
        for line in _LINUX.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _of_group() -> int:
    """What is left of the limit that a container, or a service, has: what files keep in memory can be given back."""
    try:
        limit = (_GROUP / "memory.max").read_text(encoding="ascii").strip()
        used = int((_GROUP / "memory.current").read_text(encoding="ascii"))
        kept = dict(line.split() for line in (_GROUP / "memory.stat").read_text(encoding="ascii").splitlines())
    except OSError:  # no such limits here
        return sys.maxsize
    return sys.maxsize if limit == "max" else int(limit) - used + int(kept["active_file"]) + int(kept["inactive_file"])

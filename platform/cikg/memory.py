"""What this process holds of the machine's memory, and what is left of it."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

_LINUX = Path("/proc/meminfo")


def peak_memory() -> int:
    """The most memory this process has held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def available_memory() -> int:
    """Memory that can be taken without swapping, in bytes; half of the machine's where the system does not say."""
    if _LINUX.exists():
        for line in _LINUX.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2

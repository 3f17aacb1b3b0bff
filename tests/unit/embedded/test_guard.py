"""Processes that must not outlive who started them, in a container too."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cikg.embedded import guard

LIVE_ON = "import sys; from cikg.embedded import guard; guard.die_with_parent(int(sys.argv[1])); print('lives')"


@pytest.mark.parametrize(
    ("parent", "lives"),
    [(os.getpid(), True), (os.getppid(), False), (2**22 + 1, False)],
    ids=["parent", "parent's parent", "nobody"],  # processes that share the tests have to name them alike
)
def test_it_lives_only_while_the_one_who_started_it_is_its_parent(parent: int, lives: bool) -> None:
    done = subprocess.run([sys.executable, "-c", LIVE_ON, str(parent)], capture_output=True, text=True, check=True)
    assert (done.stdout.strip() == "lives") is lives


def test_process_one_may_be_a_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getppid", lambda: 1)
    monkeypatch.setattr("ctypes.CDLL", lambda *_arguments, **_options: _System())
    guard.die_with_parent(1)
    with pytest.raises(SystemExit):
        guard.die_with_parent(77)


class _System:
    """A system that is asked for nothing."""

    def prctl(self, *_arguments: int) -> None:
        """Do not tie this test to its own parent."""

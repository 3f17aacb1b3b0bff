"""The commands of the Makefile: listed, short, and kind to an environment that is not ours."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # `make test` runs this itself, and hands its own options down.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_help_is_the_default_and_lists_every_target() -> None:
    targets = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[0].split()
    listed = re.findall(r"^  make ([a-z-]+) +\w", make().stdout, re.MULTILINE)
    assert set(targets) - {"setup-test"} == set(listed)


def test_demo_and_test_set_up_first_and_pass_options_on() -> None:
    demo = make("--dry-run", "demo", "ARGS=--exit").stdout
    assert re.search(r"platform/bootstrap\.py\n\.venv/bin/cikg demo --exit\n$", demo)
    test = make("--dry-run", "test", "ARGS=-k x").stdout
    assert re.search(r"platform/bootstrap\.py --test\n\.venv/bin/python -m pytest --numprocesses \S+ .* -k x\n$", test)


def test_an_environment_of_ones_own_is_used_as_it_is() -> None:
    demo = make("--dry-run", "demo", "VENV=/opt/mine").stdout
    assert "bootstrap" not in demo
    assert "/opt/mine/bin/cikg demo" in demo


def test_without_python_it_is_said_in_a_sentence() -> None:
    answer = make("setup", "PYTHON=no-such-python")
    assert answer.returncode == 2
    assert answer.stderr.splitlines()[0] == "cikg: there is no no-such-python here. Install Python 3.11 or newer"

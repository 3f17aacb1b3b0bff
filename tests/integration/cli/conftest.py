"""What tests of commands share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from cikg.cli import main


@pytest.fixture
def here(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `cikg` as the fixture of that name does, but within the test's own process, which saves its start."""

    def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        given = [str(argument) for argument in arguments]
        with monkeypatch.context() as patch:
            for name, value in (environment | variables).items():
                patch.setenv(name, value)
            capsys.readouterr()
            with pytest.raises(SystemExit) as stopped:
                main(given)
        shown = capsys.readouterr()
        return subprocess.CompletedProcess(given, int(str(stopped.value.code)), shown.out, shown.err)

    return run

from __future__ import annotations

import pytest

from cikg.cli._output import print_facts


def test_a_path_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/" + "/".join(f"folder-{number}" for number in range(20))
    print_facts("Import", {"rows": 12345, "rejected file": path})
    said = capsys.readouterr().out
    assert "12,345" in said
    assert path in "".join(said.split())

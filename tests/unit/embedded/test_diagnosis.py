"""What `cikg doctor` says of surroundings that cannot be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from cikg.embedded.diagnosis import Verdict, examine
from cikg.settings import Settings


@pytest.mark.parametrize(
    ("name", "meant"),
    [("CIKG_NEO4J_URL", "CIKG_NEO4J_URI"), ("CIKG_OPENAI_MODEL", "OPENAI_MODEL"), ("CIKG_ZZZ", "the table below")],
)
def test_a_variable_that_is_no_setting_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    def look() -> tuple[Verdict, str, str]:
        findings = examine(Settings(home=tmp_path), frozenset())
        found = next(each for each in findings if each.check == "environment")
        return found.verdict, found.detail, found.cure or ""

    assert look()[0] is Verdict.OK
    monkeypatch.setenv(name, "x")
    verdict, detail, mend = look()
    assert (verdict, name in detail, meant.lower() in mend.lower()) == (Verdict.WARN, True, True), (detail, mend)

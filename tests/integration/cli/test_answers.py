"""`cikg answers import` as a person types it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from cikg.datasets.loader import load
from cikg.graph import Graph
from tests.unit.datasets.formats import test_colakg

Cikg = Callable[..., subprocess.CompletedProcess[str]]


def test_reports_and_refuses(graph: Graph, here: Cikg, dataset: str, tmp_path: Path) -> None:
    def cikg(*arguments: object) -> tuple[int, str, str]:
        done = here(*arguments)
        return done.returncode, " ".join(done.stdout.split()), " ".join(done.stderr.split())

    load(graph, "colakg", test_colakg.write(tmp_path), dataset)
    file = tmp_path / "users.csv"
    file.write_text("id,text\n20,likes jazz\n3,likes rock\n9,likes nothing\n")
    command = ("answers", "import", file, "--about", "user", "--dataset", dataset, "--model", "elsewhere-7b")
    code, _, said = cikg(*command)
    assert code == 2
    assert "users.csv:4: the dataset has no user '9'" in said
    code, printed, said = cikg(*command, "--max-rejected", "0.5", "--json")
    report = json.loads(printed)
    assert (code, said) == (0, "")
    assert (report["written"], report["rejected"], report["unchanged"], report["model"]) == (
        2,
        1,
        False,
        "elsewhere-7b",
    )
    assert "no evidence" in report["remark"]
    code, printed, _ = cikg(*command, "--max-rejected", "0.5")
    assert code == 0
    for words in (f"{dataset}: unchanged", "profiles already there 2", "has no user '9'", "may look better"):
        assert words in printed
    interests = tmp_path / "interests.txt"
    interests.write_text("20 jazz\n3 rock\n")
    command = ("answers", "import", interests, "--as", "interests", "--dataset", dataset)
    code, _, said = cikg(*command, "--about", "item")
    assert code == 2
    assert "only users have interests. Import them with --about user" in said
    code, printed, _ = cikg(*command, "--about", "user")
    assert (code, "interests written 2" in printed, "Imported interests have no evidence" in printed) == (0, True, True)

"""`cikg import` and `cikg snapshot` as a person runs them: wrong input is one sentence, exit 2, nothing written."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cikg.graph import Graph
from tests.unit.datasets.folders import write

Cikg = Callable[..., subprocess.CompletedProcess[str]]


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The error a person sees: one line, no traceback, exit 2."""
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("reading")]
    assert len(lines) == 1 and lines[0].startswith("cikg: "), done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def nodes(graph: Graph, dataset: str) -> int:
    found: int = graph.execute("MATCH (n {dataset: $dataset}) RETURN count(n) AS n", dataset=dataset)[0]["n"]
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"test": None}, "test.txt is missing"),
        ({"kg_final": "0 0\n"}, "kg_final.txt:1: expected three numbers: head, relation, tail, found 2 columns"),
        ({"item_list": "org remap\n1 0\n1 1\n"}, "item_list.txt:3: the id '1' is already in line 2"),
        ({"test": "0 77\n"}, "test.txt:1: item 77 is not in item_list.txt"),
    ],
    ids=["missing file", "wrong columns", "duplicate id", "unlisted item in test"],
)
def test_a_wrong_folder(
    *, graph: Graph, cikg: Cikg, dataset: str, tmp_path: Path, change: dict[str, str | None], said: str
) -> None:
    done = cikg("import", "cikgrec", write(tmp_path, **change), "--dataset", dataset)
    assert said in one_sentence(done)
    assert done.stdout == ""
    assert nodes(graph, dataset) == 0


def test_a_wrong_folder_leaves_the_old_data(graph: Graph, cikg: Cikg, dataset: str, tmp_path: Path) -> None:
    assert cikg("import", "cikgrec", write(tmp_path / "good"), "--dataset", dataset).returncode == 0
    before = nodes(graph, dataset)
    bad = write(tmp_path / "bad", test="0 77\n")
    one_sentence(cikg("import", "cikgrec", bad, "--dataset", dataset, "--replace"))
    assert nodes(graph, dataset) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "nothing", "."], "no dataset format 'nothing'. Use one of: "),
        (["import", "cikgrec"], "the format 'cikgrec' needs a path"),
        (["import", "cikgrec", "/nowhere"], "/nowhere is not a folder"),
        (["import", "cikgrec", ".", "--dataset", "A B"], "'A B' cannot name a dataset"),
        (["snapshot", "--dataset", "test-nothing"], "no dataset 'test-nothing'"),
    ],
)
def test_wrong_arguments(cikg: Cikg, arguments: list[str], said: str) -> None:
    assert said in one_sentence(cikg(*arguments))


def test_json_holds_what_scripts_need(cikg: Cikg, dataset: str, tmp_path: Path) -> None:
    done = cikg("import", "cikgrec", write(tmp_path), "--dataset", dataset, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["counts"]["users"] == 4 and report["duplicates"] == {
        "nodes": 0,
        "interactions": 1,
        "facts": 1,
        "interest_edges": 1,
    }
    assert report["rejected"] == 0 and not report["unchanged"] and report["peak_memory"] > 10**6

    first, second = (json.loads(cikg("snapshot", "--dataset", dataset, "--json").stdout) for _ in range(2))
    assert len(first["hash"]) == 64 and Path(first["path"]).is_dir()
    assert first["counts"]["facts"] == 4
    assert (first["reused"], second["reused"]) == (False, True)
    assert first["hash"] == second["hash"]


def test_tables_are_for_people(cikg: Cikg, dataset: str, tmp_path: Path) -> None:
    done = cikg("import", "cikgrec", write(tmp_path), "--dataset", dataset)
    assert done.returncode == 0
    for shown in ("users", "repeated facts, left out", "seconds", "peak memory, MiB"):
        assert shown in done.stdout

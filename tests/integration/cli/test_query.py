"""`cikg query`: the library's answers on a planted graph, and that nothing gets written."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cikg.datasets.loader import load
from cikg.graph import Graph
from tests.unit.datasets.folders import write

Cikg = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def planted(graph: Graph, dataset: str, tmp_path: Path) -> str:
    """Users u-10 and u-40 have interest 6, u-20 has 8; 9 is nobody's."""
    load(graph, "cikgrec", write(tmp_path), dataset, valid_share=0.0)
    graph.execute("CREATE (:Interest {uid: $d + ':9', dataset: $d, id: '9', name: \"Nobody's\"})", d=dataset)
    return dataset


def rows(done: subprocess.CompletedProcess[str]) -> list[list[Any]]:
    assert (done.returncode, done.stderr) == (0, "")
    return [list(row.values()) for row in json.loads(done.stdout)["rows"]]


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["users_by_interest", "-p", "interest=6"], [["u-10", None, 0], ["u-40", None, 0]]),
        (
            ["interests_of_user", "-p", "user=u-20"],
            [["8", "Around Dragonfly in Amber (novel) and Snow", "imported", None]],
        ),
        (
            ["items_of_interest", "-p", "interest=6"],
            [
                ["0002", "Snow: A Tale of Two", 2, 1.0],
                ["0010", "Dragonfly in Amber (novel)", 1, 0.5],
                ["7", "Snow", 1, 0.5],
            ],
        ),
        (["shared_interests", "-p", "user=u-10", "-p", "other=u-40"], [["6", "interest 6"]]),
        (["shared_interests", "-p", "user=u-10", "-p", "other=u-20"], []),
        (["unused_interests"], [["9", "Nobody's"]]),
        (["extraction_leaks"], [[0, 0]]),
        (["counts"], [[4, 4, 2, 0, 3, 8, 0, 3, 4]]),
    ],
)
def test_the_library_answers(cikg: Cikg, planted: str, arguments: list[str], answer: list[list[Any]]) -> None:
    assert rows(cikg("query", *arguments, "--dataset", planted, "--json")) == answer


def test_leaks_are_counted(graph: Graph, cikg: Cikg, planted: str) -> None:
    """Evidence in train is no leak; evidence in test, of another user, or none at all is one."""
    graph.execute(
        "UNWIND [['u-10', ['0002']], ['u-10', ['0002', '9']], ['u-20', ['0002']], ['u-40', ['7']], ['u-40', []], "
        "['u-40', null]] AS row MATCH (u:User {uid: $d + ':' + row[0]}) "
        "CREATE (u)-[:POSSESSES {evidence: row[1]}]->(:Intent {uid: $d + ':' + randomUUID(), dataset: $d})",
        d=planted,
    )
    assert rows(cikg("query", "extraction_leaks", "--dataset", planted, "--json")) == [[6, 5]]


def test_a_file_is_asked_with_parameters_and_a_limit(cikg: Cikg, planted: str, tmp_path: Path) -> None:
    file = tmp_path / "own.cypher"
    file.write_text(
        "// Mine; all of it.\nUNWIND $wanted AS id\n"
        "MATCH (u:User {uid: $dataset + ':' + id})-[r:INTERACTED {split: 'test'}]->(i)\n"
        "RETURN u.id AS user, i, r;\n",
        encoding="utf-8",
    )
    done = cikg("query", "--file", file, "-p", 'wanted=["u-10", "u-20"]', "--dataset", planted, "--json", "--limit", 1)
    answer = json.loads(done.stdout)
    assert answer["truncated"] and len(answer["rows"]) == 1
    assert answer["rows"][0]["i"]["labels"] == ["Item"]
    assert answer["rows"][0]["r"] == {"type": "INTERACTED", "split": "test"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("MATCH (n:User {dataset: $dataset}) DETACH DELETE n", "the statement writes, and this only reads"),
        ("CREATE INDEX x FOR (n:X) ON (n.y)", "the statement writes, and this only reads"),
        ("MATCH (n RETURN n", "Neo4j does not accept the statement"),
        ("RETURN $missing", "Neo4j does not accept the statement"),
        ("RETURN 1; RETURN 2", "expected one statement, found 2"),
        ("// nothing", "expected one statement, found 0"),
    ],
)
def test_a_file_that_cannot_be_asked(
    *, graph: Graph, cikg: Cikg, planted: str, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "own.cypher"
    file.write_text(text, encoding="utf-8")
    before = graph.many("counts", dataset=planted)
    done = cikg("query", "--file", file, "--dataset", planted)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1
    assert graph.many("counts", dataset=planted) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected the name of a question or --file"),
        (["counts", "--file", "x"], "expected the name of a question or --file"),
        (["nothing"], "no statement named 'nothing'"),
        (["drop_nodes", "-p", "size=10"], "drop_nodes writes"),
        (["users_by_interest"], "users_by_interest(dataset, interest) lacks interest"),
        (["counts", "-p", "x=1"], "counts(dataset) does not take x"),
        (["counts", "-p", "x"], "'x' is no parameter"),
        (["--file", "/nowhere.cypher"], "/nowhere.cypher: it cannot be read"),
    ],
)
def test_wrong_arguments(cikg: Cikg, arguments: list[str], said: str) -> None:
    done = cikg("query", *arguments)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1


def test_the_list_shows_what_reads(cikg: Cikg) -> None:
    listed = json.loads(cikg("query", "--list", "--json").stdout)
    names = [entry["name"] for entry in listed]
    assert {"counts", "extraction_leaks"} <= set(names)
    assert not {"import_users", "drop_nodes", "record_migration"} & set(names)
    assert listed[0]["domain"] == "analysis" and all(entry["help"] for entry in listed)

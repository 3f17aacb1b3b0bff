"""`cikg query`: the library's answers on a planted graph, what it says to mistakes, and that nothing gets written."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cikg.cli import main
from cikg.graph import Graph, library
from cikg.graph.questions import PARAMETERS, SURROUNDINGS
from tests import planted_intents

CSV_TRAPS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "plain", "a,b", 'say "x"']


@dataclass(frozen=True)
class Done:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[Any]]:
        assert (self.code, self.err) == (0, "")
        return [list(row.values()) for row in json.loads(self.out)["rows"]]


Query = Callable[..., Done]


@pytest.fixture
def query(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Query:
    """Runs `cikg query` in this process, which saves two seconds a call."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: object) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(["query", *map(str, arguments)])
        captured = capsys.readouterr()
        return Done(int(end.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture(scope="module")
def planted(graph: Graph) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    planted_intents.write(graph, name)
    yield name
    graph.execute("MATCH (n {dataset: $name}) DETACH DELETE n", name=name)


def test_in_a_process_of_its_own(cikg: Callable[..., subprocess.CompletedProcess[str]], planted: str) -> None:
    done = cikg("query", "users_by_intent", "-p", "intent=gardens", "--dataset", planted, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "columns": ["user", "name", "round", "evidence"],
        "rows": [
            {"user": "ann", "name": "Ann", "round": 1, "evidence": 2},
            {"user": "ben", "name": "Ben", "round": 1, "evidence": 1},
        ],
        "truncated": False,
    }


def test_values_are_read_as_their_parameters_say(graph: Graph, query: Query, planted: str) -> None:
    """An id of digits stays text, a date becomes seconds, a missing parameter its default."""
    graph.execute(
        "MATCH (i:Intent {uid: $d + ':walks'}) CREATE (i)<-[:POSSESSES {round: 1, evidence: []}]-"
        "(:User {uid: $d + ':007', id: '007', dataset: $d})",
        d=planted,
    )
    try:
        found = query("intents_of_user", "-p", "user=007", "--dataset", planted, "--json").rows
        assert found == [["walks", "Walks", 1, ["Green"], []]]
    finally:
        graph.execute("MATCH (n:User {uid: $d + ':007'}) DETACH DELETE n", d=planted)
    window = ["-p", "from=1970-01-01T00:16:40", "-p", "to=1970-01-01T01:33:20+01:00"]
    rising = query("rising_intents", *window, "--dataset", planted, "--json").rows
    assert rising == [["sea", "Sea", 3, 3, 1, 2.0]]
    kind = ["-p", "kind=possesses", "-p", "source=ann", "-p", "target=sea"]
    assert len(query("edge_evidence", *kind, "--dataset", planted, "--json").rows) == 1


def test_a_limit_says_what_it_left_out(query: Query, planted: str) -> None:
    done = query("intents_by_holders", "--dataset", planted, "--json", "--limit", 2)
    assert [row[0] for row in done.rows] == ["sea", "gardens"] and json.loads(done.out)["truncated"]
    assert not json.loads(query("intents_by_holders", "--dataset", planted, "--json", "--limit", 5).out)["truncated"]
    told = query("intents_by_holders", "--dataset", planted, "--limit", 2)
    assert "Only the first 2 rows; --limit shows more." in told.err and "Gardens" in told.out


def test_one_row_is_shown_as_names_and_values(query: Query, planted: str) -> None:
    lines = query("intent_profile", "-p", "intent=gardens", "--dataset", planted).out.splitlines()
    assert any(line.split() == ["merged", "Blooms,", "Roses"] for line in lines)
    wide = query(
        "edge_provenance", "-p", "kind=SATISFIES", "-p", "source=atlas", "-p", "target=maps", "--dataset", planted
    )
    assert any(line.split() == ["pruned_reason", "too", "vague"] for line in wide.out.splitlines())
    assert query("unsatisfied_intents", "-p", "least=9", "--dataset", planted).err == "No rows.\n"


def test_names_do_not_command_the_terminal(query: Query, tmp_path: Path) -> None:
    file = tmp_path / "own.cypher"
    file.write_text("RETURN '[/red] \\u001b[31m' AS name, ['a', 'b'] AS list", encoding="utf-8")
    shown = query("--file", file).out
    assert "[/red] \ufffd[31m" in shown and "a, b" in shown


def test_csv_opens_without_running_anything(query: Query, tmp_path: Path) -> None:
    file = tmp_path / "own.cypher"
    file.write_text("UNWIND $texts AS text RETURN text, -1.5 AS `=number`, null AS none, [text] AS list, true AS yes")
    done = query("--file", file, "-p", f"texts={json.dumps(CSV_TRAPS)}", "--csv")
    header, *rows = list(csv.reader(io.StringIO(done.out, newline="")))
    assert header == ["text", "'=number", "none", "list", "yes"]
    assert [row[0] for row in rows] == [*(f"'{text}" for text in CSV_TRAPS[:6]), *CSV_TRAPS[6:]]
    assert rows[0][1:] == ["-1.5", "", '["=1+1"]', "true"]


def test_a_file_is_asked_with_parameters_and_a_limit(query: Query, planted: str, tmp_path: Path) -> None:
    file = tmp_path / "own.cypher"
    file.write_text(
        "// Mine; all of it.\nUNWIND $wanted AS id\n"
        "MATCH (u:User {uid: $dataset + ':' + id})-[r:INTERACTED]->(i) WHERE r.rating > $over\n"
        "RETURN u.id AS user, i, r ORDER BY r.at;\n",
        encoding="utf-8",
    )
    given = ["-p", 'wanted=["ann", "ben"]', "-p", "over=3.5"]
    answer = json.loads(query("--file", file, *given, "--dataset", planted, "--json", "--limit", 1).out)
    assert answer["truncated"] and len(answer["rows"]) == 1
    assert answer["rows"][0]["i"]["labels"] == ["Item"]
    assert answer["rows"][0]["r"] == {"type": "INTERACTED", "split": "train", "rating": 5.0, "at": 100}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("MATCH (n:User {dataset: $dataset}) DETACH DELETE n", "the statement may only read the graph"),
        ("CREATE INDEX x FOR (n:X) ON (n.y)", "the statement may only read the graph"),
        ("LOAD CSV FROM 'file:///etc/passwd' AS row RETURN row", "the statement may only read the graph"),
        ("SHOW SETTINGS", "the statement may only read the graph"),
        ("CALL apoc.load.json('http://127.0.0.1/') YIELD value RETURN value", "which is not part of the language"),
        ("MATCH (n RETURN n", "Neo4j does not accept the statement"),
        ("RETURN $missing", "Neo4j does not accept the statement"),
        ("RETURN 1; RETURN 2", "expected one statement, found 2"),
        ("// nothing", "expected one statement, found 0"),
        ("UNWIND range(1, 1000000000) AS a RETURN sum(a % 7)", "took longer than 0.5 seconds. Ask for less"),
    ],
)
@pytest.mark.parametrize("ask", ["--json", "--profile"])
def test_a_file_that_cannot_be_asked(
    *, graph: Graph, query: Query, planted: str, tmp_path: Path, text: str, said: str, ask: str
) -> None:
    file = tmp_path / "own.cypher"
    file.write_text(text, encoding="utf-8")
    before = graph.many("counts", dataset=planted)
    timeout = 0.5 if "longer than" in said else 30
    done = query("--file", file, "--dataset", planted, "--timeout", timeout, ask)
    assert done.code == 2 and said in done.err and len(done.err.splitlines()) == 1
    assert graph.many("counts", dataset=planted) == before


def test_too_much_memory_is_a_sentence(query: Query, tmp_path: Path) -> None:
    file = tmp_path / "own.cypher"
    file.write_text("UNWIND range(1, 1000000000) AS a RETURN collect(a)", encoding="utf-8")
    done = query("--file", file, "--timeout", 30)
    assert done.code == 2 and "needs more memory than" in done.err and len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "expected the name of a query or --file"),
        ("counts --file x", "expected the name of a query or --file"),
        ("counts --csv --json", "--csv and --json exclude each other"),
        ("user_by_intent", "no statement named 'user_by_intent'. Did you mean users_by_intent"),
        ("xyzzy", "no statement named 'xyzzy'. `cikg query --list`"),
        ("store_completions", "store_completions writes"),
        ("users_by_interest", "users_by_interest needs interest (an interest's id). Add -p interest=…"),
        ("rising_intents -p to=1", "rising_intents needs from (the first moment of the window). Add -p from=…"),
        ("counts -p x=1", "counts does not take x. It takes only --dataset"),
        ("shared_intents -p users=1", "shared_intents does not take users. It takes user, other"),
        ("counts -p x", "'x' is not a parameter. Write -p key=value"),
        ("users_by_intent -p intent=a -p intent=b", "intent is given twice"),
        ("users_by_intent -p intent=a -p limit=5", "limit is an option of its own. Write --limit 5"),
        ("cold_items -p most=few", "most is a whole number, not 'few'"),
        ("cold_items -p most=-1", "most is at least 0, not -1"),
        ("cold_items -p least=1.5", "least is a whole number, not '1.5'"),
        ("rising_intents -p from=May -p to=1", "from is a time, not 'May'. Write 2026-01-31"),
        ("rising_intents -p from=0 -p to=1 -p smoothing=0", "smoothing is at least 1e-09, not 0"),
        ("rising_intents -p from=0 -p to=1 -p smoothing=nan", "smoothing is at least 1e-09, not nan"),
        ("edges_of_run -p run=x -p kind=LIKES", "kind cannot be 'LIKES'. Choose one of POSSESSES, SATISFIES"),
        ("--file /nowhere.cypher", "/nowhere.cypher: it cannot be read"),
        ("users_by_intent -p intent=nope", "has no intent 'nope'"),
        ("users_by_intent -p intent=roses", "the intent 'roses' was merged into 'gardens'. Ask about that one"),
        ("intent_profile -p intent=blooms", "the intent 'blooms' was merged into 'roses'"),
        ("shared_intents -p user=ann -p other=nope", "has no user 'nope'"),
        ("written_by_run -p run=nope", "has no run 'nope'"),
        ("counts --dataset no-such-dataset", "there is no dataset 'no-such-dataset'. `cikg dataset list`"),
    ],
)
def test_wrong_arguments(query: Query, planted: str, arguments: str, said: str) -> None:
    done = query("--dataset", planted, *arguments.split())
    assert done.code == 2 and said in done.err and len(done.err.splitlines()) == 1


def test_an_empty_answer_about_something_is_no_mistake(query: Query, planted: str) -> None:
    assert query("users_by_intent", "-p", "intent=spare", "--dataset", planted, "--json").rows == []


def test_the_list_shows_what_reads(query: Query) -> None:
    listed = json.loads(query("--list", "--json").out)["queries"]
    names = [entry["name"] for entry in listed]
    assert {"counts", "extraction_leaks"} <= set(names)
    assert not {"import_users", "drop_nodes", "record_migration"} & set(names)
    assert listed[0]["section"] == "Intents" and all(entry["help"] for entry in listed)
    shown = query("--list")
    assert (
        "rising_intents from to [smoothing=1] [least=2]" in shown.out and "the first moment of the window" in shown.out
    )
    assert "run_progress" not in shown.out and "--all" in shown.err
    assert "run_progress" in query("--list", "--all").out


def test_each_parameter_of_a_question_is_described() -> None:
    questions = [statement for statement in library().values() if statement.section]
    used = {name for statement in questions for name in statement.parameters}
    assert used - set(SURROUNDINGS) == set(PARAMETERS), "describe each in cikg.graph.questions, and none else"
    assert all(statement.purpose and statement.cost for statement in questions)


def test_a_question_is_explained(query: Query, planted: str) -> None:
    """Without its parameters: documentation, Cypher and plan; with them, what each step cost."""
    shown = query("users_by_intent", "--explain").out
    for part in ("the most evidence first", "an intent's id", "MATCH (intent:Intent", "NodeUniqueIndexSeek", "--limit"):
        assert part in shown
    explained = json.loads(query("users_by_intent", "--explain", "--json").out)
    assert explained["cost"].startswith("local") and explained["asked"]["intent"]["meaning"] == "an intent's id"
    assert {step["hits"] for step in explained["plan"]} == {None}
    given = ["users_by_intent", "-p", "intent=gardens", "--dataset", planted, "--profile"]
    profile = json.loads(query(*given, "--json").out)["plan"]
    (found,) = [step for step in profile if step["name"].startswith("NodeUniqueIndexSeek")]
    assert found["rows"] == 1 and found["hits"] > 0 and profile[0]["rows"] == 2
    assert "store reads" in query(*given).out
    assert "needs intent" in query("users_by_intent", "--profile").err

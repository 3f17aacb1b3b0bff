"""Names and answers that a terminal, or our own styles, would take for orders are printed as text."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cikg.graph import Graph
from cikg.schema import Label
from cikg.serving.corrections import Claim, correct
from cikg.settings import Settings
from tests import planted, trained

Cikg = Callable[..., subprocess.CompletedProcess[str]]
DATASET = "test-hostile-texts"
STYLE = "[/b][red]x"
EVIL = f"{STYLE}\x1b]0;owned\x07\x9b2J\u202e"


@pytest.fixture(scope="module")
def written(graph: Graph, settings: Settings) -> Iterator[None]:
    graph.execute("MATCH (n {dataset: $d}) DETACH DELETE n", d=DATASET)
    planted.write(graph, DATASET)
    planted.write_runs(graph, DATASET)
    graph.execute(
        """
        MATCH (s:Subject {dataset: $d})
        SET s.id = CASE s.id WHEN '2' THEN $style ELSE s.id END, s.error = $evil
        WITH DISTINCT 1 AS done
        MATCH (c:Completion {dataset: $d}) SET c.text = $evil + '\n' + $evil, c.asked = $evil, c.model = $evil
        WITH DISTINCT 1 AS done
        MATCH (r:Run {dataset: $d}) SET r.error = $evil
        WITH DISTINCT 1 AS done
        MATCH (n:User|Item|Entity|Intent|Interest {dataset: $d}) SET n.name = $evil + coalesce(n.name, '')
        WITH DISTINCT 1 AS done
        MATCH (a:Intent {uid: $d + ':gardens'}), (u:User {uid: $d + ':0'})
        SET a.id = $style, a.uid = $d + ':' + $style, u.id = $style, u.uid = $d + ':' + $style
        WITH a, u
        MATCH (b:Intent {uid: $d + ':the sea'})
        CREATE (a)-[:SAME_AS {state: 'proposed', method: 'exact', score: 1.0, history: [$evil]}]->(b),
               (:Run {uid: $d + ':c', id: 'c', dataset: $d, kind: 'command', name: 'cluster', state: 'done',
                      said: $evil, progress: $evil, parameters: '{"arguments": ["cluster"]}', created_at: datetime()})
        """,
        d=DATASET,
        evil=EVIL,
        style=STYLE,
    )
    (run,) = trained.write(graph, settings, DATASET, "interests")
    trained.publish(graph, settings, run)
    correct(graph, Claim(DATASET, Label.USER, "1", "interest", "garden"), by="tests", reason=EVIL)
    yield
    graph.execute("MATCH (n {dataset: $d}) DETACH DELETE n", d=DATASET)


@pytest.mark.parametrize(
    "command",
    [
        ("jobs", "list"),
        ("jobs", "show", "extraction"),
        ("jobs", "show", "c"),
        ("jobs", "quarantine", "extraction"),
        ("jobs", "trace", "0"),
        ("recommend", STYLE),
        ("corrections", "list"),
        ("corrections", "add", STYLE, "--user", STYLE, "--reason", EVIL),
        ("corrections", "undo", "garden", "--user", STYLE),
        ("intents", "list"),
        ("intents", "merge", STYLE, "the sea"),
        ("intents", "unmerge", STYLE),
        ("query", "intents_by_holders"),
        ("query", "users_by_intent", "-p", f"intent={STYLE}"),
        ("query", EVIL),
        ("query", "users_by_intent", "-p", f"intent={EVIL}"),
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_commands_print_it_as_text(here: Cikg, written: None, command: tuple[str, ...]) -> None:
    done = here(*command, "--dataset", DATASET)
    said = done.stdout + done.stderr
    assert done.returncode == (2 if command[0] == "query" and EVIL in command[-1] else 0), said
    assert STYLE in said, "it is shown"
    assert not set(said) & set("\x1b\x07\x9b\u202e")


def test_a_brackets_text_is_whole(here: Cikg, written: None) -> None:
    shown = here("jobs", "quarantine", "extraction", "--dataset", DATASET).stdout
    assert shown.count(STYLE) >= 4, "the subject, the error, two lines of the answer"


def test_columns_of_a_table(here: Cikg, tmp_path: Path) -> None:
    table = tmp_path / "ratings.csv"
    table.write_text(f"user,item,{EVIL}\n" + "".join(f"{STYLE}{n % 9},{EVIL}{n % 7},{n % 5}\n" for n in range(63)))
    done = here("import", "wizard", table, "--yes", "--output", tmp_path / f"{STYLE.replace('/', '')}.toml")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert not set(said) & set("\x1b\x07\x9b\u202e")


def test_an_argument_that_is_no_text_is_told(here: Cikg, written: None) -> None:
    done = here("intents", "merge", "\udcff", "the sea", "--dataset", DATASET)
    assert (done.returncode, "'\\udcff' is not UTF-8 text" in done.stderr) == (2, True), done.stderr

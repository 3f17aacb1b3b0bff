from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from cikg.access import audit
from cikg.graph import Graph
from cikg.schema import uid
from cikg.serving.recommend import read
from cikg.settings import Settings
from tests import planted, trained

Cikg = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def corrections(here: Cikg, graph: Graph, dataset: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`cikg corrections …` about a planted dataset."""
    planted.write(graph, dataset)
    return lambda *words: here("corrections", *words, "--dataset", dataset)


def test_a_reader_is_corrected_and_the_list_follows(
    corrections: Cikg, here: Cikg, graph: Graph, settings: Settings, dataset: str
) -> None:
    (run,) = trained.write(graph, settings, dataset, "interests")
    trained.publish(graph, settings, run)
    before = read(graph, dataset, "3", 5)
    added = corrections("add", "Gardens", "--user", "3", "--reason", "a present", "--json")
    assert added.returncode == 0, added.stderr
    said = json.loads(added.stdout)
    assert (said["kind"], said["id"], said["verdict"], said["list_made_again"]) == ("interest", "garden", "wrong", True)
    after = read(graph, dataset, "3", 5)
    assert before is not None
    assert after is not None
    assert (after.outdated, {item.interest for item in after.items}) == (False, {None})
    assert [item.item for item in after.items] != [item.item for item in before.items]
    listed = json.loads(corrections("list", "--json").stdout)["corrections"]
    assert [(row["user"], row["wrong"]["name"], row["wrong"]["reason"]) for row in listed] == [
        ("3", "gardens", "a present")
    ]
    assert "a present" in corrections("list").stdout
    shown = here("recommend", "3", "--dataset", dataset, "--k", "1")
    assert (shown.returncode, after.items[0].name in shown.stdout, "\ufffd" in shown.stdout) == (0, True, False), shown
    undone = corrections("undo", "gardens", "--user", "3")
    assert (undone.returncode, "was updated" in undone.stderr) == (0, True)
    assert read(graph, dataset, "3", 5) == before
    entries = [entry for entry in audit.read(graph, 50) if entry.target == uid(dataset, "3")]
    assert [entry.action for entry in entries] == ["corrections.stands", "corrections.wrong"]
    assert {entry.actor for entry in entries} == {audit.command_line()}


def test_an_intent_alone_where_both_have_the_name(corrections: Cikg, graph: Graph, dataset: str) -> None:
    graph.execute("MATCH (t:Interest {uid: $d + ':garden'}) SET t.name = 'gardens'", d=dataset)
    added = corrections("add", "gardens", "--user", "3", "--kind", "intent", "--json")
    assert json.loads(added.stdout)["kind"] == "intent"
    assert not json.loads(added.stdout)["list_made_again"], "nothing is published"
    listed = json.loads(corrections("list", "--json").stdout)["corrections"]
    assert [each["wrong"]["kind"] for each in listed] == ["interest"], "it goes with its last intent"
    assert corrections("undo", "gardens", "--user", "3", "--kind", "intent").returncode == 0
    assert json.loads(corrections("list", "--json").stdout)["corrections"] == []


def test_an_item(corrections: Cikg, graph: Graph, dataset: str) -> None:
    graph.execute(
        "MATCH (i:Item {uid: $d + ':sea-1'}), (n:Intent {uid: $d + ':gardens'}) "
        "CREATE (i)-[:SATISFIES {round: 1}]->(n)",
        d=dataset,
    )
    assert corrections("add", "gardens", "--item", "sea-1").returncode == 0
    assert json.loads(corrections("list", "--json").stdout)["corrections"][0]["item"] == "sea-1"
    assert corrections("undo", "gardens", "--item", "sea-1").returncode == 0
    assert json.loads(corrections("list", "--json").stdout)["corrections"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "the sea", "--user", "3"), "There is “gardens”"),
        (("add", "gardens"), "--user ID or --item ID"),
        (("add", "gardens", "--user", "3", "--item", "sea-1"), "--user ID or --item ID"),
        (("add", "gardens", "--user", "nobody"), "has no user 'nobody'"),
        (("add", "gardens", "--user", "3", "--reason", "x" * 501), "501 characters"),
        (("undo", "gardens", "--user", "3"), "There is nothing"),
    ],
    ids=["not theirs", "about nobody", "about both", "nobody", "too long", "not corrected"],
)
def test_what_makes_no_sense_is_refused(corrections: Cikg, words: tuple[str, ...], said: str) -> None:
    done = corrections(*words)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())

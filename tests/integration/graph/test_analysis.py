"""Every question of the library on a planted graph: the exact rows, and that each of its filters is needed for them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from cikg.errors import InputError
from cikg.graph import Graph, Statement, library
from tests import planted_intents

Rows = list[list[Any]]
GIVEN = {"from": 1000, "to": 2000, "smoothing": 1.0, "least": 1, "most": 2, "skip": 0, "limit": 100}

CASES: list[tuple[str, dict[str, Any], Rows]] = [
    (
        "intents_by_holders",
        {},
        [
            ["sea", "Sea", 3, 2],
            ["gardens", "Gardens", 2, 2],
            ["maps", "Maps", 1, 0],
            ["walks", "Walks", 1, 1],
            ["spare", "Spare", 0, 1],
        ],
    ),
    (
        "intent_profile",
        {"intent": "gardens"},
        [["gardens", "Gardens", 2, 2, ["Green"], 3, 2, 2, ["Blooms", "Roses"], ["extraction", "reading"]]],
    ),
    ("intent_profile", {"intent": "spare"}, [["spare", "Spare", 0, 1, [], 1, 0, 2, [], ["reading"]]]),
    ("intent_profile", {"intent": "roses"}, []),
    ("users_by_intent", {"intent": "gardens"}, [["ann", "Ann", 1, 2], ["ben", "Ben", 1, 1]]),
    ("users_by_intent", {"intent": "roses"}, []),
    ("items_by_intent", {"intent": "sea"}, [["moby", "Moby-Dick", 1, 4], ["tide", "Tides", 1, 2]]),
    ("items_by_intent", {"intent": "gardens"}, [["emma", "Emma", 1, 5], ["rose", "The Rose", 2, 2]]),
    ("items_by_intent", {"intent": "roses"}, []),
    ("overlaps_of_intent", {"intent": "sea"}, [["gardens", "Gardens", 2, 2, 2 / 3], ["maps", "Maps", 1, 1, 1 / 3]]),
    ("overlaps_of_intent", {"intent": "sea", "least": 2}, [["gardens", "Gardens", 2, 2, 2 / 3]]),
    ("overlaps_of_intent", {"intent": "roses"}, []),
    # Sea 3 of 4 pieces of evidence in the window and 1 of 4 before, gardens 1 and 2, walks 0 and 1: with three intents
    # and smoothing 1 the sea rises from 2/7 to 4/7.
    ("rising_intents", {}, [["sea", "Sea", 3, 3, 1, 2.0]]),
    ("rising_intents", {"least": 4}, []),
    ("rising_intents", {"smoothing": 0.5}, [["sea", "Sea", 3, 3, 1, pytest.approx(3.5 / 1.5)]]),
    ("rising_intents", {"from": 60, "to": 250}, [["gardens", "Gardens", 2, 2, 0, pytest.approx((3 / 4) / (1 / 3))]]),
    ("unsatisfied_intents", {}, [["maps", "Maps", 1]]),
    ("unsatisfied_intents", {"least": 2}, []),
    ("unused_intents", {}, [["spare", "Spare", 1]]),
    (
        "intents_of_user",
        {"user": "ann"},
        [["gardens", "Gardens", 1, ["Green"], ["emma", "rose"]], ["sea", "Sea", 1, ["Salt"], ["moby"]]],
    ),
    (
        "intents_of_user",
        {"user": "ben"},
        [["sea", "Sea", 1, ["Salt"], ["atlas", "moby"]], ["gardens", "Gardens", 1, ["Green"], ["emma"]]],
    ),
    ("intents_of_user", {"user": "fay"}, []),
    (
        "shared_intents",
        {"user": "ann", "other": "ben"},
        [["gardens", "Gardens", ["emma", "rose"], ["emma"]], ["sea", "Sea", ["moby"], ["atlas", "moby"]]],
    ),
    ("shared_intents", {"user": "dan", "other": "ben"}, []),
    ("shared_intents", {"user": "ben", "other": "dan"}, []),
    ("shared_intents", {"user": "ben", "other": "eve"}, []),
    ("users_without_intents", {}, [["eve", "Eve", 2], ["fay", "Fay", 1]]),
    (
        "bridge_to_item",
        {"user": "ann", "item": "tide"},
        [["intent", "sea", "Sea", [], ["Moby-Dick"]], ["fact", "ocean", "ocean", ["genre"], ["Moby-Dick"]]],
    ),
    (
        "bridge_to_item",
        {"user": "dan", "item": "rose"},
        [
            ["interest", "green", "Green", ["Gardens"], ["Emma"]],
            ["fact", "austen", "Jane Austen", ["author"], ["Emma"]],
        ],
    ),
    (
        "bridge_to_item",
        {"user": "ann", "item": "atlas"},
        [["interest", "green", "Green", ["Walks"], ["Emma", "The Rose"]]],
    ),
    ("bridge_to_item", {"user": "ann", "item": "dune"}, []),
    ("bridge_to_item", {"user": "eve", "item": "dune"}, []),
    ("bridge_to_item", {"user": "cat", "item": "rose"}, []),
    ("intents_of_item", {"item": "atlas"}, [["spare", "Spare", 1, []], ["walks", "Walks", 2, ["Green"]]]),
    ("intents_of_item", {"item": "tide"}, [["sea", "Sea", 1, ["Salt"]]]),
    ("intents_of_item", {"item": "dune"}, []),
    ("items_without_intents", {}, [["dune", "Dune", 1]]),
    ("cold_items", {"least": 2}, [["tide", "Tides", 1, 1, "Sea", 3], ["rose", "The Rose", 2, 1, "Gardens", 2]]),
    ("cold_items", {"least": 2, "most": 1}, [["tide", "Tides", 1, 1, "Sea", 3]]),
    (
        "cold_items",
        {"least": 1},
        [
            ["tide", "Tides", 1, 1, "Sea", 3],
            ["rose", "The Rose", 2, 1, "Gardens", 2],
            ["atlas", "Atlas", 1, 1, "Walks", 1],
        ],
    ),
    ("users_by_interest", {"interest": "green"}, [["ann", "Ann", 2], ["ben", "Ben", 1], ["dan", "Dan", 1]]),
    ("interests_of_user", {"user": "cat"}, [["salt", "Salt", "extracted", ["moby"]]]),
    ("shared_interests", {"user": "ann", "other": "cat"}, [["salt", "Salt"]]),
    ("shared_interests", {"user": "cat", "other": "dan"}, []),
    ("shared_interests", {"user": "dan", "other": "cat"}, []),
    ("intents_of_interest", {"interest": "green"}, [["gardens", "Gardens", 2], ["walks", "Walks", 1]]),
    (
        "items_of_interest",
        {"interest": "green"},
        [
            ["emma", "Emma", 3, 0.75],
            ["moby", "Moby-Dick", 2, 0.5],
            ["atlas", "Atlas", 1, 1.0],
            ["rose", "The Rose", 1, 0.5],
        ],
    ),
    ("overlaps_of_interest", {"interest": "green"}, [["salt", "Salt", 2, 3, 0.5]]),
    ("overlaps_of_interest", {"interest": "green", "least": 3}, []),
    ("overlapping_interests", {}, [["green", "Green", "salt", "Salt", 2, 0.5]]),
    ("overlapping_interests", {"least": 3}, []),
    ("unused_interests", {}, [["idle", "Idle"]]),
    (
        "edge_provenance",
        {"kind": "POSSESSES", "source": "ann", "target": "gardens"},
        [
            [
                "Ann",
                "POSSESSES",
                "Gardens",
                "extraction",
                round_,
                "answer of extraction",
                "stand-in",
                "user_interests",
                2,
                "2026-01-02T03:04:05Z",
                evidence,
                merged,
                None,
                None,
            ]
            for round_, evidence, merged in ((1, ["Emma", "The Rose"], []), (2, ["The Rose"], ["Roses"]))
        ],
    ),
    (
        "edge_provenance",
        {"kind": "SATISFIES", "source": "atlas", "target": "maps"},
        [
            [
                "Atlas",
                "SATISFIES",
                "Maps",
                "reading",
                1,
                "answer of reading",
                "stand-in",
                "item_intents",
                1,
                "2026-01-02T03:04:05Z",
                [],
                [],
                "review",
                "too vague",
            ]
        ],
    ),
    (
        "edge_provenance",
        {"kind": "MEMBER_OF", "source": "sea", "target": "salt"},
        [["Sea", "MEMBER_OF", "Salt", "clustering", *[None] * 6, [], [], None, None]],
    ),
    ("edge_provenance", {"kind": "SATISFIES", "source": "ann", "target": "gardens"}, []),
    (
        "edge_evidence",
        {"kind": "POSSESSES", "source": "ann", "target": "gardens"},
        [
            ["emma", "Emma", "train", 5.0, "1970-01-01T00:01:40Z"],
            ["rose", "The Rose", "train", None, "1970-01-01T00:20:00Z"],
        ],
    ),
    (
        "edge_evidence",
        {"kind": "DESCRIBES", "source": "about-ann", "target": "ann"},
        [["emma", "Emma", "train", 5.0, "1970-01-01T00:01:40Z"]],
    ),
    ("edge_evidence", {"kind": "POSSESSES", "source": "dan", "target": "gardens"}, []),
    (
        "written_by_run",
        {"run": "extraction"},
        [["POSSESSES", 11, 4, 6, 7, ["Ann → Gardens", "Ann → Gardens", "Ann → Sea"]]],
    ),
    ("written_by_run", {"run": "earlier"}, [["POSSESSES", 0, 1, 1, 1, ["Dan → Gardens"]]]),
    (
        "written_by_run",
        {"run": "reading"},
        [["SATISFIES", 8, 3, 6, 6, ["Atlas → Maps", "Atlas → Spare", "Atlas → Walks"]]],
    ),
    ("written_by_run", {"run": "portraits"}, [["DESCRIBES", 1, 1, 2, 2, ["about-ann → Ann", "about-ben → Ben"]]]),
    (
        "written_by_run",
        {"run": "clustering"},
        [
            ["HAS_INTEREST", 6, 4, 5, 3, ["Ann → Green", "Ann → Salt", "Ben → Green"]],
            ["MEMBER_OF", 5, 0, 5, 2, ["Gardens → Green", "Maps → Salt", "Roses → Green"]],
        ],
    ),
    (
        "edges_of_run",
        {"run": "extraction", "kind": "POSSESSES", "skip": 2, "limit": 2},
        [
            ["ann", "Ann", "sea", "Sea", 1, "answer of extraction", None],
            ["ben", "Ben", "gardens", "Gardens", 1, "answer of extraction", None],
        ],
    ),
    (
        "edges_of_run",
        {"run": "clustering", "kind": "MEMBER_OF", "limit": 1},
        [["gardens", "Gardens", "green", "Green", None, None, None]],
    ),
    (
        "edges_of_run",
        {"run": "earlier", "kind": "POSSESSES"},
        [["dan", "Dan", "gardens", "Gardens", 1, "answer of earlier", "review"]],
    ),
    (
        "edges_by_prompt",
        {},
        [
            ["item_intents", 1, "stand-in", "SATISFIES", 11, 3, 3 / 11],
            ["user_interests", 1, "stand-in", "POSSESSES", 1, 1, 1.0],
            ["user_interests", 2, "stand-in", "POSSESSES", 15, 4, 4 / 15],
            ["user_profiles", 1, "stand-in", "DESCRIBES", 2, 1, 0.5],
        ],
    ),
    (
        "pruned_edges",
        {"skip": 0, "limit": 3},
        [
            ["DESCRIBES", "about-ben", "ben", "Ben", "review", "too vague"],
            ["HAS_INTEREST", "cat", "green", "Green", "review", "too vague"],
            ["HAS_INTEREST", "dan", "salt", "Salt", "review", "too vague"],
        ],
    ),
    (
        "pruned_edges",
        {"skip": 10},
        [
            ["SATISFIES", "atlas", "maps", "Maps", "review", "too vague"],
            ["SATISFIES", "dune", "sea", "Sea", "review", "too vague"],
            ["SATISFIES", "emma", "spare", "Spare", "review", "too vague"],
        ],
    ),
    ("extraction_leaks", {}, [[28, 1]]),
    ("leaking_edges", {"skip": 0}, [["POSSESSES", "cat", "sea", "{dataset}:extraction", ["emma"]]]),
    (
        "recommendations",
        {},
        [
            ["ann", 1, "tide", "Tides", 0.9, "Salt"],
            ["ann", 2, "atlas", "Atlas", 0.8, None],
            ["cat", 1, "rose", "The Rose", 0.6, None],
        ],
    ),
    ("recommendations", {"limit": 1}, [["ann", 1, "tide", "Tides", 0.9, "Salt"]]),
    ("counts", {}, [[6, 6, 3, 5, 3, 15, 11, 8, 6, 6]]),
]


@pytest.fixture(scope="module")
def planted(graph: Graph) -> Iterator[str]:
    """The planted graph, and beside it another dataset with the same ids."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    planted_intents.write(graph, name)
    planted_intents.write(graph, f"{name}-decoy")
    yield name
    graph.execute("MATCH (n) WHERE n.dataset IN $names DETACH DELETE n", names=[name, f"{name}-decoy"])


def ask(graph: Graph, text: str, dataset: str, parameters: dict[str, Any]) -> Rows:
    given = {"dataset": dataset, "decoy": f"{dataset}-decoy"} | GIVEN | parameters
    return graph.look(text, given, 1000).rows


def told(value: Any, dataset: str) -> Any:
    return value.format(dataset=dataset) if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("name", "parameters", "answer"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_answer_is_the_planted_one(
    graph: Graph, planted: str, name: str, parameters: dict[str, Any], answer: Rows
) -> None:
    found = ask(graph, library()[name].text, planted, parameters)
    assert found == [[told(value, planted) for value in row] for row in answer]


def test_who_has_much_of_which_little_is_training_hides_nobody(graph: Graph, dataset: str) -> None:
    read = [["much", "test", 3], ["much", "train", 1], ["trained", "train", 2], ["little", "train", 1]]
    graph.execute(
        "MERGE (i:Item {uid: $d + ':i', id: 'i', dataset: $d}) WITH i UNWIND $read AS row "
        "MERGE (u:User {uid: $d + ':' + row[0]}) SET u.id = row[0], u.dataset = $d "
        "WITH i, u, row UNWIND range(1, row[2]) AS n CREATE (u)-[:INTERACTED {split: row[1]}]->(i)",
        d=dataset,
        read=read,
    )
    everyone = [["trained", None, 2], ["little", None, 1], ["much", None, 1]]
    for limit in range(1, 5):
        assert ask(graph, library()["users_without_intents"].text, dataset, {"limit": limit}) == everyone[:limit]


def test_evidence_needs_no_time(graph: Graph, dataset: str) -> None:
    graph.execute(
        "CREATE (u:User {uid: $d + ':u', id: 'u', dataset: $d})-[:INTERACTED {split: 'train'}]->"
        "(:Item {uid: $d + ':i', id: 'i', dataset: $d, name: 'Emma'}), (u)-[:POSSESSES {evidence: ['i', 'gone']}]->"
        "(:Intent {uid: $d + ':n', id: 'n', dataset: $d})",
        d=dataset,
    )
    asked = {"kind": "POSSESSES", "source": "u", "target": "n"}
    rows = [["gone", None, None, None, None], ["i", "Emma", "train", None, None]]
    assert ask(graph, library()["edge_evidence"].text, dataset, asked) == rows


def questions() -> list[Statement]:
    """Those asked of the graph; what asks vectors is tested where vectors are made."""
    return [statement for statement in library().values() if statement.section and statement.domain != "embeddings"]


def test_every_question_has_a_case() -> None:
    assert {name for name, _, _ in CASES} == {statement.name for statement in questions()}


MUTATIONS = (
    (re.compile(r"\b\w+\.(?:pruned_by|merged_into) IS (?:NOT )?NULL"), "true"),
    (re.compile(r"\b\w+\.split = 'train'"), "true"),
    (re.compile(r" \{split: 'train'\}"), ""),
    (
        re.compile(r"\((\w+):(\w+(?:\|\w+)*) \{dataset: \$dataset\}\)"),
        r"(\1:\2 WHERE \1.dataset IN [$dataset, $decoy])",
    ),
    (re.compile(r"\(:(\w+(?:\|\w+)*) \{dataset: \$dataset\}\)"), r"(x:\1 WHERE x.dataset IN [$dataset, $decoy])"),
)
LEADS_TO_THE_INDEX = {"written_by_run", "edges_of_run", "rising_intents", "recommendations"}
"""What these find belongs to the dataset anyway: to its run or model, or to items looked up by the dataset's key."""

BOUNDS = {("users_without_intents", " {split: 'train'}", 0)}
"""Filters that say what need not be read, each with a test of its own."""


def mutants() -> Iterator[Any]:
    """Each statement with one of its filters taken out."""
    for statement in questions():
        for pattern, replacement in MUTATIONS:
            for number, found in enumerate(pattern.finditer(statement.text)):
                if statement.name in LEADS_TO_THE_INDEX and "$dataset" in found[0]:
                    continue
                if (statement.name, found[0], number) in BOUNDS:
                    continue
                text = statement.text[: found.start()] + found.expand(replacement) + statement.text[found.end() :]
                yield pytest.param(statement, text, id=f"{statement.name}: {found[0].strip()} #{number}")


@pytest.mark.parametrize(("statement", "text"), list(mutants()))
def test_no_filter_can_be_left_out(graph: Graph, planted: str, statement: Statement, text: str) -> None:
    def same(parameters: dict[str, Any], answer: Rows) -> bool:
        try:
            return ask(graph, text, planted, parameters) == answer
        except InputError:  # a division by a count that the filter keeps from being 0
            return False

    answers = [same(parameters, answer) for name, parameters, answer in CASES if name == statement.name]
    assert not all(answers), f"the planted graph cannot tell whether the filter is there:\n{text}"

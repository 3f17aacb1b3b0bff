"""What the pages read leaves out pruned edges and merged intents; the planted answers are those of the questions."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from cikg.graph import Graph
from tests import planted_intents

PAGE = {"text": "", "by": "", "skip": 0, "limit": 10}


@pytest.fixture(scope="module")
def planted(graph: Graph) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    planted_intents.write(graph, name)
    yield name
    graph.execute("MATCH (n {dataset: $name}) DETACH DELETE n", name=name)


def columns(rows: list[dict[str, Any]], *names: str) -> list[list[Any]]:
    return [[row[name] for name in names] for row in rows]


def test_lists(graph: Graph, planted: str) -> None:
    (listed,) = graph.many("list_datasets", datasets=[planted, f"{planted}-absent"])
    assert listed["intents"] == 5
    counts = graph.one("edge_counts", dataset=planted)
    assert (counts["held"], counts["facts"]) == (6, 6), "what an item offers is no fact"
    held = [["green", 3], ["salt", 3], ["idle", 0]]
    assert columns(graph.many("top_interests", dataset=planted, limit=9), "id", "holders") == held
    users = graph.one("browse_users", dataset=planted, **PAGE)["rows"]
    assert {row["id"]: row["interests"] for row in users} == {
        "ann": 2,
        "ben": 2,
        "cat": 1,
        "dan": 1,
        "eve": 0,
        "fay": 0,
    }
    items = graph.one("browse_items", dataset=planted, **PAGE)["rows"]
    assert columns(items[:2], "id", "readers", "facts") == [["emma", 5, 1], ["moby", 4, 1]], "intents are no facts"
    interests = graph.one("browse_interests", dataset=planted, **PAGE)["rows"]
    assert columns(interests, "id", "holders", "intents") == [["green", 3, 2], ["salt", 3, 2], ["idle", 0, 0]]


def test_a_row_of_a_list_says_what_it_is_about(graph: Graph, planted: str) -> None:
    def about(kind: str) -> dict[str, list[str]]:
        page = {name: value for name, value in PAGE.items() if name != "by" or kind != "entities"}
        return {row["id"]: row["about"] for row in graph.one(f"browse_{kind}", dataset=planted, **page)["rows"]}

    users = {
        "ann": ["Green", "Salt"],
        "ben": ["Green", "Salt"],
        "cat": ["Salt"],
        "dan": ["Green"],
        "eve": [],
        "fay": [],
    }
    assert about("users") == users, "what was pruned is left out"
    assert about("items")["emma"] == ["Jane Austen"]
    assert about("entities") == {"austen": ["author"], "desert": ["genre"], "ocean": ["genre", "subject"]}
    assert about("intents") == {
        "gardens": ["Green"], "walks": ["Green"], "sea": ["Salt"], "maps": ["Salt"], "spare": [],
    }  # fmt: skip
    assert about("interests") == {"green": ["Gardens", "Walks"], "salt": ["Sea", "Maps"], "idle": []}


def test_a_figure_puts_a_list_in_order(graph: Graph, planted: str) -> None:
    def ids(kind: str, by: str) -> list[str]:
        return [row["id"] for row in graph.one(f"browse_{kind}", dataset=planted, **PAGE | {"by": by})["rows"]]

    assert ids("users", "") == ["ann", "ben", "cat", "dan", "eve", "fay"]
    assert ids("users", "interactions") == ["ann", "ben", "cat", "eve", "dan", "fay"]
    assert ids("users", "interests") == ["ann", "ben", "cat", "dan", "eve", "fay"]
    assert ids("intents", "") == ["sea", "gardens", "walks", "maps", "spare"]
    assert ids("intents", "items") == ["sea", "gardens", "walks", "spare", "maps"]
    assert ids("items", "")[-1] == "dune"
    more = "MATCH (dune:Item {uid: $d + ':dune'}), (e:Entity {uid: $d + ':ocean'})"
    graph.execute(f"{more} CREATE (dune)-[:SUBJECT {{relation: 'subject'}}]->(e)", d=planted)
    try:
        assert ids("items", "facts")[0] == "dune"
    finally:
        graph.execute(f"{more} MATCH (dune)-[fact:SUBJECT]->(e) DELETE fact", d=planted)


def test_a_user(graph: Graph, planted: str) -> None:
    def interests(user: str) -> list[list[Any]]:
        return columns(graph.many("user_interests", user=f"{planted}:{user}"), "id", "holders", "phrases")

    assert interests("ann") == [["green", 3, ["Gardens"]], ["salt", 3, ["Sea"]]]
    assert interests("cat") == [["salt", 3, ["Maps", "Sea"]]]
    assert columns(graph.many("user_intents", user=f"{planted}:ben"), "id") == [["sea"], ["gardens"]]
    assert graph.many("user_intents", user=f"{planted}:fay") == []


def test_an_interest(graph: Graph, planted: str) -> None:
    green = {"interest": f"{planted}:green"}
    assert graph.one("interest_detail", **green)["holders"] == 3
    assert columns(graph.many("interest_holders", limit=9, **green), "id") == [["ann"], ["ben"], ["dan"]]
    phrases = graph.many("interest_intents", limit=9, **green)
    assert columns(phrases, "id", "users") == [["gardens", 2], ["walks", 1]]
    # Of 6 users 5 read Emma before test; all 3 holders did.
    (emma,) = graph.many("interest_items", limit=9, **green)
    assert (emma["id"], emma["support"], emma["cohort"]) == ("emma", 3, 3)


def test_an_item_and_what_stands_around(graph: Graph, planted: str) -> None:
    found = graph.many("item_interests", item=f"{planted}:emma", limit=9)
    assert columns(found, "id", "support", "cohort") == [["green", 3, 3], ["salt", 3, 3]]
    around = {
        (row["type"], each["id"])
        for row in graph.many("neighbours", label="Item", uid=f"{planted}:dune", cap=9, pruned=False)
        for each in row["shown"]
    }
    assert around == {("INTERACTED", "ann"), ("GENRE", "desert")}
    keys = [row["key"] for row in graph.execute(
        "MATCH (n) WHERE n.uid IN [$d + ':dan', $d + ':gardens', $d + ':walks'] RETURN elementId(n) AS key", d=planted
    )]  # fmt: skip
    assert sorted(row["type"] for row in graph.many("edges_between", keys=keys, pruned=False)) == [
        "POSSESSES",
        "SAME_AS",
    ]


@pytest.mark.parametrize("verdict", ["rejected", "undone"])
def test_intents_that_differ_are_no_neighbours(graph: Graph, planted: str, verdict: str) -> None:
    pair = [f"{planted}:gardens", f"{planted}:walks"]
    judge = "MATCH (:Intent {uid: $pair[0]})-[same:SAME_AS]-(:Intent {uid: $pair[1]}) SET same.state = $state"

    def types() -> list[set[str]]:
        around = graph.many("neighbours", label="Intent", uid=pair[0], cap=9, pruned=True)
        page = {"type": "", "pruned": True, "skip": 0, "limit": 50}
        listed = graph.many("neighbours_by_type", label="Intent", uid=pair[0], **page)
        keys = graph.execute("MATCH (n:Intent) WHERE n.uid IN $pair RETURN elementId(n) AS key", pair=pair)
        between = graph.many("edges_between", keys=[row["key"] for row in keys], pruned=True)
        return [{row["type"] for row in rows} & {"SAME_AS"} for rows in (around, listed, between)]

    assert types() == [{"SAME_AS"}] * 3
    graph.execute(judge, pair=pair, state=verdict)
    try:
        assert types() == [set()] * 3
    finally:
        graph.execute(judge, pair=pair, state="proposed")


def test_search_leaves_out_what_was_merged(graph: Graph, planted: str) -> None:
    graph.execute("CALL db.index.fulltext.awaitEventuallyConsistentIndexRefresh()")
    assert graph.many("search_names", dataset=planted, query="blooms", limit=9) == []
    assert columns(graph.many("search_names", dataset=planted, query="gardens", limit=9), "id") == [["gardens"]]


def test_pages_of_rows_that_look_alike_neither_repeat_nor_miss_any(graph: Graph, dataset: str) -> None:
    names = [f"job-{number:02}" for number in range(40)]
    graph.execute(
        "CREATE (u:User {uid: $d + ':u', id: 'u', dataset: $d}), (n:Intent {uid: $d + ':n', id: 'n', dataset: $d}), "
        "(:Run {uid: $d + ':r', id: 'r', dataset: $d}), (:Subject {uid: $d + ':r/u', id: 'u', run: $d + ':r'}) "
        "WITH u, n UNWIND $names AS name CREATE (u)-[:POSSESSES {run: $d + ':' + name, pruned_by: name}]->(n) "
        "CREATE (u)-[:POSSESSES {run: $d + ':r', pruned_by: name, evidence: []}]->(n)",
        d=dataset,
        names=names[::-1],
    )

    def pages(name: str, column: str, **parameters: str) -> list[Any]:
        rows = []
        while page := graph.many(name, dataset=dataset, skip=len(rows), limit=7, **parameters):
            rows += page
        return [row[column] for row in rows]

    assert pages("leaking_edges", "run") == [f"{dataset}:{name}" for name in names] + [f"{dataset}:r"] * 40
    assert sorted(pages("pruned_edges", "pruned_by")) == sorted(names * 2)
    assert sorted(pages("edges_of_run", "pruned_by", run="r", kind="POSSESSES")) == names

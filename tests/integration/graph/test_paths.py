"""Paths between two nodes: all of at most four edges, the shortest first, as a walk through the graph finds them."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from cikg.graph import Graph
from cikg.schema import uid

KINDS = {"u": "User", "i": "Item", "e": "Entity", "n": "Intent", "t": "Interest"}
NODES = ["u1", "u2", "u3", "i1", "i2", "i3", "i4", "e1", "e2", "n1", "n2", "merged", "t1"]
Edge = tuple[str, str, str, bool]
"""Source, target, type, and whether it is pruned."""


@pytest.fixture(scope="module")
def edges() -> list[Edge]:
    drawn = random.Random(7)
    found = [
        (*drawn.sample(NODES, 2), drawn.choice(["SAYS", "SAYS", "MEANS"]), drawn.random() < 0.1) for _ in range(24)
    ]
    return [
        *found,
        ("u1", "i1", "RECOMMENDED", False),
        ("n1", "n2", "SAME_AS", False),
        ("u1", "i2", "SAYS", False),
        ("u1", "i2", "SAYS", False),
    ]


def simple_paths(edges: list[Edge], source: str, target: str) -> Counter[tuple[str, ...]]:
    """Nodes and types in turn of every path that meets no node twice; parallel edges make several."""
    usable = [each for each in edges if each[2] not in ("RECOMMENDED", "SAME_AS") and not each[3]]
    found: Counter[tuple[str, ...]] = Counter()

    def walk(at: str, seen: tuple[str, ...], said: tuple[str, ...]) -> None:
        if at == target and len(seen) > 1:
            found[said] += 1
            return
        for first, second, kind, _ in usable if len(seen) <= 4 else ():
            following = second if first == at else first if second == at else None
            if following and following not in seen and following != "merged":
                walk(following, (*seen, following), (*said, f"{kind}{'>' if first == at else '<'}", following))

    walk(source, (source,), (source,))
    return found


def written(row: dict[str, Any]) -> tuple[str, ...]:
    said = [row["nodes"][0]["id"]]
    for edge, node in zip(row["edges"], row["nodes"][1:], strict=True):
        said += [f"{edge['type']}{'>' if edge['forward'] else '<'}", node["id"]]
    return tuple(said)


def test_all_of_them_or_the_shortest(graph: Graph, dataset: str, edges: list[Edge]) -> None:
    label = {name: KINDS.get(name[0], "Intent") for name in NODES} | {"merged": "Intent"}
    for name in NODES:
        graph.execute(
            f"CREATE (:{label[name]} {{uid: $uid, id: $id, dataset: $d, merged_into: $into}})",
            uid=uid(dataset, name), id=name, d=dataset, into=uid(dataset, "n1") if name == "merged" else None,
        )  # fmt: skip
    graph.execute(
        "UNWIND $edges AS row MATCH (a:User|Item|Entity|Intent|Interest {uid: $d + ':' + row[0]}), "
        "(b:User|Item|Entity|Intent|Interest {uid: $d + ':' + row[1]}) "
        "CREATE (a)-[e:$(row[2])]->(b) SET e.pruned_by = CASE WHEN row[3] THEN 'review' END",
        edges=[list(each) for each in edges],
        d=dataset,
    )
    lengths = set()
    for source, target in [("u1", "i3"), ("i3", "u1"), ("u1", "i2"), ("t1", "e1"), ("n2", "u3"), ("merged", "u1")]:
        asked = {"source_label": label[source], "source": uid(dataset, source)}
        asked |= {"target_label": label[target], "target": uid(dataset, target)}
        wanted = simple_paths(edges, source, target)
        assert Counter(map(written, graph.many("shortest_paths", **asked, most=10_000))) == wanted
        for most in (1, 3, 7):
            found = Counter(map(written, graph.many("shortest_paths", **asked, most=most)))
            assert found <= wanted
            assert sorted(map(len, found.elements())) == sorted(map(len, wanted.elements()))[:most]
        lengths |= set(map(len, wanted))
    assert lengths == {3, 5, 7, 9}, "of one to four edges"
    assert graph.many("shortest_paths", **{**asked, "target_label": "Intent", "target": asked["source"]}, most=5) == []

"""Every question of the library on a graph and on one with twice the edges: does its cost grow with what it is about?

python -m tests.benchmarks.bench_analysis [--users N] [--grow dataset|degrees]

`dataset` doubles users and items, each with as many edges as before, over the same intents, interests and entities;
`degrees` gives the same nodes twice the edges. The bar of 2.2 is for the local questions of a dataset that grows. Both
graphs stand in one database, and each question is asked of both in turn, so that they share plans and disturbances. A
time is the least of many: what others do on the machine only adds. `reads` are reads of the store, which do not vary.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from cikg.embedded import supervisor
from cikg.graph import Graph, Statement, connect, library
from cikg.graph.migrations import migrate
from cikg.settings import load_settings

BAR, WARM, REPEATS, BATCH = 2.2, 3, 15, 20_000
INTENTS, INTERESTS, ENTITIES, DAY = 2_000, 100, 2_000, 86_400
DEGREES = {"interactions": 20, "intents": 5, "interests": 3, "satisfies": 4, "facts": 4}
"""Edges of a user, or for the last two of an item."""
ASKED: dict[str, Any] = {
    "user": "u1", "other": "u2", "item": "i40", "intent": "n20", "interest": "t5", "run": "extraction",
    "kind": "POSSESSES", "source": "u1", "target": "", "from": 600 * DAY, "to": 700 * DAY, "smoothing": 1.0,
    "least": 2, "most": 5, "skip": 0, "limit": 100,
}  # fmt: skip
"""Ranks of middling popularity; the edge asked about is one that exists."""


def pairs(random: np.random.Generator, left: int, right: int, each: int) -> list[tuple[int, int]]:
    """About `each` different partners for each of `left` nodes; low ranks of `right` are popular (a power law)."""
    source = np.repeat(np.arange(left), each)
    target = (right * random.random(left * each) ** 3).astype(np.int64)
    return [(int(code // right), int(code % right)) for code in np.unique(source * right + target)]


def write(graph: Graph, dataset: str, users: int, degrees: dict[str, int]) -> int:
    """Write a dataset straight into the graph; returns its number of edges."""
    random, items = np.random.default_rng(0), users // 2
    kinds = {"User": ("u", users), "Item": ("i", items), "Entity": ("e", ENTITIES), "Intent": ("n", INTENTS),
             "Interest": ("t", INTERESTS)}  # fmt: skip
    graph.execute("CREATE (:Dataset {uid: $d, id: $d, dataset: $d, state: 'ready'}), (:Run {uid: $d + ':extraction', "
                  "id: 'extraction', dataset: $d, kind: 'extract', name: 'user_interests'})", d=dataset)  # fmt: skip
    for label, (letter, count) in kinds.items():
        ids = [f"{letter}{index}" for index in range(count)]
        _batched(graph, f"CREATE (:{label} {{uid: $d + ':' + row, id: row, dataset: $d, name: 'Name of ' + row}})",
                 dataset, ids)  # fmt: skip
    _batched(graph, "CREATE (:Subject {uid: $d + ':extraction/' + row, id: row, dataset: $d, run: $d + ':extraction', "
             "kind: 'user'}), (:Completion {uid: $d + ':answer of ' + row, id: row, dataset: $d, prompt: 'p', "
             "prompt_version: 1, model: 'm', created_at: datetime()})", dataset,
             [f"u{index}" for index in range(users)])  # fmt: skip
    edges = 0

    def link(source: str, kind: str, target: str, properties: str, rows: list[list[Any]]) -> None:
        nonlocal edges
        edges += len(rows)
        text = (f"MATCH (a:{source} {{uid: $d + ':' + row[0]}}), (b:{target} {{uid: $d + ':' + row[1]}}) "
                f"CREATE (a)-[:{kind} {{{properties}}}]->(b)")  # fmt: skip
        _batched(graph, text, dataset, rows)

    read = pairs(random, users, items, degrees["interactions"])
    times = random.integers(0, 1_000 * DAY, len(read)).tolist()
    splits = np.where(random.random(len(read)) < 0.8, "train", "test").tolist()
    link("User", "INTERACTED", "Item", "at: row[2], split: row[3]",
         [[f"u{u}", f"i{i}", at, split] for (u, i), at, split in zip(read, times, splits, strict=True)])  # fmt: skip
    train: dict[int, list[str]] = {}
    for (u, i), split in zip(read, splits, strict=True):
        if split == "train":
            train.setdefault(u, []).append(f"i{i}")
    made = ("evidence: row[2], pruned_by: row[3], round: row[4], run: $d + ':extraction', "
            "completion: $d + ':answer of ' + row[0]")  # fmt: skip

    def inferred(found: list[tuple[int, int]], source: str, target: str) -> list[list[Any]]:
        pruned = random.random(len(found)) < 0.03
        return [[f"{source}{a}", f"{target}{b}", train.get(a, [])[:2] if source == "u" else [],
                 "review" if gone else None, 1 + b % 2]
                for (a, b), gone in zip(found, pruned, strict=True)]  # fmt: skip

    held = pairs(random, users, INTENTS, degrees["intents"])
    link("User", "POSSESSES", "Intent", made, inferred(held, "u", "n"))
    link(
        "User",
        "HAS_INTEREST",
        "Interest",
        made,
        inferred(pairs(random, users, INTERESTS, degrees["interests"]), "u", "t"),
    )
    link("Item", "SATISFIES", "Intent", made, inferred(pairs(random, items, INTENTS, degrees["satisfies"]), "i", "n"))
    link("Item", "ABOUT", "Entity", "relation: 'about'",
         [[f"i{a}", f"e{b}"] for a, b in pairs(random, items, ENTITIES, degrees["facts"])])  # fmt: skip
    link("Intent", "MEMBER_OF", "Interest", "run: $d + ':extraction'",
         [[f"n{index}", f"t{index % INTERESTS}"] for index in range(INTENTS)])  # fmt: skip
    return edges


def _batched(graph: Graph, text: str, dataset: str, rows: Sequence[Any]) -> None:
    for start in range(0, len(rows), BATCH):
        graph.execute(f"CYPHER 25 UNWIND $rows AS row {text}", rows=rows[start : start + BATCH], d=dataset)


def remove(graph: Graph, dataset: str) -> None:
    """Take a dataset out again, a label at a time."""
    for label in ("Subject", "Completion", "User", "Item", "Entity", "Intent", "Interest", "Run", "Dataset"):
        while graph.execute(
            f"MATCH (n:{label} {{dataset: $d}}) WITH n LIMIT 500 DETACH DELETE n RETURN count(*) AS gone", d=dataset
        )[0]["gone"]:
            pass


def parameters(graph: Graph, statement: Statement, dataset: str) -> dict[str, Any]:
    """What a question is asked with."""
    given = {name: ASKED[name] for name in statement.parameters if name != "dataset"} | {"dataset": dataset}
    if "target" in given:
        given["target"] = graph.execute(
            "MATCH (:User {uid: $d + ':u1'})-[:POSSESSES]->(n) RETURN min(n.id) AS id", d=dataset
        )[0]["id"]
    return given


def milliseconds(graph: Graph, statement: Statement, given: dict[str, Any]) -> float:
    """Of one question, its rows fetched."""
    start = time.perf_counter()
    graph.many(statement.name, **given)
    return (time.perf_counter() - start) * 1e3


def line(graph: Graph, statement: Statement, datasets: tuple[str, str]) -> str:
    """A row of the table: times and reads of a question in both graphs, and their ratios."""
    given = [parameters(graph, statement, dataset) for dataset in datasets]
    for each in given * WARM:
        milliseconds(graph, statement, each)
    spent = [[milliseconds(graph, statement, each) for each in given] for _ in range(REPEATS)]
    before, after = (min(times) for times in zip(*spent, strict=True))
    plans = [graph.plan(statement.text, each, profile=True) for each in given]
    reads = [sum(step.hits or 0 for step in plan) for plan in plans]
    cost = statement.cost.partition(";")[0]
    if any("Scan" in step.name for plan in plans for step in plan):
        cost += ", **scans**"
    over = " **over**" if after / before > BAR and cost != "global" else ""
    return (
        f"| `{statement.name}` | {cost} | {before:.1f} | {after:.1f} | {after / before:.2f}{over} "
        f"| {reads[0]:,} | {reads[1] / reads[0]:.2f} |"
    )


def main() -> None:
    """Print one line a question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--grow", choices=("dataset", "degrees"), default="dataset")
    options = parser.parse_args()
    twice = {name: 2 * degree for name, degree in DEGREES.items()}
    users, degrees = (2 * options.users, DEGREES) if options.grow == "dataset" else (options.users, twice)
    small, large = "bench-analysis-1", "bench-analysis-2"
    with supervisor.serving(load_settings(), ("neo4j",)) as settings, connect(settings) as graph:
        migrate(graph)
        try:
            edges = write(graph, small, options.users, DEGREES), write(graph, large, users, degrees)
            print(f"{edges[0]:,} edges, then {edges[1]:,}: {edges[1] / edges[0]:.2f} ×")  # noqa: T201
            print("| question | cost | ms | ms, twice the edges | ratio | reads | ratio |")  # noqa: T201
            print("|---|---|---:|---:|---:|---:|---:|")  # noqa: T201
            for statement in library().values():
                if statement.section not in ("", "Recommendations") and statement.domain != "embeddings":
                    print(line(graph, statement, (small, large)))  # noqa: T201
        finally:
            remove(graph, small)
            remove(graph, large)


if __name__ == "__main__":
    main()

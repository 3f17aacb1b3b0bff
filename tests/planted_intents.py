"""A graph of six readers and six books in which every question of the library has an answer to be found by hand.

Gardens, the sea, old maps and long walks are intents; `roses` was merged into gardens, `blooms` into roses, `charts`
into maps. Some edges are pruned, and some were left at a merged intent: whoever counts them gets another answer. Users
cite train interactions alone, but for Cat, who cites a book of the validation split.
"""

from __future__ import annotations

from typing import Any

from cikg.graph import Graph

USERS = ("ann", "ben", "cat", "dan", "eve", "fay")
ITEMS = {"emma": "Emma", "moby": "Moby-Dick", "atlas": "Atlas", "rose": "The Rose", "dune": "Dune", "tide": "Tides"}
INTENTS = {
    "gardens": None, "sea": None, "maps": None, "walks": None, "spare": None,
    "roses": "gardens", "blooms": "roses", "charts": "maps",
}  # fmt: skip
"""Intent -> the one it was merged into."""
INTERESTS = {"green": ("gardens", "walks", "roses"), "salt": ("sea", "maps"), "idle": ()}
"""Interest -> its intents."""

FACTS = [
    ("emma", "AUTHOR", "austen"),
    ("rose", "AUTHOR", "austen"),
    ("moby", "GENRE", "ocean"),
    ("tide", "GENRE", "ocean"),
    ("atlas", "SUBJECT", "ocean"),
    ("dune", "GENRE", "desert"),
]
READ = [
    ("ann", "emma", "train", 100, 5.0),
    ("ann", "moby", "train", 1100, 4.0),
    ("ann", "rose", "train", 1200, None),
    ("ann", "dune", "test", 1300, None),
    ("ben", "emma", "train", 200, None),
    ("ben", "moby", "train", 300, None),
    ("ben", "atlas", "train", 1500, None),
    ("cat", "moby", "train", 1600, None),
    ("cat", "emma", "valid", 1700, None),
    ("cat", "tide", "train", 2500, None),
    ("dan", "emma", "train", 50, None),
    ("eve", "emma", "train", 10, None),
    ("eve", "moby", "train", 20, None),
    ("eve", "tide", "valid", 40, None),
    ("fay", "rose", "train", 30, None),
]
"""User, item, split, seconds since 1970, rating."""

Edge = tuple[str, str, int, list[str], str, str | None]
"""Source, target, round, evidence, run, and who pruned it."""
POSSESSES: list[Edge] = [
    ("ann", "gardens", 1, ["emma", "rose"], "extraction", None),
    ("ann", "sea", 1, ["moby"], "extraction", None),
    ("ben", "gardens", 1, ["emma"], "extraction", None),
    ("ben", "sea", 1, ["moby", "atlas"], "extraction", None),
    ("ben", "roses", 1, ["emma"], "extraction", None),
    ("cat", "sea", 1, ["moby", "emma"], "extraction", None),
    ("cat", "maps", 2, ["tide"], "extraction", None),
    ("cat", "gardens", 2, ["moby"], "extraction", "review"),
    ("dan", "walks", 1, ["emma"], "extraction", None),
    ("dan", "gardens", 1, ["emma"], "earlier", "review"),
    ("eve", "roses", 1, ["emma"], "extraction", None),
    ("eve", "charts", 1, ["moby"], "extraction", None),
    ("fay", "sea", 1, ["rose"], "extraction", "review"),
    ("fay", "maps", 1, ["rose"], "extraction", "review"),
    ("fay", "spare", 1, ["rose"], "extraction", "review"),
]
SATISFIES: list[Edge] = [
    ("emma", "gardens", 1, [], "reading", None),
    ("rose", "gardens", 2, [], "reading", None),
    ("moby", "sea", 1, [], "reading", None),
    ("tide", "sea", 1, [], "reading", None),
    ("tide", "sea", 2, [], "reading", None),
    ("atlas", "walks", 2, [], "reading", None),
    ("atlas", "spare", 1, [], "reading", None),
    ("atlas", "maps", 1, [], "reading", "review"),
    ("emma", "spare", 1, [], "reading", "review"),
    ("dune", "sea", 1, [], "reading", "review"),
    ("dune", "roses", 1, [], "reading", None),
]
HAS_INTEREST: list[Edge] = [
    ("ann", "green", 1, ["emma", "rose"], "clustering", None),
    ("ann", "salt", 1, ["moby"], "clustering", None),
    ("ben", "green", 1, ["emma"], "clustering", None),
    ("ben", "salt", 1, ["moby"], "clustering", None),
    ("cat", "salt", 1, ["moby"], "clustering", None),
    ("cat", "green", 1, ["moby"], "clustering", "review"),
    ("dan", "green", 1, ["emma"], "clustering", None),
    ("dan", "salt", 1, ["emma"], "clustering", "review"),
    ("fay", "salt", 1, ["rose"], "clustering", "review"),
    ("fay", "idle", 1, ["rose"], "clustering", "review"),
]
DESCRIBES: list[Edge] = [
    ("about-ann", "ann", 1, ["emma"], "portraits", None),
    ("about-ben", "ben", 1, ["moby"], "portraits", "review"),
]
RECOMMENDED = [
    ("ann", "tide", "served", 1, 0.9, "salt"),
    ("ann", "atlas", "served", 2, 0.8, None),
    ("ann", "dune", "former", 1, 0.7, "salt"),
    ("cat", "rose", "served", 1, 0.6, "green"),
]
"""User, item, model, rank, score, interest. The former model's lists are served no more; Cat's interest was pruned."""
RUNS = {
    "earlier": ("user_interests", "user", USERS[:4], 1),
    "extraction": ("user_interests", "user", USERS, 2),
    "reading": ("item_intents", "item", tuple(ITEMS), 1),
    "portraits": ("user_profiles", "user", USERS[:2], 1),
}
"""Extraction run -> job and prompt, kind of its subjects, their ids, version of the prompt."""


def write(graph: Graph, dataset: str) -> None:
    """Write the graph as one dataset; its ids are the same in each, so that another one is a decoy."""
    graph.execute(_NODES, d=dataset, users=list(USERS), items=ITEMS, intents=INTENTS, facts=FACTS)
    interests = {identifier: list(intents) for identifier, intents in INTERESTS.items()}
    graph.execute(_INTERESTS, d=dataset, interests=interests)
    graph.execute(_READ, d=dataset, read=[list(row) for row in READ])
    runs = [[run, job, kind, list(ids), version] for run, (job, kind, ids, version) in RUNS.items()]
    graph.execute(_RUNS, d=dataset, runs=runs)
    graph.execute("UNWIND ['ann', 'ben'] AS id CREATE (:Profile {uid: $d + ':about-' + id, id: 'about-' + id, "
                  "dataset: $d, text: 'About ' + id})", d=dataset)  # fmt: skip
    for kind, source, target, edges in (
        ("POSSESSES", "User", "Intent", POSSESSES),
        ("SATISFIES", "Item", "Intent", SATISFIES),
        ("HAS_INTEREST", "User", "Interest", HAS_INTEREST),
        ("DESCRIBES", "Profile", "User", DESCRIBES),
    ):
        _write_edges(graph, dataset, kind, source=source, target=target, edges=edges)
    graph.execute(_RECOMMENDED, d=dataset, rows=[list(row) for row in RECOMMENDED])
    # What merging leaves: Ann's edge to roses became one to gardens.
    graph.execute(
        "MATCH (ann:User {uid: $d + ':ann'}), (gardens:Intent {uid: $d + ':gardens'}) "
        "CREATE (ann)-[:POSSESSES {run: $d + ':extraction', completion: $d + ':answer of extraction', round: 2, "
        "evidence: ['rose'], merged_from: [$d + ':roses']}]->(gardens)",
        d=dataset,
    )


def _write_edges(graph: Graph, dataset: str, kind: str, *, source: str, target: str, edges: list[Edge]) -> None:
    keys = ("source", "target", "round", "evidence", "run", "pruned_by")
    rows: list[dict[str, Any]] = [dict(zip(keys, edge, strict=True)) for edge in edges]
    graph.execute(
        "UNWIND $rows AS row "
        f"MATCH (a:{source} {{uid: $d + ':' + row.source}}), (b:{target} {{uid: $d + ':' + row.target}}) "
        f"CREATE (a)-[:{kind} {{round: row.round, evidence: row.evidence, run: $d + ':' + row.run, "
        "completion: CASE WHEN row.run = 'clustering' THEN null ELSE $d + ':answer of ' + row.run END, "
        "pruned_by: row.pruned_by, pruned_reason: CASE WHEN row.pruned_by IS NOT NULL THEN 'too vague' END}]->(b)",
        d=dataset,
        rows=rows,
    )


_NODES = """
CREATE (:Dataset {uid: $d, id: $d, dataset: $d, state: 'ready', field: 'books', version: 1})
CREATE (:Entity {uid: $d + ':austen', id: 'austen', dataset: $d, name: 'Jane Austen'}),
       (:Entity {uid: $d + ':ocean', id: 'ocean', dataset: $d}),
       (:Entity {uid: $d + ':desert', id: 'desert', dataset: $d})
WITH 1 AS one
CALL () { UNWIND $users AS id
  CREATE (:User {uid: $d + ':' + id, id: id, dataset: $d, name: toUpper(left(id, 1)) + substring(id, 1)}) }
CALL () { UNWIND keys($items) AS id CREATE (:Item {uid: $d + ':' + id, id: id, dataset: $d, name: $items[id]}) }
CALL () { UNWIND keys($intents) AS id
  CREATE (:Intent {uid: $d + ':' + id, id: id, dataset: $d, name: toUpper(left(id, 1)) + substring(id, 1),
                   merged_into: $d + ':' + $intents[id]}) }
CALL () { MATCH (n:Intent {dataset: $d}), (into:Intent {uid: n.merged_into})
  CREATE (n)-[:SAME_AS {state: 'merged'}]->(into) }
CALL () { MATCH (a:Intent {uid: $d + ':walks'}), (b:Intent {uid: $d + ':gardens'})
  CREATE (a)-[:SAME_AS {state: 'proposed'}]->(b) }
UNWIND $facts AS fact
MATCH (head:Item {uid: $d + ':' + fact[0]}), (tail:Entity {uid: $d + ':' + fact[2]})
CREATE (head)-[:$(fact[1]) {relation: toLower(fact[1])}]->(tail)
"""
_INTERESTS = """
UNWIND keys($interests) AS id
CREATE (interest:Interest {uid: $d + ':' + id, id: id, dataset: $d, source: 'extracted', run: $d + ':clustering',
                           name: toUpper(left(id, 1)) + substring(id, 1)})
WITH interest, id UNWIND $interests[id] AS intent
MATCH (n:Intent {uid: $d + ':' + intent}) CREATE (n)-[:MEMBER_OF {run: $d + ':clustering'}]->(interest)
"""
_READ = """
UNWIND $read AS row
MATCH (u:User {uid: $d + ':' + row[0]}), (i:Item {uid: $d + ':' + row[1]})
CREATE (u)-[:INTERACTED {split: row[2], at: row[3], rating: row[4]}]->(i)
"""
_RECOMMENDED = """
MATCH (served:Dataset {uid: $d}) SET served.published = $d + ':served'
WITH 1 AS one UNWIND $rows AS row
MATCH (u:User {uid: $d + ':' + row[0]}), (i:Item {uid: $d + ':' + row[1]})
CREATE (u)-[edge:RECOMMENDED {model: $d + ':' + row[2], rank: row[3], score: row[4], because: $d + ':' + row[5]}]->(i)
SET edge.experts = ['factors'], edge.shares = [row[4]], edge.support = 2, edge.cohort = 3, edge.share = 0.5
"""
_RUNS = """
CREATE (:Run {uid: $d + ':clustering', id: 'clustering', dataset: $d, kind: 'cluster', name: 'cluster', state: 'done'})
WITH 1 AS one UNWIND $runs AS row
CREATE (:Run {uid: $d + ':' + row[0], id: row[0], dataset: $d, kind: 'extract', name: row[1], state: 'done'})
CREATE (:Completion {uid: $d + ':answer of ' + row[0], id: 'answer of ' + row[0], dataset: $d, model: 'stand-in',
  prompt: row[1], prompt_version: row[4], status: 'valid', created_at: datetime('2026-01-02T03:04:05Z')})
WITH row UNWIND row[3] AS id
CREATE (:Subject {uid: $d + ':' + row[0] + '/' + id, id: id, dataset: $d, run: $d + ':' + row[0], kind: row[2],
  state: 'done'})
"""

"""The console reads the graph and does nothing else, whatever is written into it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from cikg.errors import InputError, NotReadOnlyError, TooLargeError, TooSlowError
from cikg.graph import Graph, console
from cikg.graph.statements import library
from tests import planted

SECONDS = 20.0
EVIL = "ConsoleEvil"

ATTACKS = {
    "create": f"CREATE (n:{EVIL})",
    "insert": f"INSERT (n:{EVIL})",
    "merge": f"MERGE (n:{EVIL} {{x: 1}})",
    "set": "MATCH (n) WITH n LIMIT 1 SET n.evil = 1",
    "remove": "MATCH (n) WITH n LIMIT 1 REMOVE n.name",
    "delete": "MATCH (n:Never) DETACH DELETE n",
    "foreach": f"UNWIND [1] AS x FOREACH (y IN [1] | CREATE (:{EVIL}))",
    "subquery": f"CALL () {{ CREATE (:{EVIL}) }} RETURN 1",
    "in transactions": f"UNWIND [1] AS x CALL (x) {{ CREATE (:{EVIL}) }} IN TRANSACTIONS",
    "reads in transactions": "UNWIND [1] AS x CALL (x) { RETURN x AS y } IN TRANSACTIONS RETURN y",
    "csv from a file": "LOAD CSV FROM 'file:///etc/passwd' AS line RETURN line",
    "csv from an address": "LOAD CSV FROM 'http://127.0.0.1:9/x' AS line RETURN line",
    "plugin's procedure": "CALL/**/apoc.load.json('http://127.0.0.1:9') YIELD value RETURN value",
    "plugin's function": "RETURN apoc.load.json('http://127.0.0.1:9')",
    "plugin's function, quoted": "RETURN `apoc`.`cypher`  .\n runFirstColumn('CREATE (n)', {})",
    "plugin's function in one pair of quotes": "RETURN `apoc.util.sleep`(1)",
    "plugin's function after an escaped quote": r"RETURN 'a\u0027' + apoc.f('x') + '\u0027'",
    "plugin's function in a comment's shadow": "RETURN 1 /* ' */ + apoc.f('x') // '",
    "plugin's function between names of quotes": "WITH 1 AS `'` RETURN apoc.util.sleep(1) AS x, 2 AS `'`",
    "settings by procedure": "CALL dbms.listConfig() YIELD name, value RETURN name, value",
    "connections by procedure": "CALL dbms.killConnection('bolt-1')",
    "beans by procedure": "CALL dbms.queryJmx('*:*') YIELD name RETURN name",
    "caches by procedure": "CALL db.clearQueryCaches()",
    "writing procedure": "MATCH (n:Never) CALL db.create.setNodeVectorProperty(n, 'x', [1.0]) RETURN n",
    "metadata by procedure": "CALL tx.setMetaData({x: 1})",
    "create user": "CREATE USER evil SET PASSWORD 'evilevil'",
    "own password": "ALTER CURRENT USER SET PASSWORD FROM 'a' TO 'bbbbbbbb'",
    "show users": "SHOW USERS",
    "show settings": "SHOW SETTINGS",
    "show transactions": "SHOW TRANSACTIONS",
    "show procedures": "SHOW PROCEDURES YIELD name RETURN name",
    "terminate": "TERMINATE TRANSACTIONS 'neo4j-transaction-1'",
    "constraint": "DROP CONSTRAINT user_uid",
    "index": "CREATE INDEX evil FOR (n:User) ON (n.evil)",
    "database": "CREATE DATABASE evil",
    "start a database": "START DATABASE neo4j",
    "profile": f"PROFILE CREATE (n:{EVIL})",
    "explain": f"EXPLAIN CREATE (n:{EVIL})",
    "version": f"CYPHER 5 CREATE (n:{EVIL})",
    "version after a comment": f"/* x */ CYPHER 5 CREATE (n:{EVIL})",
    "comments": f"CRE/**/ATE (n:{EVIL})",
    "comments between words": f"CREATE/**/(n:{EVIL})",
    "escapes": rf"\u0043REATE (n:{EVIL})",
    "escapes after a version": rf"CYPHER 5 \u0043\u0052EATE (n:{EVIL})",
}
NOT_CYPHER = {"comments"}
"""What the server does not take for Cypher at all: refused as such."""


@pytest.fixture(scope="module")
def planted_graph(graph: Graph) -> Iterator[str]:
    planted.write(graph, "test-console")
    yield "test-console"


def size(graph: Graph) -> list[dict[str, object]]:
    return graph.execute(f"MATCH (n:{EVIL}) RETURN count(n) AS n") + graph.execute(
        "MATCH (n) WHERE n.evil IS NOT NULL RETURN count(n) AS n"
    )


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_before_it_runs(graph: Graph, planted_graph: str, name: str) -> None:
    before = size(graph)
    with pytest.raises(InputError if name in NOT_CYPHER else NotReadOnlyError):
        console.ask(graph, ATTACKS[name], {}, limit=10, seconds=SECONDS)
    assert size(graph) == before


def test_behind_the_first_guards_the_server_refuses_too(graph: Graph) -> None:
    """What would happen if a plan were misjudged: the transaction itself cannot write, nor fetch a file."""
    for text in (ATTACKS["create"], ATTACKS["foreach"], ATTACKS["escapes"]):
        with pytest.raises(NotReadOnlyError):
            graph.look(f"CYPHER 25 {text}", {}, 10, seconds=SECONDS)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(1)
        port = listener.getsockname()[1]
        for address in (f"http://127.0.0.1:{port}/x", "file:///etc/passwd"):
            with pytest.raises(InputError):
                graph.look(f"CYPHER 25 LOAD CSV FROM '{address}' AS line RETURN line", {}, 10, seconds=SECONDS)
        with pytest.raises(TimeoutError):
            listener.accept()


READS = {
    "pattern": "MATCH (u:User {dataset: $dataset})-[r:INTERACTED]->(i:Item) RETURN u, r, i LIMIT 3",
    "optional": "MATCH (u:User {dataset: $dataset}) OPTIONAL MATCH (u)-[:SATISFIES]->(x) RETURN u.id, x ORDER BY u.id",
    "aggregation": "MATCH (:User {dataset: $dataset})-[:INTERACTED]->(i) RETURN i.name AS name, count(*) AS n",
    "paths": "MATCH p = SHORTEST 1 (a:User {uid: $dataset + ':0'})-[]-{1,4}(:Interest {id: 'sea'}) RETURN p",
    "old paths": "MATCH p = (a:User {uid: $dataset + ':0'})-[*1..2]-(b) RETURN p LIMIT 5",
    "shortest": "MATCH (a:User {uid: $dataset + ':0'}), (b:Item {uid: $dataset + ':sea-1'}) "
    "RETURN shortestPath((a)-[*..4]-(b)) AS p",
    "quantified": "MATCH (a:User {uid: $dataset + ':0'}) (()-[:INTERACTED]-()){1,2} (b) RETURN DISTINCT b.id",
    "subqueries": "MATCH (u:User {dataset: $dataset}) WHERE EXISTS { (u)-[:INTERACTED]->(:Item {id: 'sea-1'}) } "
    "RETURN u.id, COUNT { (u)--() } AS degree, COLLECT { MATCH (u)-[:INTERACTED]->(i) RETURN i.id } AS items",
    "call": "MATCH (u:User {dataset: $dataset}) CALL (u) { MATCH (u)-->(i:Item) RETURN count(i) AS n } RETURN sum(n)",
    "union": "MATCH (n:User {dataset: $dataset}) RETURN n.id UNION MATCH (n:Item {dataset: $dataset}) RETURN n.id",
    "functions": "RETURN date('2026-01-01') AS d, duration.between(date(), date()) AS x, point({x: 1, y: 2}) AS p, "
    "vector.similarity.cosine([1.0, 0.0], [1.0, 0.0]) AS c",
    "full text": "CALL db.index.fulltext.queryNodes('names', 'sea') YIELD node, score RETURN node.name, score LIMIT 3",
    "labels": "CALL db.labels() YIELD label RETURN count(label) AS n",
    "words that look like writes": "RETURN 'CREATE (n) DELETE SET' AS `SET` // MERGE",
    "a semicolon": "RETURN 1 AS one;",
    "dynamic labels": "MATCH (n:$($label)) WHERE n.dataset = $dataset RETURN count(n) AS n",
    "counts": "MATCH (n:Dataset) RETURN count(n)",
    "joins": "MATCH (a:Item {dataset: $dataset})<--(u:User)-->(b:Item {id: 'almanac'}) USING JOIN ON u RETURN count(*)",
    "top": "UNWIND range(1, 10) AS x WITH x ORDER BY x DESC LIMIT 3 RETURN collect(x) AS x",
    "predicates": "MATCH (u:User {dataset: $dataset}) WHERE (u)-->(:Interest {id: 'sea'}) OR u.id IN ['0'] RETURN u.id",
    "regular expression": "MATCH (u:User) WHERE u.dataset = $dataset AND u.id =~ '1.*' RETURN u.id",
    "by id": "MATCH (n) WHERE elementId(n) = '4:x:1' RETURN n",
}


@pytest.mark.parametrize("name", READS)
def test_what_reads_is_answered(graph: Graph, planted_graph: str, name: str) -> None:
    parameters = {"dataset": planted_graph, "label": "User"}
    found = console.ask(graph, READS[name], parameters, limit=100, seconds=SECONDS)
    assert found.answer.columns
    assert found.answer.rows or name == "by id"


@pytest.mark.parametrize(
    "statement", [each for each in library().values() if not each.writes and each.section], ids=lambda each: each.name
)
def test_every_question_of_the_library_could_be_asked(graph: Graph, statement: object) -> None:
    console.check(graph, statement.text.removeprefix("CYPHER 25\n"), SECONDS)  # type: ignore[attr-defined]


def test_a_picture_holds_what_the_rows_hold(graph: Graph, planted_graph: str) -> None:
    text = "MATCH p = (u:User {uid: $dataset + ':0'})-[:INTERACTED]->(i:Item) RETURN p, collect({item: i}) AS items"
    found = console.ask(graph, text, {"dataset": planted_graph}, limit=100, seconds=SECONDS)
    assert sorted(node.id for node in found.picture.nodes.values() if node.label == "Item") == sorted(
        {row[0][2]["id"] for row in found.answer.rows}
    )
    assert {edge.type for edge in found.picture.edges.values()} == {"INTERACTED"}
    assert len(found.picture.edges) == len(found.answer.rows)
    assert not found.picture.left_out
    many = console.ask(graph, "MATCH (n:User) RETURN n", {}, limit=1000, seconds=SECONDS)
    assert len(many.picture.nodes) <= console.MOST_NODES
    assert many.picture.left_out == (len(many.answer.rows) > console.MOST_NODES)


def test_rows_end_at_the_limit(graph: Graph) -> None:
    found = console.ask(graph, "UNWIND range(1, 100000) AS x RETURN x", {}, limit=console.MOST_ROWS, seconds=SECONDS)
    assert (len(found.answer.rows), found.answer.truncated) == (console.MOST_ROWS, True)
    whole = console.ask(graph, "UNWIND range(1, 10) AS x RETURN x", {}, limit=10, seconds=SECONDS)
    assert (len(whole.answer.rows), whole.answer.truncated) == (10, False)


def test_a_cartesian_product_ends_in_time_and_leaves_nothing(graph: Graph) -> None:
    mark = f"product{threading.get_ident()}"
    text = (
        f"UNWIND range(1, 100000) AS a UNWIND range(1, 100000) AS b WITH a, b WHERE a * b < 0 RETURN count(*) AS {mark}"
    )
    start = time.monotonic()
    with pytest.raises(TooSlowError, match="longer than 1 seconds"):
        console.ask(graph, text, {}, limit=10, seconds=1.0)
    assert time.monotonic() - start < 3 + 5, "within the limit and 2 s; 5 more for a busy machine"
    running = (
        "SHOW TRANSACTIONS YIELD currentQuery WHERE currentQuery CONTAINS $mark AND NOT currentQuery CONTAINS 'SHOW'"
    )
    deadline = time.monotonic() + 5
    while graph.execute(running + " RETURN currentQuery", mark=mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert graph.execute(running + " RETURN currentQuery", mark=mark) == []


def test_a_list_of_everything_is_refused_and_the_server_lives(graph: Graph) -> None:
    with pytest.raises((TooLargeError, TooSlowError)):
        console.ask(
            graph, "UNWIND range(1, 1000000000) AS x RETURN size(collect(x)) AS n", {}, limit=10, seconds=SECONDS
        )
    assert console.ask(graph, "RETURN 1 AS one", {}, limit=1, seconds=SECONDS).answer.rows == [[1]]


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        "// nothing",
        "RETURN 1 /* open",
        "RETURN 1 /*/",
        "RETURN 1; RETURN 2",
        "RETURN 'open",
        "MATCH (n RETURN n",
        "RETURN 1\0",
    ],
)
def test_what_is_no_statement_is_said_to_be_none(graph: Graph, text: str) -> None:
    with pytest.raises(InputError) as caught:
        console.ask(graph, text, {}, limit=1, seconds=SECONDS)
    assert not isinstance(caught.value, NotReadOnlyError)

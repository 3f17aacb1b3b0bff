"""Merging intents: everything moves, everything can come back, and who decided is kept."""

from __future__ import annotations

import json
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from cikg.errors import ConflictError, InputError, NotFoundError
from cikg.extraction.steps import merging
from cikg.extraction.steps.embedding import embed
from cikg.extraction.steps.merging import Moved, Verdict
from cikg.graph import Graph
from cikg.schema import Label
from cikg.settings import Settings
from cikg.text.embedders import Lexical
from tests.integration.extraction.conftest import Command

NAMES = {"sea": "Sea", "the-sea": "sea", "ocean": "Ocean", "war": "War", "war!": "war !"}
HELD = [
    ("ann", "sea"), ("ann", "ocean"), ("ben", "sea"), ("ben", "the-sea"), ("cleo", "ocean"), ("dan", "war"),
    ("dan", "war!"), ("eve", "sea"),
]  # fmt: skip


@pytest.fixture
def planted(graph: Graph, dataset: str) -> str:
    """Five readers, an item, five intents, two interests; in another dataset, the same intents."""
    for name in (dataset, f"{dataset}-decoy"):
        graph.execute(
            """
            MERGE (d:Dataset {uid: $dataset}) SET d += {id: $dataset, dataset: $dataset, state: 'ready', version: 1,
              field: 'books', relation_names: [], relations: []}
            WITH d UNWIND $names AS row
            MERGE (n:Intent {uid: $dataset + ':' + row[0]}) SET n += {id: row[0], name: row[1], dataset: $dataset}
            MERGE (t:Interest {uid: $dataset + ':' + row[2]}) SET t += {id: row[2], name: row[2], dataset: $dataset}
            MERGE (n)-[:MEMBER_OF {run: 'cluster'}]->(t)
            MERGE (i:Item {uid: $dataset + ':moby'}) SET i += {id: 'moby', name: 'Moby', dataset: $dataset}
            MERGE (i)-[:SATISFIES {run: 'items', round: 1, evidence: []}]->(n)
            """,
            dataset=name,
            names=[[key, value, "war" if "war" in key else "water"] for key, value in NAMES.items()],
        )
        graph.execute(
            """
            UNWIND $held AS row
            MERGE (u:User {uid: $dataset + ':' + row[0]}) SET u += {id: row[0], dataset: $dataset}
            WITH u, row MATCH (n:Intent {uid: $dataset + ':' + row[1]})
            MERGE (u)-[:POSSESSES {run: 'users', round: 1, evidence: [row[1] + ' book'], completion: row[0]}]->(n)
            """,
            dataset=name,
            held=[list(pair) for pair in HELD],
        )
    return dataset


def content(graph: Graph, dataset: str) -> list[str]:
    """Intents and all edges at them but the judgements, with their properties."""
    rows = graph.execute(
        """
        MATCH (n:Intent {dataset: $dataset}) OPTIONAL MATCH (n)-[r:POSSESSES|SATISFIES|MEMBER_OF]-(m)
        RETURN properties(n) AS intent, type(r) AS type, properties(r) AS edge, m.id AS other
        """,
        dataset=dataset,
    )
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def holders(graph: Graph, dataset: str, intent: str) -> set[str]:
    rows = graph.execute(
        "MATCH (u:User)-[:POSSESSES]->(:Intent {uid: $uid}) RETURN u.id AS id", uid=f"{dataset}:{intent}"
    )
    return {row["id"] for row in rows}


def test_merging_moves_every_edge_and_unmerging_restores_the_graph(graph: Graph, planted: str) -> None:
    before, decoy = content(graph, planted), content(graph, f"{planted}-decoy")
    assert merging.merge(graph, planted, "ocean", "sea", actor="ann") == Moved("ocean", "sea", 3)
    assert holders(graph, planted, "sea") == {"ann", "ben", "cleo", "eve"}
    assert holders(graph, planted, "ocean") == set()
    assert merging.merge(graph, planted, "ocean", "sea", actor="ben") == Moved("ocean", "sea", 0), "again: nothing"
    assert merging.unmerge(graph, planted, "ocean", actor="cleo") == Moved("ocean", "sea", 3)
    assert content(graph, planted) == before
    assert content(graph, f"{planted}-decoy") == decoy
    (pair,) = merging.pairs(graph, planted, *Verdict)
    assert (pair.state, pair.method, pair.score) == (Verdict.UNDONE, "manual", None)
    assert [line.split(maxsplit=1)[1] for line in pair.history] == ["merged by ann", "undone by cleo"]


def test_a_chain_of_merges_comes_apart_in_reverse(graph: Graph, planted: str) -> None:
    before = content(graph, planted)
    merging.merge(graph, planted, "the-sea", "sea")
    middle = content(graph, planted)
    merging.merge(graph, planted, "sea", "ocean")
    assert holders(graph, planted, "ocean") == {"ann", "ben", "cleo", "eve"}
    with pytest.raises(ConflictError, match="Unmerge 'sea' first"):
        merging.unmerge(graph, planted, "the-sea")
    with pytest.raises(ConflictError, match="is merged into 'sea'"):
        merging.merge(graph, planted, "the-sea", "war")
    with pytest.raises(ConflictError, match="is merged into 'ocean'"):
        merging.merge(graph, planted, "war", "sea")
    merging.unmerge(graph, planted, "sea")
    assert content(graph, planted) == middle
    merging.unmerge(graph, planted, "the-sea")
    assert content(graph, planted) == before


@hypothesis.settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from([*NAMES]), st.sampled_from([*NAMES])), max_size=6))
def test_any_merges_undone_in_reverse_leave_the_graph_as_it_was(
    graph: Graph, planted: str, wanted: list[tuple[str, str]]
) -> None:
    before = content(graph, planted)
    done = []
    for intent, into in wanted:
        try:
            if merging.merge(graph, planted, intent, into).edges:
                done.append(intent)
        except (ConflictError, InputError):
            continue
    assert len(content(graph, planted)) >= len(HELD) + len(NAMES), "no edge is lost on the way"
    for intent in reversed(done):
        merging.unmerge(graph, planted, intent)
    assert content(graph, planted) == before


def test_equal_names_are_proposed_once_and_never_again_after_a_verdict(graph: Graph, planted: str) -> None:
    assert merging.propose(graph, planted) == 2
    assert merging.propose(graph, planted) == 0
    found = {(pair.intent, pair.into) for pair in merging.pairs(graph, planted, Verdict.PROPOSED)}
    assert found == {("the-sea", "sea"), ("war!", "war")}, "the one that more have stays, else the first by key"
    merging.reject(graph, planted, "war!", "war", actor="ann")
    merging.merge(graph, planted, "the-sea", "sea", actor="ann")
    assert merging.propose(graph, planted) == 0
    states = {pair.intent: (pair.state, pair.method, pair.score) for pair in merging.pairs(graph, planted, *Verdict)}
    assert states == {"the-sea": (Verdict.MERGED, "exact", 1.0), "war!": (Verdict.REJECTED, "exact", 1.0)}


@pytest.mark.parametrize(("statement", "who"), [("replace_user_intents", "eve"), ("replace_item_intents", "moby")])
def test_a_verdict_outlives_that_nobody_has_the_phrase_for_a_while(
    graph: Graph, planted: str, statement: str, who: str
) -> None:
    begin(graph, planted, who)

    def found(*names: str) -> None:
        intents = [{"uid": f"{planted}:{name}", "id": name, "name": name, "evidence": []} for name in names]
        row = {"target": f"{planted}:{who}", "subject": f"{planted}:later/{who}", "round": 1, "intents": intents}
        graph.write(statement, dataset=planted, run=f"{planted}:later", job="job", lease="mine", rows=[row])

    found("shanty", "shanty!", "fog")
    assert merging.propose(graph, planted) == 3
    merging.reject(graph, planted, "shanty!", "shanty")
    found()
    left = {row["id"] for row in graph.many("intents_ever", dataset=planted)}
    assert left == {*NAMES, "shanty", "shanty!"}, "what nobody has and nobody judged goes"
    found("shanty", "shanty!")
    assert merging.propose(graph, planted) == 0


def test_lists_and_counts_agree_with_what_they_lead_to_after_a_merge(graph: Graph, planted: str) -> None:
    merging.merge(graph, planted, "ocean", "sea")
    merging.merge(graph, planted, "the-sea", "sea")
    graph.execute("MATCH (:User {uid: $d + ':eve'})-[p:POSSESSES]->() SET p.pruned_by = 'person:ann'", d=planted)
    graph.execute("MATCH (:Item {dataset: $d})-[s:SATISFIES]->({id: 'war'}) SET s.pruned_by = 'review'", d=planted)
    page = {"dataset": planted, "text": "", "after": "", "limit": 9}
    figures = ("users", "items")
    for row in graph.many("list_intents", **page):
        detail = graph.many("intent_detail", intent=row["uid"])[0]
        assert [row[each] for each in figures] == [detail[each] for each in figures]
    browsed = graph.one("browse_interests", dataset=planted, text="", by="", skip=0, limit=9)["rows"]
    listed = {row["id"]: row["intents"] for row in graph.many("list_interests", **page)}
    details = {each: graph.many("interest_detail", interest=f"{planted}:{each}")[0] for each in listed}
    assert {each: row["intent_count"] for each, row in details.items()} == listed == {"war": 2, "water": 1}
    assert {row["id"]: row["intents"] for row in browsed} == listed
    counts, overall = graph.one("counts", dataset=planted), graph.one("dataset_counts", dataset=planted)
    for each in ("intents", "possesses", "satisfies", "has_interest"):
        assert overall[each] == counts[each]
    assert [row["intents"] for row in graph.many("dataset_list") if row["dataset"] == planted] == [3]


def test_clustering_reads_the_same_whoever_wrote_first(graph: Graph, dataset: str) -> None:
    books = ["moby", "emma", "dune", "rose", "atlas", "tide"]
    graph.execute(
        "CREATE (u:User {uid: $d + ':u', dataset: $d}), (n:Intent {uid: $d + ':n', name: 'n', dataset: $d}) "
        "WITH u, n UNWIND $books AS book CREATE (u)-[:POSSESSES {run: 'r', completion: 'c', evidence: [book]}]->(n)",
        d=dataset,
        books=books,
    )
    (row,) = graph.many("intent_holders", dataset=dataset)
    assert [intent["evidence"] for intent in row["intents"]] == [[book] for book in sorted(books)]


def test_near_vectors_are_proposed_in_favour_of_what_more_have(graph: Graph, planted: str) -> None:
    with pytest.raises(NotFoundError, match="cikg embed"):
        merging.propose(graph, planted, merging.Method.VECTOR)
    embed(graph, planted, Lexical(64), [Label.INTENT])
    assert merging.propose(graph, planted, merging.Method.VECTOR, threshold=0.9) == 2
    (sea, war) = sorted(merging.pairs(graph, planted, Verdict.PROPOSED), key=lambda pair: pair.intent)
    assert (sea.intent, sea.into, sea.method) == ("the-sea", "sea", "vector")
    assert {war.intent, war.into} == {"war", "war!"}
    assert sea.score == pytest.approx(1)


def test_what_is_extracted_later_goes_to_the_intent_that_stayed(graph: Graph, planted: str) -> None:
    merging.merge(graph, planted, "the-sea", "sea")
    merging.merge(graph, planted, "sea", "ocean")
    begin(graph, planted, "eve")
    intents = [
        {"uid": f"{planted}:{key}", "id": key, "name": NAMES[key], "evidence": [key]}
        for key in ("sea", "the-sea", "war")
    ]
    row = {"target": f"{planted}:eve", "subject": f"{planted}:later/eve", "completion": "c", "intents": intents}
    for _ in range(2):  # a repeated delivery writes no second edge
        graph.write(
            "replace_user_intents", dataset=planted, run=f"{planted}:later", job="job", lease="mine", rows=[row]
        )
    assert edges_of(graph, planted, "eve") == [
        ("ocean", [f"{planted}:sea"], ["sea book"]),  # the earlier run's, of another job
        ("ocean", [f"{planted}:sea"], ["sea"]),
        ("ocean", [f"{planted}:the-sea", f"{planted}:sea"], ["the-sea"]),
        ("war", None, ["war"]),
    ]
    merging.unmerge(graph, planted, "sea")
    merging.unmerge(graph, planted, "the-sea")
    assert edges_of(graph, planted, "eve") == [
        ("sea", None, ["sea book"]),
        ("sea", None, ["sea"]),
        ("the-sea", None, ["the-sea"]),
        ("war", None, ["war"]),
    ]


def begin(graph: Graph, dataset: str, who: str) -> None:
    """A run of a job, with a subject that is ours."""
    graph.execute(
        """
        MERGE (r:Run {uid: $dataset + ':later'}) SET r += {id: 'later', dataset: $dataset, kind: 'extract', name: 'job'}
        MERGE (s:Subject {uid: $dataset + ':later/' + $who}) SET s += {dataset: $dataset, run: r.uid, lease: 'mine'}
        """,
        dataset=dataset,
        who=who,
    )


def edges_of(graph: Graph, dataset: str, user: str) -> list[tuple[Any, ...]]:
    rows = graph.execute(
        "MATCH (:User {uid: $uid})-[p:POSSESSES]->(n:Intent) RETURN n.id AS id, p.merged_from AS over, p.evidence AS e",
        uid=f"{dataset}:{user}",
    )
    return sorted((tuple(row.values()) for row in rows), key=lambda row: (row[0], row[2][0] != "sea book", row[2]))


def test_mistakes_are_named(graph: Graph, planted: str) -> None:
    with pytest.raises(NotFoundError, match="no intent 'gone'"):
        merging.merge(graph, planted, "gone", "sea")
    with pytest.raises(InputError, match="into itself"):
        merging.merge(graph, planted, "sea", "sea")
    with pytest.raises(ConflictError, match="is not merged"):
        merging.unmerge(graph, planted, "sea")
    merging.merge(graph, planted, "ocean", "sea")
    with pytest.raises(ConflictError, match="Unmerge it instead"):
        merging.reject(graph, planted, "ocean", "sea")
    with pytest.raises(NotFoundError, match="no dataset"):
        merging.propose(graph, f"{planted}-none")


def test_the_commands(graph: Graph, planted: str, settings: Settings, cikg: Command) -> None:
    def run(*arguments: str) -> Any:
        ended = cikg(settings, "intents", *arguments, "--dataset", planted).result()
        assert ended.code == 0, ended.errors
        return ended.data

    before = content(graph, planted)
    assert run("propose")["waiting"] == 2
    assert run("review", "--accept-from", "1") == {"dataset": planted, "merged": 2, "rejected": 0, "skipped": 0}
    merged = run("list", "--state", "merged")["pairs"]
    assert {pair["intent"] for pair in merged} == {"the-sea", "war!"}
    assert run("unmerge", "war!")["edges"] == 2
    assert run("unmerge", "the-sea", "--actor", "ann")["into"] == "sea"
    assert content(graph, planted) == before
    rows = [("sea", "ocean", 1.0), ("the-sea", "sea", 0.9), ("sea", "war", 0.8)]
    graph.execute("MATCH (:Intent {dataset: $d})-[same:SAME_AS]->() DELETE same", d=planted)
    graph.execute(
        "UNWIND $rows AS row MATCH (a:Intent {uid: $d + ':' + row[0]}), (b:Intent {uid: $d + ':' + row[1]}) "
        "CREATE (a)-[:SAME_AS {state: 'proposed', method: 'vector', score: row[2], history: ['2026']}]->(b)",
        d=planted,
        rows=[list(row) for row in rows],
    )
    assert run("review", "--accept-from", "0.8") == {"dataset": planted, "merged": 2, "rejected": 0, "skipped": 1}
    assert holders(graph, planted, "ocean") == {"ann", "ben", "cleo", "eve"}
    assert run("list", "--state", "proposed")["pairs"] == [], "nobody can merge what was merged"
    about = graph.many("pairs_of_intent", intent=f"{planted}:sea")
    assert [(pair["into"], pair["state"]) for pair in about] == [("ocean", "merged")]
    for intent in ("the-sea", "sea"):
        run("unmerge", intent)
    assert len(run("list", "--state", "proposed")["pairs"]) == 2, "these can be merged again"
    refused = cikg(settings, "intents", "review", "--dataset", planted).result()
    assert refused.code == 2
    assert "--accept-from" in refused.errors

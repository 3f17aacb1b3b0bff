"""What jobs and people added survives export and import whole: merges, corrections, their undoing, and the proof."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from cikg.datasets.archive import FORMATS, export_dataset
from cikg.datasets.checking import Rules
from cikg.datasets.drop import drop
from cikg.datasets.filters import Filters
from cikg.datasets.loader import load
from cikg.datasets.splits import SplitKind, SplitRule
from cikg.errors import InputError
from cikg.extraction.steps import merging
from cikg.graph import Graph
from cikg.graph.export import export as columns
from cikg.progress import silent
from cikg.schema import Label
from cikg.serving.corrections import Claim, correct, take_back
from tests import planted

PHRASES = {"roses": "gardens", "blooms": "gardens", "ships": "the sea", "tides": "the sea"}
"""Further intents, and the one of the planted that those have who have this."""
WIDE = 70_000
"""Characters of an answer, some of which fill a transaction."""


@pytest.fixture
def learned(graph: Graph, dataset: str) -> str:
    """A dataset with all that jobs and people can have added to one."""
    planted.write(graph, dataset)
    planted.write_runs(graph, dataset)
    graph.execute(
        """
        MATCH (d:Dataset {uid: $d}) SET d.related_by = 'lexical_64', d.published = $d + ':model'
        WITH d UNWIND keys($phrases) AS id
        CREATE (n:Intent {uid: $d + ':' + id, id: id, name: toUpper(id), dataset: $d, embedding_lexical_64: [1.0, 0.5],
                          embedded_lexical_64: 'digest'})
        WITH d, n, id MATCH (u:User {dataset: $d})-[:POSSESSES]->(like:Intent {uid: $d + ':' + $phrases[id]})
        CREATE (u)-[:POSSESSES {run: $d + ':extraction', completion: $d + ':answer', round: 2, evidence: ['almanac']}]
               ->(n)
        WITH DISTINCT d, n, like MATCH (like)-[:MEMBER_OF]->(t) MERGE (n)-[:MEMBER_OF {run: $d + ':cluster'}]->(t)
        """,
        d=dataset,
        phrases=PHRASES,
    )
    graph.execute(
        """
        MATCH (d:Dataset {uid: $d}), (u:User {uid: $d + ':0'}), (i:Item {uid: $d + ':sea-1'}),
              (n:Intent {uid: $d + ':the sea'})
        CREATE (i)-[:SATISFIES {run: $d + ':extraction', completion: $d + ':answer', round: 1, evidence: [],
                                pruned_by: $d + ':extraction', pruned_reason: 'no'}]->(n)
        SET u.subgraph = ['a line'], u.subgraph_rounds = 1, u.subgraph_sufficient = false, u.subgraph_items = ['sea-1'],
            u.subgraph_run = $d + ':extraction', u.subgraph_completion = $d + ':answer'
        CREATE (:Run {uid: $d + ':cluster', id: 'cluster', kind: 'cluster', dataset: $d, state: 'done',
                      created_at: datetime()})
        CREATE (:Completion {uid: $d + ':long', id: 'long', dataset: $d, text: $long, cost: 0.0, prompt_tokens: 2})
        CREATE (p:Profile {uid: $d + ':refined/User/0', dataset: $d, id: 'refined/User/0', name: 'Reader 0',
                           text: $d + ': likes roses', source: 'extracted', run: $d + ':extraction'})
        CREATE (p)-[:DESCRIBES {run: $d + ':extraction', completion: $d + ':answer', round: 1, evidence: []}]->(u)
        CREATE (e:Profile {uid: $d + ':glossary/rose', dataset: $d, id: 'glossary/rose', name: 'rose',
                           text: 'A flower.', source: 'glossary', run: $d + ':extraction'})
        CREATE (e)-[:DESCRIBES {run: $d + ':extraction', completion: $d + ':answer', round: 1, evidence: []}]->(d)
        CREATE (t:Interest {uid: $d + ':given', id: 'given', dataset: $d, name: 'Given', source: 'imported'})
        WITH t MATCH (u:User {dataset: $d}) WHERE u.id IN ['0', '1', '2'] CREATE (u)-[:HAS_INTEREST]->(t)
        """,
        d=dataset,
        long="x" * WIDE,
    )
    merging.merge(graph, dataset, "blooms", "roses", actor="ann")
    merging.merge(graph, dataset, "roses", "gardens", actor="ann")
    merging.merge(graph, dataset, "ships", "the sea", actor="ann")
    merging.unmerge(graph, dataset, "ships", actor="ben")
    merging.reject(graph, dataset, "tides", "ships", actor="ben")
    graph.execute(
        "MATCH (:Intent {uid: $d + ':roses'})-[e:SAME_AS]->() "
        "SET e.run = $d + ':extraction', e.completion = $d + ':answer'",
        d=dataset,
    )
    for reader, kind, target in [
        ("0", "intent", "gardens"), ("1", "interest", "given"), ("2", "interest", "given"), ("20", "interest", "sea"),
        (planted.QUIRK, "interest", "garden"),
    ]:  # fmt: skip
        correct(graph, Claim(dataset, Label.USER, reader, kind, target), by="eve", reason="=a present")
    take_back(graph, Claim(dataset, Label.USER, "2", "interest", "given"))
    graph.execute("MATCH (u:User {uid: $d + ':21'})-[e:POSSESSES]->() SET e.pruned_by = 'review'", d=dataset)
    return dataset


def whole(graph: Graph, dataset: str) -> list[str]:
    """Every node and edge with every property but vectors, and but what says when and by which import it came."""
    rows = graph.execute(
        f"MATCH (n:{'|'.join(Label)}) WHERE n.dataset = $d AND NOT (n:Run AND n.kind = 'import') "
        "WITH n, CASE WHEN n:Dataset THEN n {.interests, .related_by, .field, .relations} ELSE properties(n) END "
        "AS said "
        "RETURN labels(n) AS labels, n.uid AS uid, said, "
        "COLLECT { MATCH (n)-[e]->(m) RETURN [type(e), m.uid, properties(e)] } AS edges",
        d=dataset,
    )
    found = []
    for row in rows:
        said = {name: value for name, value in row["said"].items() if not name.startswith("embedd")}
        if said.get("source") == "imported":
            said.pop("run", None)
        if row["labels"] == ["User"]:  # who made the edges to imported interests that stand is not kept
            for type_, target, edge in row["edges"]:
                if type_ == "HAS_INTEREST" and target.endswith(":given"):
                    edge.pop("run", None)
        edges = sorted(json.dumps(edge, sort_keys=True, default=str) for edge in row["edges"])
        found.append(json.dumps([row["labels"], row["uid"], said, edges], sort_keys=True, default=str))
    return sorted(
        text.replace(dataset, "<dataset>").replace(dataset.removesuffix("-copy"), "<dataset>") for text in found
    )


def export(graph: Graph, dataset: str, folder: Path, kind: str = "parquet") -> Path:
    export_dataset(graph, dataset, folder, kind, silent)
    return folder


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_graph_comes_back_and_can_be_gone_on_with(
    graph: Graph, learned: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("cikg.datasets.batches.CHARACTERS", WIDE)
    monkeypatch.setattr("cikg.datasets.batches.NODE_BATCH", 7)
    copy = f"{learned}-copy"
    report = load(graph, "archive", export(graph, learned, tmp_path / "one", kind), copy)
    assert report.rejected == 0 and report.counts["knowledge"] > 200
    assert whole(graph, copy) == whole(graph, learned)
    assert load(graph, "archive", tmp_path / "one", copy).unchanged
    trained = [columns(graph, name).columns for name in (learned, copy)]
    assert {name: column.tolist() for name, column in trained[0].items()} == {
        name: column.tolist() for name, column in trained[1].items()
    }, "what training reads"
    export(graph, copy, tmp_path / "two", kind)
    for file in [*tmp_path.glob(f"one/*.{kind}"), *tmp_path.glob(f"one/graph/*.{kind}")]:
        assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes(), file.name

    for name in (learned, copy):  # what follows depends on all of it: over what an edge came, what was said along
        merging.unmerge(graph, name, "roses")
        take_back(graph, Claim(name, Label.USER, "0", "intent", "gardens"))
        merging.unmerge(graph, name, "blooms")
        merging.merge(graph, name, "tides", "the sea")
        take_back(graph, Claim(name, Label.USER, "20", "interest", "sea"))
        take_back(graph, Claim(name, Label.USER, "1", "interest", "given"))
    after = [
        re.sub(r"\d{4}-\d\d-\d\dT[^ ]+ (?=undone|merged)", "", "\n".join(whole(graph, n))) for n in (learned, copy)
    ]
    assert after[0] == after[1]
    drop(graph, copy)


def test_pruned_along_is_a_column_for_analysis(graph: Graph, learned: str, tmp_path: Path) -> None:
    export(graph, learned, tmp_path / "out")
    held = pl.read_parquet(tmp_path / "out" / "knowledge" / "user_interests.parquet")
    of = {row["user"]: (row["pruned_by"], row["pruned_along"]) for row in held.iter_rows(named=True)}
    assert of["20"] == ("person:eve", None) and of["0"] == ("person:eve", True) and of["22"] == (None, None)


def test_what_was_under_way_is_not_gone_on_with_elsewhere(graph: Graph, learned: str, tmp_path: Path) -> None:
    graph.execute(
        "MATCH (r:Run {uid: $d + ':extraction'}) SET r.state = 'running', r.resume_at = 1 "
        "WITH r MATCH (s:Subject {uid: r.uid + '/0'}) SET s.state = 'running', s.lease = 'held', s.leased_until = 2 "
        "CREATE (:Run {uid: $d + ':queued', id: 'queued', kind: 'command', dataset: $d, state: 'planned'})",
        d=learned,
    )
    copy = f"{learned}-copy"
    load(graph, "archive", export(graph, learned, tmp_path / "out"), copy)
    rows = graph.execute(
        "MATCH (n:Run|Subject {dataset: $d}) WHERE NOT coalesce(n.kind, '') IN ['import', 'cluster'] "
        "RETURN n.id AS id, n.state AS state, n.resume_at AS resume, n.lease AS lease, n.leased_until AS until "
        "ORDER BY id",
        d=copy,
    )
    assert [tuple(row.values()) for row in rows] == [
        ("0", "planned", None, None, None), ("1", "failed", None, None, None), ("2", "quarantined", None, None, None),
        ("extraction", "cancelled", None, None, None),
    ]  # fmt: skip
    drop(graph, copy)


@pytest.mark.parametrize(
    "rules",
    [Rules(split=SplitRule(SplitKind.RATIO, seed=3)), Rules(filters=Filters(core=2))],
    ids=["other split", "filtered"],
)
def test_knowledge_that_may_know_the_test_is_left_out(graph: Graph, learned: str, tmp_path: Path, rules: Rules) -> None:
    copy = f"{learned}-copy"
    report = load(graph, "archive", export(graph, learned, tmp_path / "out"), copy, rules)
    assert report.left_out["knowledge"] > 200 and "knowledge" not in report.counts
    assert graph.execute("MATCH (n:Intent|Completion|Profile {dataset: $d}) RETURN n", d=copy) == []
    drop(graph, copy)


def _forge(table: str, **values: str) -> Callable[[Path], None]:
    """Put a row into a table of an archive, with a manifest that says so."""

    def forge(folder: Path) -> None:
        file = folder / f"{table}.parquet"
        frame = pl.read_parquet(file)
        pl.concat([frame, pl.DataFrame([values], schema=frame.schema)]).write_parquet(file)
        manifest = json.loads((folder / "manifest.json").read_text())
        data = file.read_bytes()
        manifest["tables"][table] |= {
            "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "rows": frame.height + 1,
        }  # fmt: skip
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return forge


def _node(label: str, key: str, properties: str) -> Callable[[Path], None]:
    return _forge("graph/nodes", label=label, key=key, properties=properties)


@pytest.mark.parametrize(
    "forge",
    [
        _node("Account", "eve", '{"role": "admin"}'),
        _node("Run", "c", '{"id": "c", "kind": "command", "state": "planned"}'),
        _node("Run", "c", '{"id": "c", "kind": "extract", "state": "running"}'),
        _node("Run", "c", '{"id": "c", "kind": "cluster", "state": "done", "created_at": "zzz"}'),
        _node("Run", "c", '{"id": "c", "kind": "cluster", "state": "done", "created_at": {"datetime": "2026-01-01"}}'),
        _node("Intent", "x", '{"id": "x", "name": 5}'),
        _node("Subject", "x", '{"id": "x", "state": "odd"}'),
        _node("User", "0", '{"corrected": "often"}'),
        _node("Dataset", "", '{"state": "importing"}'),
        _node("Dataset", "other", '{"interests": "none"}'),
        _node("User", "0", '{"name": "another"}'),
        _node("Intent", "x", '{"id": {"a": 1}}'),
        _node("Intent", "x", '{"id": [["x"]]}'),
        _node("Intent", "x", '{"id": ["x", 1]}'),
        _node("Intent", "x", '{"n": 9223372036854775808}'),
        _node("Intent", "x", '{"name": "\\ud800"}'),
        _node("Intent", "x", '{"a` = 1 //": 1}'),
        _node("Intent", "x", '{"uid": "x"}'),
        _node("Intent", "x", '{"id": "y"}'),
        _node("Intent", "x", "[" * 100_000),
        _forge("graph/edges", type="RECOMMENDED", source_label="User", source="0", target_label="Item",
               target="almanac", properties="{}"),
        _forge("graph/edges", type="POSSESSES", source_label="Account", source="0", target_label="Intent",
               target="gardens", properties="{}"),
    ],
)  # fmt: skip
def test_an_archive_brings_nothing_but_knowledge(
    graph: Graph, learned: str, tmp_path: Path, forge: Callable[[Path], None]
) -> None:
    forge(export(graph, learned, tmp_path / "out"))
    with pytest.raises(InputError, match="cannot come from an export"):
        load(graph, "archive", tmp_path / "out", f"{learned}-copy")
    assert graph.execute("MATCH (d:Dataset {uid: $d}) RETURN d", d=f"{learned}-copy") == []


def test_knowledge_about_what_is_not_there_is_rejected(graph: Graph, learned: str, tmp_path: Path) -> None:
    folder = export(graph, learned, tmp_path / "out")
    _node("User", "nobody", '{"corrected": 1}')(folder)
    _forge(
        "graph/edges", type="POSSESSES", source_label="User", source="0", target_label="Intent", target="nothing",
        properties="{}",
    )(folder)  # fmt: skip
    report = load(graph, "archive", folder, f"{learned}-copy")
    assert report.rejected == 2 and report.reasons[0].reason == "it is about something that the dataset does not have"
    drop(graph, f"{learned}-copy")

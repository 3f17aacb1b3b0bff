"""Nearest neighbours on a real server against brute force, and that no dataset sees another's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cikg.errors import InputError, NotFoundError
from cikg.graph import Graph
from cikg.graph.vectors import (
    chosen,
    dimension,
    embeddings,
    ensure_index,
    near_duplicates,
    nearest,
    slug,
    written_for,
)
from cikg.schema import Label, uid

SLUG = "lexical_64"
Vectors = NDArray[np.float32]


def planted(seed: int, nodes: int, *, topics: int = 40, size: int = 64) -> Vectors:
    """Unit vectors (nodes, size) around some topics, as texts' vectors lie."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(topics, size))
    found = centres[random.integers(0, topics, nodes)] + 0.7 * random.normal(size=(nodes, size))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def write(graph: Graph, dataset: str, vectors: Vectors, label: Label = Label.INTENT, embedding: str = SLUG) -> None:
    """Nodes `0`, `1`, … of a dataset with these vectors."""
    ensure_index(graph, label, embedding)
    rows: list[dict[str, Any]] = [
        {"uid": uid(dataset, str(row)), "id": str(row), "vector": vector.tolist(), "input": "planted"}
        for row, vector in enumerate(vectors)
    ]
    graph.execute("MERGE (d:Dataset {uid: $d}) SET d.id = $d, d.dataset = $d", d=dataset)
    graph.execute(
        f"UNWIND $rows AS row CREATE (n:{label} {{uid: row.uid, id: row.id, name: 'intent ' + row.id, dataset: $d}})",
        rows=rows,
        d=dataset,
    )
    graph.run(written_for("write_vectors", label, embedding), dataset=dataset, rows=rows)
    graph.write("list_embeddings", dataset=dataset, added=[f"{label}/{embedding}"], removed=[])


@pytest.fixture(autouse=True)
def tidy(graph: Graph, dataset: str) -> Iterator[None]:
    yield
    for label in (Label.INTENT, Label.ITEM, Label.DATASET):
        graph.execute(f"MATCH (n:{label}) WHERE n.dataset STARTS WITH $d DETACH DELETE n", d=dataset)
    graph.execute("DROP INDEX item_planted_8 IF EXISTS")
    graph.execute("DROP INDEX intent_planted_8 IF EXISTS")


def brute_force(vectors: Vectors, query: NDArray[Any], k: int) -> tuple[list[str], NDArray[np.float64]]:
    cosines = vectors.astype(np.float64) @ query / np.linalg.norm(query)
    order = np.argsort(-cosines)[:k]
    return [str(row) for row in order], cosines[order]


def test_the_nearest_are_those_of_brute_force_among_another_datasets_nodes(graph: Graph, dataset: str) -> None:
    """A small dataset's neighbours are found although a larger one's nodes lie nearer; recall@10 is at least 0.95."""
    small, large = planted(1, 300), planted(1, 2_000)
    write(graph, dataset, small)
    write(graph, f"{dataset}-b", large)
    hits, queries = 0, large[:50]
    for query in queries:
        found = nearest(graph, dataset, Label.INTENT, SLUG, query.tolist(), k=10)
        ids, cosines = brute_force(small, query, 10)
        assert all(one.uid == uid(dataset, one.id) for one in found), "nodes of another dataset are never found"
        assert [one.cosine for one in found] == sorted((one.cosine for one in found), reverse=True)
        hits += len({one.id for one in found} & set(ids))
        assert found[0].cosine == pytest.approx(cosines[0], abs=1e-5)
    assert hits / (10 * len(queries)) >= 0.95


def pairs_of(vectors: Vectors, dataset: str, threshold: float, without: Sequence[int] = ()) -> set[tuple[str, str]]:
    cosines = vectors.astype(np.float64) @ vectors.T
    return {
        (min(one, two), max(one, two))
        for i, j in zip(*np.nonzero(np.triu(cosines >= threshold, 1)), strict=True)
        if i not in without and j not in without
        for one, two in [(uid(dataset, str(i)), uid(dataset, str(j)))]
    }


def test_near_duplicates_are_those_of_brute_force(graph: Graph, dataset: str) -> None:
    """Also where thirty intents say the same, which is more than are asked for at first; merged ones are left out."""
    random = np.random.default_rng(3)
    vectors = planted(2, 200)
    vectors[:30] = vectors[0] + 0.02 * random.normal(size=(30, 64))
    vectors[40:60] = vectors[60:80] + 0.03 * random.normal(size=(20, 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    write(graph, dataset, vectors)
    write(graph, f"{dataset}-b", vectors)
    graph.execute("MATCH (n:Intent {uid: $uid}) SET n.merged_into = $d + ':60'", uid=uid(dataset, "45"), d=dataset)
    done: list[int] = []
    found = near_duplicates(graph, dataset, threshold=0.95, advance=done.append)
    expected = pairs_of(vectors, dataset, 0.95, without=[45])
    assert len(expected) > 400
    assert {(pair.intent, pair.other) for pair in found} == expected
    assert sum(done) == 199
    assert [pair.score for pair in found] == sorted((pair.score for pair in found), reverse=True)
    (row, *_) = graph.many("near_duplicate_intents", dataset=dataset, threshold=0.95, neighbours=5)
    assert (row["intent"] < row["other"], row["name"]) == (True, f"intent {row['intent']}")
    assert (uid(dataset, row["intent"]), uid(dataset, row["other"])) in {(p.intent, p.other) for p in found}


def test_intents_near_to_an_intent(graph: Graph, dataset: str) -> None:
    vectors = planted(4, 60)
    write(graph, dataset, vectors)
    graph.execute("MATCH (n:Intent {uid: $d + ':3'}) SET n.merged_into = $d + ':4'", d=dataset)
    rows = graph.many("nearest_intents", dataset=dataset, intent="7", limit=5)
    ids, _ = brute_force(vectors, vectors[7], 7)
    assert [row["id"] for row in rows] == [one for one in ids if one not in ("7", "3")][:5]
    found = nearest(graph, dataset, Label.INTENT, SLUG, vectors[3].tolist(), k=60)
    assert len(found) == 59 and "3" not in {one.id for one in found}, "a merged intent is not found, all others are"


def test_an_embedding_has_vectors_and_an_index_of_its_own(graph: Graph, dataset: str) -> None:
    write(graph, dataset, planted(5, 20))
    write(graph, f"{dataset}-b", planted(6, 20, size=8), Label.ITEM, "planted_8")
    write(graph, f"{dataset}-c", planted(6, 20, size=8), Label.INTENT, "planted_8")
    assert embeddings(graph, dataset) == {Label.INTENT: [SLUG]}
    assert embeddings(graph, f"{dataset}-b") == {Label.ITEM: ["planted_8"]}
    assert chosen(graph, f"{dataset}-c", Label.INTENT, None) == "planted_8"
    query = planted(6, 20, size=8)[4].tolist()
    assert nearest(graph, f"{dataset}-b", Label.ITEM, "planted_8", query, k=1)[0].id == "4"
    with pytest.raises(NotFoundError, match=r"no embedding 'planted_8' of its Intent nodes. It has lexical_64"):
        nearest(graph, dataset, Label.INTENT, "planted_8", query)
    with pytest.raises(InputError, match=r"64 numbers that are not all zero; this one has 8"):
        nearest(graph, dataset, Label.INTENT, SLUG, query)
    with pytest.raises(InputError, match="not all zero"):
        nearest(graph, dataset, Label.INTENT, SLUG, [0.0] * 64)
    with pytest.raises(NotFoundError, match=r"no embedding of its Item nodes. Make one with `cikg embed`"):
        chosen(graph, dataset, Label.ITEM, None)
    with pytest.raises(NotFoundError, match="no dataset"):
        near_duplicates(graph, f"{dataset}-z", threshold=0.9)
    with pytest.raises(InputError, match="threshold"):
        near_duplicates(graph, dataset, threshold=1.5)


def test_slugs() -> None:
    assert slug("sentence-transformers/all-MiniLM-L6-v2", 384) == "sentence_transformers_all_minilm_l6_v2_384"
    assert dimension("text_embedding_3_small_1536") == 1536
    for wrong in ("lexical", "lexical_0", "Lexical_64", "x`) //_64", "lexical_64 "):
        with pytest.raises(InputError, match="is not the name of an embedding"):
            dimension(wrong)
    text = written_for("near_duplicate_intents", Label.ITEM, "lexical_640").text
    assert "item_lexical_640 FOR intent.embedding_lexical_640" in text
    assert ":Intent" not in text

"""What a snapshot holds of what a language model added: intents, profiles, vectors; not what was merged or pruned."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from cikg.errors import ConflictError, NotFoundError
from cikg.graph import Graph
from cikg.graph import export as exporting
from cikg.graph.database import Row
from cikg.graph.snapshot import NEVER, Snapshot, take
from cikg.recommend.data.views import training_data
from cikg.schema import SplitCode
from cikg.settings import Settings


@pytest.fixture
def planted(graph: Graph, dataset: str) -> None:
    graph.execute(
        """
        CREATE (d:Dataset {uid: $d, id: $d, dataset: $d, field: 'books', state: 'ready', interests: 'extracted',
                           version: 1, relations: ['AUTHOR']})
        CREATE (ann:User {uid: $d + ':1', id: '1', name: 'Ann', dataset: $d}),
               (ben:User {uid: $d + ':2', id: '2', dataset: $d}),
               (emma:Item {uid: $d + ':e', id: 'e', name: 'Emma', dataset: $d, embedding_lexical_2: [1.0, 0.5]}),
               (dune:Item {uid: $d + ':d', id: 'd', name: 'Dune', dataset: $d}),
               (austen:Entity {uid: $d + ':a', id: 'a', name: 'Austen', dataset: $d}),
               (wit:Intent {uid: $d + ':wit', id: 'wit', name: 'wit', dataset: $d, embedding_lexical_2: [0.25, 4.0]}),
               (sand:Intent {uid: $d + ':sand', id: 'sand', name: 'sand', dataset: $d}),
               (irony:Intent {uid: $d + ':irony', id: 'irony', name: 'irony', dataset: $d, merged_into: $d + ':wit',
                              embedding_lexical_2: [9.0, 9.0]}),
               (manners:Interest {uid: $d + ':t', id: 't', name: 'manners', dataset: $d}),
               (other:User {uid: $d + '-other:1', id: '1', dataset: $d + '-other'})
        CREATE (ann)-[:INTERACTED {split: 'train', rating: 4.5}]->(emma),
               (ann)-[:INTERACTED {split: 'test', at: 7}]->(dune),
               (ben)-[:INTERACTED {split: 'valid'}]->(dune),
               (emma)-[:AUTHOR {relation: 'author'}]->(austen),
               (dune)-[:AUTHOR {relation: 'author', pruned_by: 'run'}]->(austen),
               (emma)-[:RECALLS]->(dune),
               (ann)-[:POSSESSES {round: 2, evidence: ['e']}]->(wit),
               (ann)-[:POSSESSES {round: 1, evidence: ['e'], merged_from: [$d + ':irony']}]->(wit),
               (ben)-[:POSSESSES {round: 2}]->(sand),
               (ben)-[:POSSESSES {round: 1, pruned_by: 'run', pruned_reason: 'no evidence'}]->(wit),
               (emma)-[:SATISFIES {round: 1}]->(wit), (dune)-[:SATISFIES]->(sand),
               (dune)-[:SATISFIES {round: 1, pruned_by: 'run'}]->(wit),
               (wit)-[:MEMBER_OF]->(manners), (wit)-[:MEMBER_OF]->(manners),
               (ann)-[:HAS_INTEREST]->(manners), (ann)-[:HAS_INTEREST {evidence: ['e']}]->(manners),
               (ben)-[:HAS_INTEREST {evidence: ['d'], pruned_by: 'run'}]->(manners)
        CREATE (first:Profile {uid: $d + ':p1', id: 'p1', dataset: $d, text: 'A first try',
                               embedding_lexical_3: [0.0, 0.0, 1.0]})-[:DESCRIBES {round: 1}]->(ann),
               (second:Profile {uid: $d + ':p2', id: 'p2', dataset: $d, text: 'Reads for wit',
                                embedding_lexical_3: [1.0, 2.0, 3.0]})-[:DESCRIBES {round: 2}]->(ann),
               (third:Profile {uid: $d + ':p3', id: 'p3', dataset: $d, text: 'Pruned'})
                 -[:DESCRIBES {round: 3, pruned_by: 'run'}]->(ann)
        """,
        d=dataset,
    )


@pytest.fixture
def home(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"home": tmp_path})


@pytest.fixture(autouse=True)
def embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Says of the planted dataset which embeddings it has: if the graph said so, it would need an index for each."""
    listed = ["Entity/none_2", "Intent/lexical_2", "Item/lexical_2", "Profile/lexical_3"]
    ready = exporting._ready

    def told(graph: Graph, rows: Iterable[Row], name: str) -> Row:
        properties = ready(graph, rows, name)
        return properties | {"embeddings": listed} if "AUTHOR" in properties["relations"] else properties

    monkeypatch.setattr(exporting, "_ready", told)


@pytest.fixture
def snapshot(graph: Graph, dataset: str, home: Settings, planted: None) -> Snapshot:
    return take(graph, dataset, home)


def test_edges_of_what_was_inferred(snapshot: Snapshot) -> None:
    assert snapshot.intents.ids == ["sand", "wit"], "irony was merged into wit"
    found = snapshot.possesses
    assert (found.user_index.tolist(), found.intent_index.tolist()) == ([0, 1], [1, 0])
    assert found.round.tolist() == [1, 2], "of two edges between the same ends the exact one counts"
    satisfies = snapshot.satisfies
    assert (satisfies.item_index.tolist(), satisfies.intent_index.tolist()) == ([0, 1], [0, 1])
    assert satisfies.round.tolist() == [0, 1]
    assert [column.tolist() for column in vars(snapshot.member_of).values()] == [[1], [0]]
    assert [column.tolist() for column in vars(snapshot.has_interest).values()] == [[0], [0], [True]]
    assert [column.tolist() for column in vars(snapshot.facts).values()] == [[1], [0], [2]]
    assert snapshot.counts == {
        "users": 2, "items": 2, "entities": 1, "intents": 2, "interests": 1, "interactions": 3, "facts": 1,
        "has_interest": 1, "possesses": 2, "satisfies": 2, "member_of": 1,
    }  # fmt: skip


def test_some_ratings_and_times_are_known(snapshot: Snapshot) -> None:
    table = snapshot.interactions
    assert table.user_index.tolist() == [0, 0, 1]
    assert table.item_index.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(table.rating, np.array([np.nan, 4.5, np.nan], dtype=np.float32))
    assert table.at.tolist() == [7, NEVER, NEVER]


def test_the_last_profile_and_its_vector_stand_for_the_user(snapshot: Snapshot) -> None:
    assert list(snapshot.user_profile) == ["Reads for wit", ""]
    assert list(snapshot.item_profile) == ["", ""]
    assert "items.profile.ends.npy" not in snapshot.manifest["files"]
    np.testing.assert_array_equal(snapshot.embedding("user_profiles", "lexical_3"), [[1, 2, 3], [np.nan] * 3])


def test_vectors_by_index(snapshot: Snapshot, dataset: str, graph: Graph, home: Settings) -> None:
    assert snapshot.embeddings == {
        "entities": ["none_2"], "intents": ["lexical_2"], "items": ["lexical_2"], "user_profiles": ["lexical_3"],
    }  # fmt: skip
    vectors = snapshot.embedding("intents", "lexical_2")
    assert vectors.dtype == np.float32
    assert isinstance(vectors, np.memmap)
    np.testing.assert_array_equal(vectors, [[np.nan, np.nan], [0.25, 4.0]])
    np.testing.assert_array_equal(snapshot.embedding("items", "lexical_2"), [[np.nan, np.nan], [1.0, 0.5]])
    assert np.isnan(snapshot.embedding("entities", "none_2")).all()
    with pytest.raises(NotFoundError, match="items/lexical_2"):
        snapshot.embedding("items", "absent_2")
    graph.execute(
        "MATCH (d:Dataset {uid: $d}), (n:Intent {uid: $d + ':sand'}) "
        "SET d.version = d.version + 1, n.embedding_lexical_2 = [1.0, 2.0, 3.0]",
        d=dataset,
    )
    with pytest.raises(ConflictError, match="not every vector embedding_lexical_2 has 2 numbers"):
        take(graph, dataset, home)


def test_what_is_not_there_costs_nothing(graph: Graph, dataset: str, home: Settings) -> None:
    graph.execute(
        "CREATE (:Dataset {uid: $d, id: $d, field: 'books', state: 'ready', interests: 'none', version: 1, "
        "relations: []}), (:User {uid: $d + ':1', id: '1', dataset: $d})-[:INTERACTED {split: 'train'}]->"
        "(:Item {uid: $d + ':e', id: 'e', dataset: $d})",
        d=dataset,
    )
    snapshot = take(graph, dataset, home)
    assert not {"interactions.rating.npy", "interactions.at.npy", "items.text.ends.npy", "users.profile.ends.npy"} & {
        *snapshot.manifest["files"]
    }
    assert snapshot.embeddings == {}
    assert np.isnan(snapshot.interactions.rating).tolist() == [True]
    assert snapshot.interactions.at.tolist() == [NEVER]
    assert list(snapshot.item_text) == list(snapshot.item_profile) == [""]
    for table in (snapshot.facts, snapshot.has_interest, snapshot.possesses, snapshot.satisfies, snapshot.member_of):
        assert [len(column) for column in vars(table).values()] == [0] * len(vars(table))


@pytest.mark.usefixtures("planted")
def test_a_snapshot_counts_its_leaks_and_training_refuses_them(graph: Graph, dataset: str, home: Settings) -> None:
    leaking = take(graph, dataset, home)
    assert leaking.leaks == 7, "of Ann an interest and three profiles, of Ben two intents and an interest"
    with pytest.raises(ConflictError, match=r"7 edges that an LLM made .* rest on none of their"):
        training_data(leaking, (SplitCode.TRAIN,), SplitCode.VALID)
    graph.execute(
        """
        MATCH (ann:User {uid: $d + ':1'})-[made:HAS_INTEREST|DESCRIBES]-() SET made.evidence = ['e']
        WITH DISTINCT 1 AS done
        MATCH (ben:User {uid: $d + ':2'})-[made:POSSESSES|HAS_INTEREST]->() DELETE made
        WITH DISTINCT 1 AS done
        MATCH (dataset:Dataset {uid: $d}) SET dataset.version = 2
        """,
        d=dataset,
    )
    mended = take(graph, dataset, home)
    assert mended.leaks == 0
    assert training_data(mended, (SplitCode.TRAIN,), SplitCode.VALID).nodes.users == 2

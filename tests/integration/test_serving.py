from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cikg.errors import ConflictError, InputError, NotFoundError
from cikg.graph import Graph
from cikg.graph.snapshot import Snapshot, take
from cikg.schema import uid
from cikg.serving import publish as publishing
from cikg.serving import ranking
from cikg.serving.publish import publish, roll_back
from cikg.serving.recommend import recommend
from cikg.settings import Settings
from tests import planted


@pytest.fixture
def snapshot(graph: Graph, settings: Settings, dataset: str) -> Snapshot:
    planted.write(graph, dataset)
    return take(graph, dataset, settings)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Several chunks and batches, as in a large dataset."""
    monkeypatch.setattr(ranking, "SCORES_AT_ONCE", 7 * 13)
    monkeypatch.setattr(publishing, "WRITTEN_AT_ONCE", 3)
    yield


def digest(graph: Graph, dataset: str) -> str:
    """A hash of everything in a dataset: nodes and edges with all their properties."""
    nodes = graph.execute("MATCH (n {dataset: $d}) RETURN labels(n)[0] AS l, n {.*} AS p ORDER BY l, n.uid", d=dataset)
    edges = graph.execute(
        "MATCH (a {dataset: $d})-[r]->(b) RETURN a.uid AS a, type(r) AS t, b.uid AS b, r {.*} AS p ORDER BY a, t, b",
        d=dataset,
    )
    return hashlib.sha256(json.dumps([nodes, edges], default=str, sort_keys=True).encode()).hexdigest()


def models(graph: Graph, dataset: str) -> dict[str, int]:
    """How many edges each model has."""
    rows = graph.execute(
        "MATCH (:User {dataset: $d})-[r:RECOMMENDED]->() RETURN r.model AS m, count(*) AS c", d=dataset
    )
    return {row["m"]: row["c"] for row in rows}


@pytest.mark.usefixtures("small_chunks")
def test_recommends_the_missing_book_because_of_the_planted_interest(
    graph: Graph, dataset: str, snapshot: Snapshot
) -> None:
    done = publish(graph, snapshot, planted.Neighbours(snapshot), k=3)
    assert (done.users, done.recommendations) == (41, 41 * 3)
    for reader, kind in planted.readers().items():
        first = recommend(graph, dataset, reader, k=3).items[0]
        assert first.item == planted.missing(reader)
        assert first.interest is not None
        assert first.interest.id == kind
        # Counted from the plan: the holders of an interest are the readers of a kind, and nobody else reads its books.
        holders = [other for other, its in planted.readers().items() if its == kind]
        support = [other for other in holders if planted.missing(other) != first.item]
        assert (first.interest.support, first.interest.cohort) == (len(support), len(holders))
        assert first.interest.share == pytest.approx(len(support) / 41)
        assert f"{len(support)} of {len(holders)}" in first.because
        assert planted.KINDS[kind] in first.because


def test_a_list_is_the_same_however_many_users_are_scored_at_once(
    graph: Graph, dataset: str, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = set()
    for at_once in (1, 7 * 13, 1 << 20):
        monkeypatch.setattr(ranking, "SCORES_AT_ONCE", at_once)
        publish(graph, snapshot, planted.Neighbours(snapshot), k=3)
        ((row),) = graph.execute("MATCH (m:Model {dataset: $d}) RETURN m.digest AS digest", d=dataset)
        found.add(row["digest"])
    assert len(found) == 1, "whoever kept a list need not fetch it again"


@pytest.mark.usefixtures("small_chunks")
def test_a_mixtures_shares_are_served_and_add_up_to_the_score(graph: Graph, dataset: str, snapshot: Snapshot) -> None:
    publish(graph, snapshot, planted.Halves(snapshot), k=3)
    for reader in planted.readers():
        for item in recommend(graph, dataset, reader, k=3).items:
            assert sum(item.shares.values()) == pytest.approx(item.score)
            assert item.shares["more"] == 1.5
            assert list(item.shares.values()) == sorted(item.shares.values(), reverse=True)
            assert item.makeup.startswith(f"{item.score:.2f} = ")
    publish(graph, snapshot, planted.Neighbours(snapshot), k=3)
    alone = recommend(graph, dataset, next(iter(planted.readers())), k=1).items[0]
    assert (alone.shares, alone.makeup) == ({}, "")


def test_leaves_out_train_and_valid(graph: Graph, dataset: str, snapshot: Snapshot) -> None:
    publish(graph, snapshot, planted.Neighbours(snapshot), k=50)
    rows = graph.execute(
        "MATCH (u:User {dataset: $d})-[:RECOMMENDED]->(i)<-[:INTERACTED]-(u) RETURN count(*) AS c", d=dataset
    )
    assert rows[0]["c"] == 0
    ranks = graph.execute(
        "MATCH (u:User {dataset: $d})-[r:RECOMMENDED]->() WITH u, r ORDER BY r.rank"
        " RETURN u.id AS user, collect(r.rank) AS ranks,"
        " collect(r.score) AS scores",
        d=dataset,
    )
    for row in ranks:  # 13 books, of which 6 were read
        assert row["ranks"] == list(range(1, 8))
        assert row["scores"] == sorted(row["scores"], reverse=True)


def test_a_fact_explains_where_no_interest_does(graph: Graph, dataset: str, snapshot: Snapshot) -> None:
    graph.execute("MATCH (:User {dataset: $d})-[h:HAS_INTEREST]->() DELETE h", d=dataset)
    graph.execute("MATCH (d:Dataset {uid: $d}) SET d.version = d.version + 1", d=dataset)
    publish(graph, snapshot, planted.Neighbours(snapshot), k=3)
    graph.execute("MATCH (:User {dataset: $d})-[r:RECOMMENDED]->() REMOVE r.because", d=dataset)
    first = recommend(graph, dataset, "0", k=1).items[0]
    assert first.interest is None
    assert first.fact is not None
    assert first.fact.entity == "author of garden"
    assert first.fact.known.startswith("garden-")
    assert "“Author of garden” (author)" in first.because


@pytest.mark.usefixtures("small_chunks")
def test_publishing_twice_changes_nothing(graph: Graph, dataset: str, snapshot: Snapshot) -> None:
    publish(graph, snapshot, planted.Neighbours(snapshot), k=5)
    before = digest(graph, dataset)
    publish(graph, snapshot, planted.Neighbours(snapshot), k=5)
    assert digest(graph, dataset) == before


def test_a_smaller_k_removes_the_rest(graph: Graph, dataset: str, snapshot: Snapshot) -> None:
    publish(graph, snapshot, planted.Neighbours(snapshot), k=5)
    publish(graph, snapshot, planted.Neighbours(snapshot), k=2)
    assert models(graph, dataset) == {uid(dataset, "neighbours-1"): 41 * 2}


def test_the_new_model_takes_the_place_of_the_old_which_stays_at_hand(
    graph: Graph, dataset: str, snapshot: Snapshot
) -> None:
    publish(graph, snapshot, planted.Neighbours(snapshot, "old"), k=2)
    publish(graph, snapshot, planted.Neighbours(snapshot, "new"), k=3)
    assert models(graph, dataset) == {uid(dataset, "new"): 41 * 3, uid(dataset, "old"): 41 * 2}
    assert recommend(graph, dataset, "0").run == "new"
    assert graph.one("dataset_counts", dataset=dataset)["recommended"] == 41 * 3, "what is served counts"
    publish(graph, snapshot, planted.Neighbours(snapshot, "newest"), k=1)
    assert models(graph, dataset) == {uid(dataset, "newest"): 41, uid(dataset, "new"): 41 * 3}, "one, not all"


@pytest.mark.usefixtures("small_chunks")
def test_going_back_serves_the_former_model_whole_and_back_again(
    graph: Graph, dataset: str, snapshot: Snapshot
) -> None:
    old = publish(graph, snapshot, planted.Halves(snapshot, "old"), k=2)
    new = publish(graph, snapshot, planted.Neighbours(snapshot, "new"), k=3)
    assert roll_back(graph, dataset) == old
    served = recommend(graph, dataset, "0")
    assert (served.run, len(served.items)) == ("old", 2)
    assert served.items[0].shares["more"] == 1.5
    assert roll_back(graph, dataset, "old") == old, "it is served already"
    assert recommend(graph, dataset, "0").run == "old"
    assert roll_back(graph, dataset, "new") == new
    assert recommend(graph, dataset, "0").run == "new"
    with pytest.raises(ConflictError, match="it was old, not older"):
        roll_back(graph, dataset, "older")


def test_going_back_is_refused_where_there_is_nothing_whole_to_go_back_to(
    graph: Graph, dataset: str, snapshot: Snapshot
) -> None:
    with pytest.raises(ConflictError, match=r"no other model of .* was ever served"):
        roll_back(graph, dataset)
    publish(graph, snapshot, planted.Neighbours(snapshot, "old"), k=2)
    publish(graph, snapshot, planted.Neighbours(snapshot, "new"), k=2)
    graph.execute(
        "MATCH (:User {uid: $u})-[r:RECOMMENDED {model: $m}]->() DELETE r", u=uid(dataset, "0"), m=uid(dataset, "old")
    )
    with pytest.raises(ConflictError, match=r"no longer all there\. Publish old again"):
        roll_back(graph, dataset)
    assert recommend(graph, dataset, "0").run == "new"
    with pytest.raises(NotFoundError, match="no dataset 'absent'"):
        roll_back(graph, "absent")


def _meanwhile(monkeypatch: pytest.MonkeyPatch, statement: str, then: Callable[[], object]) -> None:
    """Have something happen once, just after a statement was read."""
    read = Graph.many

    def many(self: Graph, name: str, /, **parameters: Any) -> list[Any]:
        found = read(self, name, **parameters)
        if name == statement:
            monkeypatch.setattr(Graph, "many", read)
            then()
        return found

    monkeypatch.setattr(Graph, "many", many)


@pytest.mark.usefixtures("small_chunks")
def test_clearing_up_spares_a_model_that_was_published_meanwhile(
    graph: Graph, dataset: str, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(graph, snapshot, planted.Neighbours(snapshot, "oldest"), k=1)
    publish(graph, snapshot, planted.Neighbours(snapshot, "old"), k=1)

    def other() -> None:
        publish(graph, snapshot, planted.Neighbours(snapshot, "other"), k=2)

    _meanwhile(monkeypatch, "users_with_other_models", other)
    publish(graph, snapshot, planted.Neighbours(snapshot, "mine"), k=3)
    assert recommend(graph, dataset, "0").run == "other"
    left = models(graph, dataset)
    assert left[uid(dataset, "other")] == 41 * 2, "what is served is whole"
    assert left[uid(dataset, "mine")] == 41 * 3, "and one can go back"
    assert uid(dataset, "oldest") not in left
    assert roll_back(graph, dataset).run == "mine"


def test_going_back_is_refused_once_another_model_was_published(
    graph: Graph, dataset: str, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(graph, snapshot, planted.Neighbours(snapshot, "old"), k=1)
    publish(graph, snapshot, planted.Neighbours(snapshot, "present"), k=1)

    def other() -> None:
        graph.execute("MATCH (d:Dataset {uid: $d}) SET d.published = $d + ':other'", d=dataset)

    _meanwhile(monkeypatch, "formerly_served", other)
    with pytest.raises(ConflictError, match="published meanwhile"):
        roll_back(graph, dataset)


@pytest.mark.usefixtures("small_chunks")
def test_interrupted_the_old_model_is_served_and_a_rerun_completes(
    graph: Graph, dataset: str, snapshot: Snapshot
) -> None:
    publish(graph, snapshot, planted.Neighbours(snapshot, "old"), k=2)
    with pytest.raises(KeyboardInterrupt):
        publish(graph, snapshot, planted.Neighbours(snapshot, "new", fail_after=2), k=2)
    half = models(graph, dataset)
    assert half[uid(dataset, "old")] == 41 * 2
    assert 0 < half[uid(dataset, "new")] < 41 * 2
    for reader in planted.readers():
        served = recommend(graph, dataset, reader)
        assert served.run == "old"
        assert [item.rank for item in served.items] == [1, 2]
    publish(graph, snapshot, planted.Neighbours(snapshot, "new"), k=2)
    assert models(graph, dataset) == {uid(dataset, "new"): 41 * 2, uid(dataset, "old"): 41 * 2}


def test_refuses_a_model_of_another_snapshot(
    graph: Graph, dataset: str, snapshot: Snapshot, settings: Settings
) -> None:
    graph.execute(
        "MATCH (u:User {uid: $u}), (i:Item {uid: $i}) MERGE (u)-[r:INTERACTED]->(i) SET r.split = 'train'",
        u=uid(dataset, "0"),
        i=uid(dataset, "sea-1"),
    )
    graph.execute("MATCH (d:Dataset {uid: $d}) SET d.version = d.version + 1", d=dataset)
    later = take(graph, dataset, settings)
    with pytest.raises(InputError, match="was trained on the snapshot"):
        publish(graph, later, planted.Neighbours(snapshot), k=2)
    assert models(graph, dataset) == {}


def test_what_is_missing_is_named(graph: Graph, dataset: str, snapshot: Snapshot) -> None:
    with pytest.raises(NotFoundError, match="there is no dataset 'absent'"):
        recommend(graph, "absent", "0")
    with pytest.raises(NotFoundError, match=r"no user '133'.*Did you mean .*13"):
        recommend(graph, dataset, "133")
    with pytest.raises(NotFoundError, match=r"no model of .* is published"):
        recommend(graph, dataset, "0")

"""What people say is wrong: heeded at once, by everything, and taken back without a trace in what is recommended."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cikg.errors import InputError
from cikg.extraction.steps import interests
from cikg.extraction.steps.interests import cluster_intents
from cikg.graph import Graph
from cikg.graph.snapshot import Snapshot, take
from cikg.schema import Label, uid
from cikg.serving import corrections
from cikg.serving.corrections import Claim, correct, take_back
from cikg.serving.counterfactual import NOTHING, Evidence, Served, counterfactual
from cikg.serving.lists import CORRECTIONS
from cikg.serving.publish import publish, relist, roll_back
from cikg.serving.ranking import known_items
from cikg.serving.recommend import Served as Shown
from cikg.serving.recommend import read, recommend
from cikg.settings import Settings
from cikg.text.clustering import cluster
from tests import planted

READER = "3"


@pytest.fixture
def snapshot(graph: Graph, settings: Settings, dataset: str) -> Snapshot:
    planted.write(graph, dataset)
    return take(graph, dataset, settings)


@pytest.fixture
def served(graph: Graph, snapshot: Snapshot) -> Served:
    """A published model."""
    model = planted.Halves(snapshot)
    publish(graph, snapshot, model, k=10)
    return Served(snapshot, model, known_items(snapshot))


def interest(dataset: str, target: str = "garden", reader: str = READER) -> Claim:
    return Claim(dataset, Label.USER, reader, "interest", target)


def intent(dataset: str, target: str = "gardens", reader: str = READER) -> Claim:
    return Claim(dataset, Label.USER, reader, "intent", target)


def shown(graph: Graph, dataset: str, reader: str = READER) -> Shown:
    found = read(graph, dataset, reader, 10)
    assert found is not None
    return found


def inferred(graph: Graph, dataset: str, reader: str = READER) -> list[dict[str, Any]]:
    """All edges that say what a reader has, with their properties."""
    return graph.execute(
        "MATCH (:User {uid: $u})-[e:POSSESSES|HAS_INTEREST]->(t) RETURN type(e) AS type, t.id AS id, e {.*} AS p "
        "ORDER BY type, id",
        u=uid(dataset, reader),
    )


def version(graph: Graph, dataset: str) -> int:
    found: int = graph.execute("MATCH (d:Dataset {uid: $d}) RETURN d.version AS v", d=dataset)[0]["v"]
    return found


def test_a_list_heeds_what_was_corrected_and_says_by_how_much(graph: Graph, dataset: str, served: Served) -> None:
    before = shown(graph, dataset)
    assert before.items[0].interest is not None
    correct(graph, interest(dataset), by="ann", reason="That was  a present\nfor my aunt")
    stale = shown(graph, dataset)
    assert stale.outdated, "the list is not made anew by itself"
    assert [item.item for item in stale.items] == [item.item for item in before.items]
    assert all(item.interest is None for item in stale.items), "but what is wrong is no reason any more"
    assert relist(graph, served, READER)
    after = shown(graph, dataset)
    assert not after.outdated
    assert len(after.items) == len(before.items)
    assert all(item.interest is None for item in after.items)
    # The same list as the question asked before: what if the reader had not this interest?
    asked = counterfactual(served, READER, Evidence(interests=["garden"]), NOTHING, 10)
    assert [item.item for item in after.items] == [change.item for change in asked.items]
    assert not graph.execute(
        "MATCH (:User {uid: $u})-[r:RECOMMENDED]->() WHERE r.because IS NOT NULL RETURN r", u=uid(dataset, READER)
    )
    place = list(served.snapshot.users.ids).index(READER)
    scores = served.recommender.scores(np.array([place]))[0]
    for item in after.items:
        assert sum(item.shares.values()) == pytest.approx(item.score)
        own = scores[list(served.snapshot.items.ids).index(item.item)]
        assert item.shares[CORRECTIONS] == pytest.approx(item.score - own)
    gardens = [item for item in after.items if item.item.startswith("garden")]
    assert all(item.shares[CORRECTIONS] < 0 for item in gardens)
    assert shown(graph, dataset, "30").items[0].shares.keys() == {"less", "more"}, "others' lists stay as they are"


def test_taken_back_it_leaves_no_trace(graph: Graph, dataset: str, served: Served) -> None:
    before, edges = recommend(graph, dataset, READER), inferred(graph, dataset)
    for claim in (interest(dataset), intent(dataset)):
        correct(graph, claim, by="ann")
        relist(graph, served, READER)
        assert recommend(graph, dataset, READER) != before
        take_back(graph, claim)
        relist(graph, served, READER)
        assert recommend(graph, dataset, READER) == before
        assert inferred(graph, dataset) == edges


def test_said_twice_is_said_once(graph: Graph, dataset: str, snapshot: Snapshot) -> None:
    for _ in range(2):
        correct(graph, interest(dataset), by="ann", reason="no")
        correct(graph, interest(dataset), by="bob", reason="really not")
    found = corrections.of(graph, dataset, Label.USER)[READER]
    assert (found.times, [(one.by, one.reason) for one in found.corrections]) == (1, [("ann", "no")])
    for _ in range(2):
        take_back(graph, interest(dataset))
    found = corrections.of(graph, dataset, Label.USER)[READER]
    assert (found.times, found.corrections) == (2, ())


def test_an_interest_and_its_intents_stand_and_fall_together(graph: Graph, dataset: str, snapshot: Snapshot) -> None:
    graph.execute(
        "MATCH (u:User {uid: $d + ':3'}), (t:Interest {uid: $d + ':garden'}) "
        "MERGE (n:Intent {uid: $d + ':roses', id: 'roses', name: 'roses', dataset: $d}) "
        "MERGE (n)-[:MEMBER_OF]->(t) MERGE (u)-[:POSSESSES {evidence: ['garden-1']}]->(n)",
        d=dataset,
    )
    correct(graph, intent(dataset, "roses"), by="ann")
    assert stands(graph, dataset) == {"garden", "gardens"}, "another intent leads to the interest"
    correct(graph, intent(dataset), by="ann")
    assert stands(graph, dataset) == set()
    assert said(graph, dataset) == [("interest", "garden")], "its intents go without saying"
    implied = corrections.about(graph, dataset, Label.USER, READER).implied
    assert [(one.id, one.by) for one in implied] == [("gardens", "ann"), ("roses", "ann")]
    take_back(graph, intent(dataset, "roses"))
    assert stands(graph, dataset) == {"garden", "roses"}
    assert said(graph, dataset) == [("intent", "gardens")]
    correct(graph, interest(dataset), by="ann")
    assert stands(graph, dataset) == set()
    take_back(graph, interest(dataset))
    assert stands(graph, dataset) == {"garden", "gardens", "roses"}


def stands(graph: Graph, dataset: str) -> set[str]:
    return {row["id"] for row in inferred(graph, dataset) if "pruned_by" not in row["p"]}


def said(graph: Graph, dataset: str) -> list[tuple[str, str]]:
    return [(one.kind, one.id) for one in corrections.of(graph, dataset, Label.USER)[READER].corrections]


def test_what_a_job_pruned_is_not_for_a_person_to_take_back(graph: Graph, dataset: str, snapshot: Snapshot) -> None:
    run = uid(dataset, "subgraphs-1")
    graph.execute(
        "MATCH (:User {uid: $d + ':3'})-[e:POSSESSES]->() SET e.pruned_by = $run, e.pruned_reason = 'far'",
        d=dataset,
        run=run,
    )
    correct(graph, interest(dataset), by="ann")
    take_back(graph, interest(dataset))
    take_back(graph, intent(dataset))
    by = {row["id"]: row["p"].get("pruned_by") for row in inferred(graph, dataset)}
    assert by == {"garden": None, "gardens": run}


def test_clustering_and_snapshots_are_without_it(
    graph: Graph, dataset: str, settings: Settings, snapshot: Snapshot
) -> None:
    correct(graph, interest(dataset), by="ann", reason="no gardener")
    fresh = take(graph, dataset, settings)
    assert fresh.hash != snapshot.hash
    place = list(fresh.users.ids).index(READER)
    for table in (fresh.has_interest, fresh.possesses):
        assert place not in np.asarray(table.user_index)
        assert len(table.user_index) == len(planted.readers()) - 1
    cluster_intents(graph, dataset, clusters=2)
    assert stands(graph, dataset) == set(), "clustering anew does not bring it back"
    assert said(graph, dataset) == [("interest", "garden"), ("intent", "gardens")]
    assert not cluster_intents(graph, dataset, clusters=2).changed
    take_back(graph, intent(dataset))
    take_back(graph, interest(dataset))
    cluster_intents(graph, dataset, clusters=2)
    assert len(stands(graph, dataset)) == 2
    assert not graph.execute("MATCH (t:Interest {uid: $d + ':garden'}) RETURN t", d=dataset), "nobody needs it any more"


def test_a_model_of_before_clustering_heeds_it_too(
    graph: Graph, dataset: str, snapshot: Snapshot, served: Served
) -> None:
    correct(graph, interest(dataset), by="ann")
    cluster_intents(graph, dataset, clusters=2)
    publish(graph, snapshot, planted.Halves(snapshot, "second"), k=10)
    without = Evidence(interests=["garden"], intents=["gardens"])
    asked = counterfactual(served, READER, without, NOTHING, 10)
    assert [item.item for item in shown(graph, dataset).items] == [change.item for change in asked.items]
    why = graph.execute(
        "MATCH (:User {uid: $u})-[r:RECOMMENDED {model: $model}]->() RETURN DISTINCT r.because AS because",
        u=uid(dataset, READER),
        model=uid(dataset, "second"),
    )
    assert why == [{"because": None}]


def test_an_intent_that_is_found_later_does_not_bring_an_interest_back(
    graph: Graph, dataset: str, snapshot: Snapshot
) -> None:
    cluster_intents(graph, dataset, clusters=2)
    (found,) = stands(graph, dataset) - {"gardens"}
    correct(graph, interest(dataset, found), by="ann")
    graph.execute(
        "MATCH (u:User {uid: $d + ':3'}) "
        "CREATE (u)-[:POSSESSES {evidence: ['garden-2']}]->(:Intent {uid: $d + ':my garden', id: 'my garden', "
        "name: 'my gardens', dataset: $d})",
        d=dataset,
    )
    cluster_intents(graph, dataset, clusters=2)
    leads = graph.execute("MATCH ({uid: $d + ':my garden'})-[:MEMBER_OF]->(t) RETURN t.id AS id", d=dataset)
    assert leads == [{"id": found}]
    assert stands(graph, dataset) == {"my garden"}
    # What shows it is no training interaction any more: nothing may leak, and what nothing shows goes.
    graph.execute("MATCH ({uid: $d + ':3'})-[r:INTERACTED]->() SET r.split = 'test'", d=dataset)
    cluster_intents(graph, dataset, clusters=1)
    assert ("interest", found) not in said(graph, dataset)


def test_what_is_corrected_while_intents_are_clustered_is_heeded(
    graph: Graph, dataset: str, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []

    def meanwhile(names: Any, **options: Any) -> Any:
        if not found:
            correct(graph, intent(dataset), by="ann")
        found.append(names["gardens"])
        return cluster(names, **options)

    monkeypatch.setattr(interests, "cluster", meanwhile)
    cluster_intents(graph, dataset, clusters=2)
    assert found == [21, 20], "it is clustered anew without it"
    assert stands(graph, dataset) == set()


def test_publishing_heeds_it_and_going_back_says_that_it_does_not(
    graph: Graph, dataset: str, snapshot: Snapshot, served: Served
) -> None:
    correct(graph, interest(dataset), by="ann")
    publish(graph, snapshot, planted.Halves(snapshot, "second"), k=4)
    after = shown(graph, dataset)
    assert (after.run, after.outdated) == ("second", False)
    assert all(CORRECTIONS in item.shares for item in after.items)
    roll_back(graph, dataset)
    assert shown(graph, dataset).outdated, "what was served before was made before"
    assert relist(graph, served, READER)
    assert not shown(graph, dataset).outdated
    roll_back(graph, dataset)
    assert shown(graph, dataset) == after
    roll_back(graph, dataset)


def test_what_is_asked_next_starts_from_it(graph: Graph, dataset: str, served: Served) -> None:
    correct(graph, interest(dataset), by="ann")
    relist(graph, served, READER)
    wrong = corrections.about(graph, dataset, Label.USER, READER).evidence
    assert wrong == Evidence(interests=["garden"], intents=[])
    same = counterfactual(served, READER, NOTHING, NOTHING, 10, corrected=wrong)
    assert [change.item for change in same.items] == [item.item for item in shown(graph, dataset).items]
    assert [change.before for change in same.items] == [change.rank for change in same.items]
    with pytest.raises(InputError, match="corrected"):
        counterfactual(served, READER, wrong, NOTHING, 4, corrected=wrong)
    assert corrections.about(graph, dataset, Label.USER, "30").evidence == Evidence(interests=[], intents=[])


def test_what_nobody_claims_cannot_be_wrong(graph: Graph, dataset: str, snapshot: Snapshot) -> None:
    for claim in (
        interest(dataset, "sea"),
        interest(dataset, "absent"),
        interest(dataset, reader="nobody"),
        intent(dataset, "garden"),  # an interest's id
        Claim(dataset, Label.ITEM, READER, "intent", "gardens"),  # a user's id
    ):
        for act in (lambda claim=claim: correct(graph, claim, by="ann"), lambda claim=claim: take_back(graph, claim)):
            with pytest.raises(InputError, match="nobody says"):
                act()
    with pytest.raises(InputError, match="501 characters"):
        correct(graph, interest(dataset), by="ann", reason="x" * 501)
    assert corrections.of(graph, dataset, Label.USER) == {}


def test_an_item_that_does_not_serve_an_intent(graph: Graph, dataset: str, snapshot: Snapshot) -> None:
    graph.execute(
        "MATCH (i:Item {uid: $d + ':sea-1'}), (n:Intent {uid: $d + ':gardens'}) "
        "CREATE (i)-[:SATISFIES {round: 1, evidence: ['sea-1']}]->(n)",
        d=dataset,
    )
    claim = Claim(dataset, Label.ITEM, "sea-1", "intent", "gardens")
    correct(graph, claim, by="ann", reason="no plant in it")
    found = corrections.of(graph, dataset, Label.ITEM)
    assert [(one.name, one.reason) for one in found["sea-1"].corrections] == [("gardens", "no plant in it")]
    assert found["sea-1"].name == "sea book 1"
    assert corrections.of(graph, dataset, Label.USER) == {}, "users of the intent keep it"
    take_back(graph, claim)
    assert corrections.of(graph, dataset, Label.ITEM)["sea-1"].corrections == ()


def test_every_change_is_counted_so_that_no_old_answer_is_shown(
    graph: Graph, dataset: str, snapshot: Snapshot, served: Served
) -> None:
    seen = [version(graph, dataset)]
    correct(graph, interest(dataset), by="ann")
    seen.append(version(graph, dataset))
    relist(graph, served, READER)
    seen.append(version(graph, dataset))
    take_back(graph, interest(dataset))
    seen.append(version(graph, dataset))
    assert seen == sorted(set(seen))


def test_who_came_after_the_model_has_no_list_to_make_anew(graph: Graph, dataset: str, served: Served) -> None:
    graph.execute("CREATE (:User {uid: $d + ':new', id: 'new', dataset: $d})", d=dataset)
    assert not relist(graph, served, "new")

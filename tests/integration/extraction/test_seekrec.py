"""SeeKRec's five stages over a planted library: what each has to find, and what it must leave alone."""

from __future__ import annotations

import json
from typing import Any

from cikg.extraction import control, ledger, pipelines
from cikg.extraction.job import job
from cikg.extraction.runner import Runner
from cikg.extraction.steps.merging import Method, Verdict, accept, pairs, reject, unmerge
from cikg.graph import Graph
from cikg.settings import Settings

from .conftest import ITEMS_OF_A_TOPIC, TOPICS, Workplace, everything

JOBS = (
    "user_preferences", "preference_alignment", "user_subgraphs", "item_subgraphs", "user_profiles", "item_profiles",
)  # fmt: skip


def extract(graph: Graph, dataset: str, settings: Settings, *names: str) -> dict[str, Any]:
    """Do jobs in this process; where the last one's run stands then."""
    stands: dict[str, Any] = {}
    with Runner(graph, settings) as runner:
        for name in names:
            plan = ledger.plan(graph, job(name), dataset, "stand-in")
            runner.work_all(plan.run.uid, ledger.start(graph, plan))
            if plan.total:
                stands = {**ledger.progress(graph, plan.run.uid), "run": plan.run.uid}
    return stands


def likes(graph: Graph, dataset: str) -> dict[str, dict[str, str | None]]:
    """User -> intent -> who pruned it."""
    found: dict[str, dict[str, str | None]] = {}
    for row in graph.execute(
        "MATCH (u:User {dataset: $d})-[e:POSSESSES]->(t:Intent) RETURN u.id AS user, t.id AS intent, e.pruned_by AS by",
        d=dataset,
    ):
        found.setdefault(row["user"], {})[row["intent"]] = row["by"]
    return found


def give(graph: Graph, dataset: str, user: str, *intents: str, evidence: list[str]) -> None:
    """Say that a user likes something, as a run of another job would."""
    graph.execute(
        "MATCH (u:User {uid: $d + ':' + $user}) UNWIND $intents AS id MERGE (t:Intent {uid: $d + ':' + id}) "
        "SET t += {dataset: $d, id: id, name: id} "
        "CREATE (u)-[:POSSESSES {run: $d + ':other', completion: $d + ':none', round: 1, evidence: $evidence}]->(t)",
        d=dataset,
        user=user,
        intents=list(intents),
        evidence=evidence,
    )


def subgraph(graph: Graph, dataset: str, identifier: str, label: str = "User") -> dict[str, Any]:
    (row,) = graph.execute(
        f"MATCH (n:{label} {{uid: $uid}}) RETURN n.subgraph AS lines, n.subgraph_items AS items, "
        "n.subgraph_rounds AS rounds, n.subgraph_sufficient AS sufficient",
        uid=f"{dataset}:{identifier}",
    )
    return {**row, "lines": [json.loads(line) for line in row["lines"]]}


def test_planted_tastes_are_preferred_with_training_evidence(place: Workplace) -> None:
    truth = place.planted(24)
    graph, dataset = place.graph, place.dataset
    extract(graph, dataset, place.settings(place.standin()), "user_preferences")
    found = likes(graph, dataset)
    assert {user: taste in found[user] for user, taste in truth.items()} == dict.fromkeys(truth, True)
    assert graph.one("extraction_leaks", dataset=dataset) == {"edges": sum(map(len, found.values())), "leaks": 0}


SYNONYMS = {"tales of the sea": "the sea", "sea, the": "the sea", "ghosts and castles": "castles and ghosts"}
ALONE = ("sea birds", "castles", "cookery", "cookery for sailors")


def test_alignment_merges_planted_synonyms_and_only_these_and_can_be_taken_back(place: Workplace) -> None:
    place.planted(4)
    graph, dataset = place.graph, place.dataset
    llm = place.standin()
    settings = place.settings(llm)
    give(graph, dataset, "r1", *SYNONYMS, *SYNONYMS.values(), *ALONE, evidence=["1-0"])
    before = likes(graph, dataset)
    run = extract(graph, dataset, settings, "preference_alignment")["run"]
    proposed = {(pair.intent, pair.into): pair for pair in pairs(graph, dataset, Verdict.PROPOSED)}
    assert proposed.keys() == set(SYNONYMS.items()), "nothing is merged before somebody accepts it"
    assert all(pair.method == "llm" and run in pair.history[0] for pair in proposed.values())
    assert likes(graph, dataset) == before
    asked = llm.calls
    assert accept(graph, dataset, Method.EXACT, actor="ann") == 0
    assert accept(graph, dataset, Method.LLM, actor="ann") == len(SYNONYMS)
    assert set(likes(graph, dataset)["r1"]) == {*SYNONYMS.values(), *ALONE}
    state = everything(graph, dataset)
    extract(graph, dataset, settings, "preference_alignment")
    assert accept(graph, dataset, Method.LLM, actor="ann") == 0
    assert (everything(graph, dataset), llm.calls) == (state, asked), "what was merged does not change what is asked"
    for intent in SYNONYMS:
        unmerge(graph, dataset, intent, actor="ben")
    assert likes(graph, dataset) == before
    extract(graph, dataset, settings, "preference_alignment")
    assert accept(graph, dataset, Method.LLM, actor="ann") == 0, "what was taken apart does not come back"


def test_a_new_phrase_asks_about_its_batch_alone_and_a_rejected_pair_stays_apart(place: Workplace) -> None:
    place.planted(4)
    graph, dataset = place.graph, place.dataset
    llm = place.standin()
    settings = place.settings(llm)
    give(graph, dataset, "r1", "the sea", "tales of the sea", "roses", "the roses", evidence=["1-0"])
    extract(graph, dataset, settings, "preference_alignment")
    reject(graph, dataset, "tales of the sea", "the sea", actor="ann")
    asked = llm.calls
    give(graph, dataset, "r1", "sea stories", evidence=["1-0"])
    extract(graph, dataset, settings, "preference_alignment")
    assert llm.calls == asked + 1
    accept(graph, dataset, Method.LLM, actor="ann")
    assert set(likes(graph, dataset)["r1"]) == {"the sea", "tales of the sea", "roses"}


def test_pruning_drops_a_planted_stray_liking_and_never_touches_what_was_done(place: Workplace) -> None:
    place.planted(8)
    graph, dataset = place.graph, place.dataset
    llm = place.standin()
    settings = place.settings(llm)
    extract(graph, dataset, settings, "user_preferences")
    give(graph, dataset, "r1", "cookery", evidence=["1-0"])
    interactions = graph.execute(
        "MATCH (:User {dataset: $d})-[r:INTERACTED]->(i) RETURN i.id AS item, properties(r) AS p ORDER BY item, p.at",
        d=dataset,
    )
    run = extract(graph, dataset, settings, "user_subgraphs")["run"]
    found = likes(graph, dataset)
    assert found["r1"]["cookery"] == run
    assert {by for user, intents in found.items() for intent, by in intents.items() if intent != "cookery"} == {None}
    reason = graph.execute(
        "MATCH (:User {uid: $d + ':r1'})-[e:POSSESSES]->(:Intent {id: 'cookery'}) RETURN e.pruned_reason AS reason",
        d=dataset,
    )
    assert reason == [{"reason": "left out of the subgraph of user r1 in round 1"}]
    kept = subgraph(graph, dataset, "r1")
    assert (kept["rounds"], kept["sufficient"]) == (1, True)
    assert set(kept["items"]) == {"1-0", "1-1", "1-2", "1-3"}, "of train, never the test book"
    assert all("cookery" not in line["to"] for line in kept["lines"])
    assert interactions == graph.execute(
        "MATCH (:User {dataset: $d})-[r:INTERACTED]->(i) RETURN i.id AS item, properties(r) AS p ORDER BY item, p.at",
        d=dataset,
    )
    state, asked = everything(graph, dataset), llm.calls
    extract(graph, dataset, settings, "user_subgraphs")
    assert (everything(graph, dataset), llm.calls) == (state, asked), "its own pruning changes nothing"
    # Two more books come to show it: what the job pruned it keeps now.
    graph.execute(
        "MATCH (:User {uid: $d + ':r1'})-[e:POSSESSES]->(:Intent {id: 'cookery'}) "
        "SET e.evidence = ['1-0', '1-1', '1-2']",
        d=dataset,
    )
    extract(graph, dataset, settings, "user_subgraphs")
    assert likes(graph, dataset)["r1"]["cookery"] is None
    # What a person rejected is not offered, and stays rejected.
    graph.execute(
        "MATCH (:User {uid: $d + ':r1'})-[e:POSSESSES]->(:Intent {id: 'cookery'}) SET e.pruned_by = 'ann'", d=dataset
    )
    extract(graph, dataset, settings, "user_subgraphs")
    assert likes(graph, dataset)["r1"]["cookery"] == "ann"


def test_insufficient_subjects_get_a_wider_neighbourhood_until_the_bound(place: Workplace) -> None:
    place.planted(5)
    graph, dataset = place.graph, place.dataset
    # r0 is said to like something; of r1's books much is known; of r2's books nothing.
    give(graph, dataset, "r0", "gothic", evidence=["0-0", "0-1"])
    graph.execute(
        "MATCH (u:User {uid: $d + ':r1'})-[:INTERACTED]->(i:Item) MERGE (e:Entity {uid: $d + ':salt'}) "
        "SET e += {dataset: $d, id: 'salt', name: 'salt'} MERGE (f:Entity {uid: $d + ':ships'}) "
        "SET f += {dataset: $d, id: 'ships', name: 'ships'} "
        "MERGE (i)-[a:SUBJECT]->(e) SET a.relation = 'subject' MERGE (i)-[b:SUBJECT]->(f) SET b.relation = 'subject'",
        d=dataset,
    )
    graph.execute("MATCH (:User {uid: $d + ':r2'})-[:INTERACTED]->(:Item)-[f:SUBJECT]->() DELETE f", d=dataset)
    extract(graph, dataset, place.settings(place.standin()), "user_subgraphs")
    stood = {user: subgraph(graph, dataset, user) for user in ("r0", "r1", "r2", "r3")}
    assert {user: (each["rounds"], each["sufficient"]) for user, each in stood.items()} == {
        "r0": (1, True),
        "r1": (2, True),
        "r2": (1, False),  # there is nothing wider
        "r3": (3, True),  # one shared fact, then what resembles the books
    }
    assert {line["edge"] for line in stood["r1"]["lines"]} == {"chose", "subject"}
    assert "resembles" in {line["edge"] for line in stood["r3"]["lines"]}
    assert all(each["items"] for each in stood.values()), "at least one choice stays"


def test_the_loop_ends_at_the_bound_and_each_stage_stands_in_the_trail(place: Workplace) -> None:
    place.planted(8)
    graph, dataset = place.graph, place.dataset
    llm = place.standin()
    settings = place.settings(llm)
    # Books alike in pairs alone: nothing is shared by two of a reader's books, so that no width is ever enough.
    graph.execute("MATCH (i:Item {dataset: $d})-[f:SUBJECT]->() DELETE f", d=dataset)
    graph.execute(
        "UNWIND range(0, 3) AS t UNWIND range(0, 3) AS i MATCH (a:Item {uid: $d + ':' + t + '-' + i}), "
        "(b:Item {uid: $d + ':' + t + '-' + (i + 6)}) MERGE (e:Entity {uid: $d + ':pair' + t + i}) "
        "SET e += {dataset: $d, id: 'pair' + t + i, name: 'pair ' + t + i} "
        "MERGE (a)-[f:SUBJECT]->(e) MERGE (b)-[g:SUBJECT]->(e) SET f.relation = 'subject', g.relation = 'subject'",
        d=dataset,
    )
    extract(graph, dataset, settings, "user_subgraphs")
    stood = subgraph(graph, dataset, "r0")
    assert (stood["rounds"], stood["sufficient"]) == (3, False)
    extract(graph, dataset, settings, "user_profiles")
    trail = control.trail(graph, dataset, "r0")
    assert [step["prompt"] for step in trail] == [*(3 * ["user_pruning", "user_evaluating"]), "user_profiles"]
    assert all("<edges>" in step["asked"] and step["answer"] for step in trail)
    assert trail[0]["asked"].count("\n") < trail[2]["asked"].count("\n") < trail[4]["asked"].count("\n")


def test_profiles_keep_their_limits_and_say_what_they_rest_on(place: Workplace) -> None:
    place.planted(8)
    graph, dataset = place.graph, place.dataset
    settings = place.settings(place.standin())
    graph.execute("MATCH (i:Item {dataset: $d}) SET i.text = $long", d=dataset, long="a very long story " * 80)
    extract(graph, dataset, settings, *JOBS)
    rows = graph.execute(
        "MATCH (p:Profile {dataset: $d})-[e:DESCRIBES]->(n) RETURN labels(n)[0] AS about, n.id AS id, p.text AS text, "
        "e.evidence AS evidence, e.run AS run, e.completion AS completion, e.round AS round",
        d=dataset,
    )
    about = {kind: [row for row in rows if row["about"] == kind] for kind in ("User", "Item")}
    assert (len(about["User"]), len(about["Item"])) == (8, len(TOPICS) * ITEMS_OF_A_TOPIC)
    assert max(len(row["text"].split()) for row in about["User"]) <= 150
    assert max(len(row["text"].split()) for row in about["Item"]) == 200, "cut at the limit"
    assert all(TOPICS[int(row["id"][1:]) % 4] in row["text"] for row in about["User"])
    assert all(row["evidence"] == [row["id"]] for row in about["Item"])
    assert all(row["run"] and row["completion"] and row["round"] == 1 for row in rows)
    leaks = graph.one("extraction_leaks", dataset=dataset)
    assert leaks["edges"] > 8
    assert leaks["leaks"] == 0


def test_all_stages_again_change_nothing_and_one_more_book_asks_about_its_reader_alone(place: Workplace) -> None:
    place.planted(8)
    graph, dataset = place.graph, place.dataset
    llm = place.standin()
    settings = place.settings(llm)

    def stages() -> None:
        for stage in pipelines.pipeline("seekrec").stages:
            if isinstance(stage, str):
                extract(graph, dataset, settings, stage)
            else:
                stage.carry_out(graph, settings, dataset)

    stages()
    state, asked = everything(graph, dataset), llm.calls
    stages()
    assert (everything(graph, dataset), llm.calls) == (state, asked)
    others = (
        "MATCH (p:Profile {dataset: $d})-[e:DESCRIBES]->(u:User) WHERE u.id <> 'r0' "
        "RETURN u.id AS id, p.text AS text, properties(e) AS p ORDER BY id"
    )
    before = graph.execute(others, d=dataset)
    graph.execute(
        "MATCH (u:User {uid: $d + ':r0'}), (b:Item {uid: $d + ':0-9'}) MERGE (u)-[r:INTERACTED]->(b) "
        "SET r.split = 'train', r.at = 50",
        d=dataset,
    )
    llm = place.standin()
    extract(graph, dataset, settings, "user_preferences", "user_subgraphs", "user_profiles")
    assert llm.calls == 4, "preferences, pruning, evaluating, refining"
    assert graph.execute(others, d=dataset) == before

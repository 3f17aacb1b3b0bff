"""Merging intents that somebody said a user or an item has not: what was said prevails, and merges come apart again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from cikg.errors import ConflictError, InputError
from cikg.extraction.steps import merging
from cikg.graph import Graph
from cikg.schema import Label, uid
from cikg.serving import corrections
from cikg.serving.corrections import Claim, Correction
from cikg.serving.counterfactual import Evidence

LEADS = {"sea": "water", "ocean": "water", "whales": "animals", "war": "history"}
"""The interest of each intent."""
HAS = {"ann": {"sea", "ocean", "whales"}, "ben": {"sea", "war"}, "moby": {*LEADS}}
"""Who has which intent: two users and an item."""
State = set[tuple[str, str, bool]]
"""Owners, what they had before any merge, intents and interests, and whether it stands."""


@pytest.fixture
def planted(graph: Graph, dataset: str) -> str:
    """Intents with the interests that clustering would make of them, and who has them."""
    graph.execute(
        """
        CREATE (:Dataset {uid: $d, id: $d, dataset: $d, state: 'ready', version: 1})
        CREATE (:User {uid: $d + ':ann', id: 'ann', dataset: $d}), (:User {uid: $d + ':ben', id: 'ben', dataset: $d}),
               (:Item {uid: $d + ':moby', id: 'moby', dataset: $d})
        WITH 1 AS one UNWIND keys($leads) AS id
        MERGE (t:Interest {uid: $d + ':' + $leads[id]}) SET t += {id: $leads[id], dataset: $d, source: 'extracted'}
        CREATE (:Intent {uid: $d + ':' + id, id: id, name: id, dataset: $d})-[:MEMBER_OF]->(t)
        """,
        d=dataset,
        leads=LEADS,
    )
    graph.execute(
        """
        UNWIND $has AS row MATCH (u:User|Item {uid: $d + ':' + row[0]}), (n:Intent {uid: $d + ':' + row[1]})
        CREATE (u)-[e:$(CASE WHEN u:User THEN 'POSSESSES' ELSE 'SATISFIES' END)]->(n)
        SET e += {run: $d + ':first', round: 1, evidence: ['moby']}
        WITH u, n WHERE u:User MATCH (n)-[:MEMBER_OF]->(t) MERGE (u)-[:HAS_INTEREST {evidence: ['moby']}]->(t)
        """,
        d=dataset,
        has=[[owner, intent] for owner, intents in HAS.items() for intent in sorted(intents)],
    )
    return dataset


def claim(dataset: str, owner: str, target: str) -> Claim:
    label: corrections.Owner = Label.ITEM if owner == "moby" else Label.USER
    return Claim(dataset, label, owner, "intent" if target in LEADS else "interest", target)


def state(graph: Graph, dataset: str) -> State:
    rows = graph.execute(
        "MATCH (owner:User|Item {dataset: $d})-[e:POSSESSES|SATISFIES|HAS_INTEREST]->(t) "
        "RETURN owner.id AS owner, coalesce(e.merged_from[0], t.uid) AS of, e.pruned_by IS NULL AS stands",
        d=dataset,
    )
    return {(row["owner"], row["of"].removeprefix(f"{dataset}:"), row["stands"]) for row in rows}


def everything(graph: Graph, dataset: str) -> list[Any]:
    """All edges, with all that they say."""
    return graph.execute(
        "MATCH (a {dataset: $d})-[e:POSSESSES|SATISFIES|HAS_INTEREST|MEMBER_OF]->(b) "
        "RETURN a.id AS a, type(e) AS type, b.id AS b, properties(e) AS e ORDER BY a, type, b, e.merged_from",
        d=dataset,
    )


def counts(graph: Graph, dataset: str) -> dict[str, int]:
    rows = graph.execute(
        "MATCH (n:User|Item|Dataset {dataset: $d}) RETURN n.id AS id, coalesce(n.version, n.corrected, 0) AS count",
        d=dataset,
    )
    return {row["id"]: row["count"] for row in rows}


@dataclass
class Said:
    """The oracle: what was said of phrases and interests, and what follows from what is merged now."""

    into: dict[str, str] = field(default_factory=dict)
    wrong: set[tuple[str, str]] = field(default_factory=set)  # owners, and their phrases and interests

    def standing(self, phrase: str) -> str:
        return self.standing(self.into[phrase]) if phrase in self.into else phrase

    def meaning(self, owner: str, target: str) -> set[str]:
        """The phrases of an owner that mean an intent, or lead to an interest."""
        if target in LEADS:
            return {phrase for phrase in HAS[owner] if self.standing(phrase) == target}
        leading = {self.standing(phrase) for phrase, interest in LEADS.items() if interest == target}
        return {phrase for phrase in HAS[owner] if self.standing(phrase) in leading}

    def stands(self, owner: str, phrase: str) -> bool:
        return not any((owner, same) in self.wrong for same in self.meaning(owner, self.standing(phrase)))

    def state(self) -> State:
        found = {(owner, phrase, self.stands(owner, phrase)) for owner, phrases in HAS.items() for phrase in phrases}
        for owner in ("ann", "ben"):
            for interest in {LEADS[phrase] for phrase in HAS[owner]}:
                led = any(self.stands(owner, phrase) for phrase in self.meaning(owner, interest))
                found.add((owner, interest, led and (owner, interest) not in self.wrong))
        return found

    def correct(self, owner: str, target: str) -> None:
        self.wrong |= {(owner, phrase) for phrase in self.meaning(owner, target) if self.stands(owner, phrase)}
        self.wrong |= set() if target in LEADS else {(owner, target)}

    def take_back(self, owner: str, target: str) -> None:
        again = {self.standing(phrase) for phrase in self.meaning(owner, target) if not self.stands(owner, phrase)}
        phrases = {phrase for phrase in LEADS if self.standing(phrase) in again}
        self.wrong -= {(owner, each) for each in phrases | {LEADS[phrase] for phrase in phrases} | {target}}

    def do(self, graph: Graph, dataset: str, verb: str, first: str, second: str) -> None:
        """Do something to the graph and here; what cannot be done changes neither."""
        try:
            if verb == "merge":
                merging.merge(graph, dataset, first, second)
                self.into[first] = second
            elif verb == "unmerge":
                merging.unmerge(graph, dataset, first)
                del self.into[first]
            elif (first, second, verb == "correct") in self.shown():
                act = corrections.take_back if verb == "take back" else _correct
                act(graph, claim(dataset, first, second))
                getattr(self, verb.replace(" ", "_"))(first, second)
        except (ConflictError, InputError):
            return

    def shown(self) -> State:
        """Owners, the intents and interests that a page shows of them, and whether they stand."""
        return {(owner, self.standing(of) if of in LEADS else of, stands) for owner, of, stands in self.state()}


def _correct(graph: Graph, wrong: Claim) -> None:
    corrections.correct(graph, wrong, by="eve", reason="a present")


def find(graph: Graph, dataset: str, run: str, intents: list[str]) -> None:
    """Write what the one run of a job finds of Ann."""
    graph.execute(
        """
        MERGE (r:Run {uid: $d + ':' + $run}) SET r += {id: $run, dataset: $d, kind: 'extract', name: $run}
        MERGE (s:Subject {uid: $d + ':' + $run + '/ann'}) SET s += {dataset: $d, run: r.uid, lease: 'mine'}
        WITH * MATCH (u:User {uid: $d + ':ann'}), (i:Item {uid: $d + ':moby'})
        MERGE (u)-[:INTERACTED {split: 'train'}]->(i)
        """,
        d=dataset,
        run=run,
    )
    found = [{"uid": uid(dataset, each), "id": each, "name": each, "evidence": ["moby"]} for each in intents]
    rows = [{"target": uid(dataset, "ann"), "subject": uid(dataset, f"{run}/ann"), "completion": "c", "intents": found}]
    graph.write("replace_user_intents", dataset=dataset, run=uid(dataset, run), job=run, lease="mine", rows=rows)


MERGES = st.tuples(st.sampled_from(["merge", "merge", "unmerge"]), st.sampled_from([*LEADS]), st.sampled_from([*LEADS]))
SAYINGS = st.tuples(
    st.sampled_from(["correct", "correct", "take back"]),
    st.sampled_from([*HAS]),
    st.sampled_from([*LEADS, *sorted({*LEADS.values()})]),
)


@hypothesis.settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(SAYINGS | MERGES, min_size=3, max_size=7))
@hypothesis.example([("correct", "ann", "ocean"), ("merge", "ocean", "sea"), ("merge", "ocean", "sea")])
@hypothesis.example([("correct", "ben", "war"), ("merge", "sea", "war"), ("unmerge", "sea", "war")])
@hypothesis.example(
    [("correct", "ann", "sea"), ("correct", "ann", "whales"), ("merge", "sea", "ocean"), ("merge", "whales", "ocean"),
     ("unmerge", "sea", "ocean"), ("take back", "ann", "ocean")]
)  # fmt: skip
@hypothesis.example([("merge", "whales", "sea"), ("correct", "ann", "animals"), ("take back", "ann", "water")])
def test_whatever_is_said_holds_for_all_that_means_the_same(
    graph: Graph, planted: str, wanted: list[tuple[str, str, str]]
) -> None:
    """After each step all follows from what was said and merged; undone and taken back, the graph is as it was."""
    before, said = everything(graph, planted), Said()
    ending = [("unmerge", each, "") for each in LEADS] * len(LEADS)
    ending += [("take back", owner, each) for owner, phrases in HAS.items() for each in phrases]
    for step in wanted + ending:
        if (step[0] == "unmerge" and step[1] not in said.into) or (step[1] in said.into and step[0] == "merge"):
            continue
        was, count = said.state(), counts(graph, planted)
        said.do(graph, planted, *step)
        assert state(graph, planted) == said.state(), step
        changed = {owner for owner, _, _ in was ^ said.state()}
        assert {owner for owner, now in counts(graph, planted).items() if now != count[owner]} - {planted} == changed
    assert everything(graph, planted) == before


def test_a_merge_keeps_a_correction_and_says_so(graph: Graph, planted: str) -> None:
    _correct(graph, claim(planted, "ann", "sea"))
    apart, count = everything(graph, planted), counts(graph, planted)
    for _ in range(2):
        merging.merge(graph, planted, "sea", "ocean", actor="ann")
        found = {of: stands for owner, of, stands in state(graph, planted) if owner == "ann"}
        assert found == {"sea": False, "ocean": False, "water": False, "whales": True, "animals": True}
        (wrong,) = corrections.about(graph, planted, Label.USER, "ann").corrections
        assert wrong == Correction("interest", "water", "water", "eve", "a present"), "no intent leads to it any more"
    now = counts(graph, planted)
    assert now[planted] > count[planted], "no page shows an answer of before"
    assert (now["ann"], now["ben"]) == (count["ann"] + 1, count["ben"]), "a list that was made before is out of date"
    merging.unmerge(graph, planted, "sea")
    assert everything(graph, planted) == apart


def test_a_model_of_before_a_merge_is_told_what_it_knows(graph: Graph, planted: str) -> None:
    graph.execute("MATCH (:User {dataset: $d})-[h:HAS_INTEREST]->() DELETE h", d=planted)  # the intents alone are shown
    _correct(graph, claim(planted, "ann", "ocean"))
    merging.merge(graph, planted, "ocean", "sea")
    merging.merge(graph, planted, "sea", "war")
    merging.merge(graph, planted, "whales", "war")
    found = corrections.about(graph, planted, Label.USER, "ann")
    assert [each.id for each in found.corrections] == ["war"]
    assert found.evidence == Evidence(interests=[], intents=["war", "ocean", "sea", "whales"])


def test_what_jobs_find_later_keeps_to_what_was_said(graph: Graph, planted: str) -> None:
    """The same job, and another one, find both phrases again after they were merged, then one of them no more."""
    _correct(graph, claim(planted, "ann", "sea"))
    merging.merge(graph, planted, "sea", "ocean")
    for run in ("first", "second", "second"):
        find(graph, planted, run, ["sea", "ocean", "war"])
        assert standing(graph, planted) == {"war"}
    merging.unmerge(graph, planted, "sea")
    assert standing(graph, planted) == {"ocean", "war"}, "no more than what was said is left out"
    merging.merge(graph, planted, "sea", "ocean")
    for run in ("first", "second"):
        find(graph, planted, run, ["ocean"])
    assert standing(graph, planted) == set()
    assert ("ann", "sea", False) in state(graph, planted), "what shows it is still there, and so is what was said"


def test_what_a_job_pruned_does_not_come_back_beside_what_was_said(graph: Graph, planted: str) -> None:
    """A job that chooses among intents left one out, and keeps it now; somebody corrected what it is merged with."""
    find(graph, planted, "first", ["sea", "ocean", "war"])
    find(graph, planted, "chooses", [])
    graph.execute(
        "MATCH (:User {uid: $d + ':ann'})-[e:POSSESSES]->(n:Intent) WHERE n.id IN ['ocean', 'war'] "
        "SET e.pruned_by = $d + ':chooses', e.pruned_reason = 'far'",
        d=planted,
    )
    _correct(graph, claim(planted, "ann", "sea"))
    merging.merge(graph, planted, "sea", "ocean")
    row = {"subject": uid(planted, "chooses/ann"), "target": uid(planted, "ann"), "label": "User", "pruned": []}
    kept = dict.fromkeys(("lines", "items", "rounds", "sufficient", "completion", "reason"))
    run = uid(planted, "chooses")
    graph.write("keep_subgraphs", dataset=planted, run=run, job="chooses", lease="mine", rows=[row | kept])
    assert standing(graph, planted) == {"war"}
    merging.unmerge(graph, planted, "sea")
    graph.write("keep_subgraphs", dataset=planted, run=run, job="chooses", lease="mine", rows=[row | kept])
    assert standing(graph, planted) == {"ocean", "war"}


def standing(graph: Graph, dataset: str) -> set[str]:
    """The phrases that Ann has."""
    return {of for owner, of, stands in state(graph, dataset) if owner == "ann" and stands} & set(LEADS)

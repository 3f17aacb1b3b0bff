"""The glossary in the graph, and in the prompts of texts that have its terms."""

from __future__ import annotations

from cikg.extraction import job as jobs
from cikg.extraction import ledger

from .conftest import Workplace
from .test_item_intents import extract


def test_terms_are_explained_once_and_reach_the_prompts_of_the_items_that_have_them(place: Workplace) -> None:
    place.planted(4)
    graph, dataset, llm = place.graph, place.dataset, place.standin()
    settings = place.settings(llm)
    texts = {"0-0": "An RPG (role-playing game).", "0-1": "Another RPG. For NATO.", "1-1": "No RPGs."}
    graph.execute("UNWIND keys($t) AS id MATCH (i:Item {uid: $d + ':' + id}) SET i.text = $t[id]", d=dataset, t=texts)
    stands = extract(graph, dataset, settings, "glossary")
    assert (stands["done"], llm.calls) == (3, 3), "NATO and RPGs were asked about, too"
    entries = graph.execute(
        "MATCH (p:Profile)-[e:DESCRIBES]->(d:Dataset {uid: $d}) MATCH (c:Completion {uid: e.completion}) "
        "RETURN p.name AS term, p.text AS meaning, e.evidence AS evidence, e.run AS run, c.prompt AS prompt",
        d=dataset,
    )
    known = {"term": "RPG", "meaning": "role-playing game", "evidence": ["0-0", "0-1"]}
    assert entries == [{**known, "run": stands["run"], "prompt": "glossary"}]
    extract(graph, dataset, settings, "glossary")
    assert llm.calls == 3, "nothing changed, nothing is asked"
    for job in ("item_intents", "user_intents"):
        extract(graph, dataset, settings, job)
    asked = llm.calls
    # Another meaning: the items that have the term are asked about again, with the readers who chose them.
    graph.execute("MATCH (p:Profile {uid: $u}) SET p.text = 'rocket-propelled grenade'", u=f"{dataset}:glossary/RPG")
    extract(graph, dataset, settings, "item_intents")
    assert llm.calls == asked + 2
    readers = graph.execute(
        "MATCH (u:User)-[:INTERACTED {split: 'train'}]->(i:Item) WHERE i.uid IN $i RETURN DISTINCT u.id AS u",
        i=[f"{dataset}:0-0", f"{dataset}:0-1"],
    )
    extract(graph, dataset, settings, "user_intents")
    assert llm.calls == asked + 2 + len(readers) > asked + 2
    # Nothing explains it any more: the entry goes, and so do its words from the prompts.
    graph.execute("MATCH (i:Item {uid: $d + ':0-0'}) SET i.text = 'An RPG.'", d=dataset)
    extract(graph, dataset, settings, "glossary")
    assert graph.many("glossary_entries", dataset=dataset) == []


def test_an_entry_goes_with_its_term_and_comes_back_with_it(place: Workplace) -> None:
    place.planted(1)
    graph, dataset, llm = place.graph, place.dataset, place.standin()
    settings = place.settings(llm)

    def texts(told: dict[str, str]) -> list[str]:
        graph.execute(
            "UNWIND keys($t) AS id MATCH (i:Item {uid: $d + ':' + id}) SET i.text = $t[id]", d=dataset, t=told
        )
        extract(graph, dataset, settings, "glossary")
        return [row["term"] for row in graph.many("glossary_entries", dataset=dataset)]

    both = {"0-0": "An RPG (role-playing game).", "0-1": "An MMO (massively multiplayer game)."}
    assert texts(both) == ["MMO", "RPG"]
    version = graph.execute("MATCH (d:Dataset {uid: $d}) RETURN d.version AS v", d=dataset)
    graph.execute("MATCH (i:Item {uid: $d + ':0-0'}) SET i.text = 'A game.'", d=dataset)
    ledger.plan(graph, jobs.job("glossary"), dataset, "stand-in")
    assert len(graph.many("glossary_entries", dataset=dataset)) == 2, "to plan changes nothing"
    assert graph.execute("MATCH (d:Dataset {uid: $d}) RETURN d.version AS v", d=dataset) == version
    assert texts({"0-0": "A game."}) == ["MMO"]
    version = graph.execute("MATCH (d:Dataset {uid: $d}) RETURN d.version AS v", d=dataset)
    assert texts({}) == ["MMO"]
    assert graph.execute("MATCH (d:Dataset {uid: $d}) RETURN d.version AS v", d=dataset) == version, "nothing changed"
    asked = llm.calls
    assert texts(both) == ["MMO", "RPG"]
    assert llm.calls == asked, "its answer was kept"

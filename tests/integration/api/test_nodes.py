"""What a dataset holds, over the API: lists that are filtered as on their pages, and what pages say of one node."""

from __future__ import annotations

import pytest

from cikg.graph import Graph
from tests import planted
from tests.integration.api.conftest import Call


@pytest.mark.parametrize(
    ("listed", "count"),
    [
        (("users", " READER 1"), 11),
        (("users", "quirk"), 1),
        (("items", "Garden Book"), 6),
        (("items", "sea-3"), 1),
        (("entities", "of SEA"), 1),
        (("intents", "garden"), 1),
        (("interests", "sea"), 1),
        (("items", "absent"), 0),
    ],
)
def test_a_list_is_filtered_as_on_its_page(
    call: Call, planted_dataset: str, listed: tuple[str, str], count: int
) -> None:
    """By part of a name or an id, whatever the case, over all pages."""
    kind, text = listed
    path, found = f"/datasets/{planted_dataset}/{kind}?limit=4&q={text}", []
    while path:
        answer = call("GET", path.removeprefix("/api/v1"))
        found += [row["id"] for row in answer.json["items"]]
        path = answer.headers["Link"].partition("<")[2].partition(">")[0] if "Link" in answer.headers else ""
    every = call("GET", f"/datasets/{planted_dataset}/{kind}?limit=500").json["items"]
    wanted = text.strip().lower()
    assert found == [row["id"] for row in every if wanted in row["id"].lower() or wanted in row["name"].lower()]
    assert len(found) == count


def test_datasets_are_filtered_and_counted(call: Call, planted_dataset: str) -> None:
    assert [row["id"] for row in call("GET", f"/datasets?q={planted_dataset.upper()}").json["items"]] == [
        planted_dataset
    ]
    assert call("GET", "/datasets?q=no such dataset").json == {"items": [], "next": None}
    found = call("GET", f"/datasets/{planted_dataset}").json
    counted = {name: found[name] for name in ("users", "items", "interactions", "entities", "facts", "interests")}
    assert counted == {"users": 41, "items": 13, "interactions": 41 * 6, "entities": 3, "facts": 13, "interests": 2}


def test_an_item_shows_its_intents_facts_and_users(call: Call, graph: Graph, planted_dataset: str) -> None:
    graph.execute(
        "MATCH (i:Item {uid: $d + ':garden-1'}), (n:Intent {uid: $d + ':gardens'}) "
        "MERGE (i)-[:SATISFIES {round: 2}]->(n)",
        d=planted_dataset,
    )
    found = call("GET", f"/datasets/{planted_dataset}/items/garden-1").json
    assert found["intents"] == [{"id": "gardens", "name": "gardens", "round": 2, "interests": ["gardens"]}]
    (fact,) = found["facts"]
    assert fact["shown"] == [{"id": "author of garden", "name": "Author of garden", "kind": "Entity"}]
    gardeners = [reader for reader, kind in planted.readers().items() if kind == "garden"]
    assert found["users"] == sum(planted.missing(reader) != "garden-1" for reader in gardeners)
    assert found["text"] == "About garden-1."


def test_a_user_shows_what_was_written_about_them(call: Call, graph: Graph, planted_dataset: str) -> None:
    path = f"/datasets/{planted_dataset}/users"
    assert call("GET", f"{path}/3").json["profile"] is None
    graph.execute(
        "MATCH (u:User {uid: $d + ':4'}) CREATE (:Profile {uid: $d + ':about 4', id: 'about 4', dataset: $d, "
        "text: 'Likes roses.'})-[:DESCRIBES {round: 1}]->(u)",
        d=planted_dataset,
    )
    assert call("GET", f"{path}/4").json["profile"] == "Likes roses."


def test_answers_of_the_llm_can_be_read(call: Call, planted_dataset: str) -> None:
    dataset = f"/datasets/{planted_dataset}"
    (subject,) = call("GET", f"{dataset}/jobs/extraction/subjects?state=failed").json["items"]
    answer = call("GET", f"{dataset}/completions/{subject['completion']}").json
    assert (answer["id"], answer["model"], answer["prompt_tokens"]) == ("answer", "stand-in", 10)
    assert answer["asked"] == "History of <b>one</b> reader"
    assert answer["text"].startswith('{"interests": []}')
    trail = call("GET", f"{dataset}/trails/1").json
    assert (trail["id"], trail["name"], trail["kind"]) == ("1", "Reader 1", "User")
    (stage,) = trail["stages"]
    assert (stage["run"], stage["state"], stage["error"]) == ("extraction", "failed", "the LLM timed out")
    assert [turn["answer"] for turn in stage["turns"]] == [answer["text"]]
    for absent in ("completions/absent", "trails/absent"):
        assert call("GET", f"{dataset}/{absent}").status_code == 404

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cikg.graph.difference import Change, diff
from cikg.graph.export import KINDS
from tests.unit.graph.planted import COLUMNS, ENDS, Content, made

BEFORE = Content(
    nodes={
        "users": {"1": "Ann", "2": "Ben"},
        "items": {"e": "Emma", "d": "Dune"},
        "entities": {"a": "Austen"},
        "intents": {"wit": "wit"},
        "interests": {"0": "manners"},
    },
    texts={"items.text": {"e": "A comedy"}, "users.profile": {"1": "Likes wit"}},
    edges={
        "interactions": {("1", "e"): {"split": 0, "rating": 4.0}, ("2", "d"): {"split": 0}},
        "facts": {("e", "AUTHOR", "a"): {}, ("d", "LIKE", "e"): {}},
        "possesses": {("1", "wit"): {"round": 1}},
        "has_interest": {("1", "0"): {}},
        "member_of": {("wit", "0"): {}},
    },
    vectors={"intents.lexical_2": {"wit": [1.0, 0.0]}},
)
AFTER = Content(
    nodes={
        "users": {"0": "Zoe", "1": "Ann", "2": "Benjamin"},
        "items": {"d": "Dune", "e": "Emma"},
        "entities": {},
        "intents": {"wit": "wit", "sand": "sand"},
        "interests": {"0": "manners"},
    },
    texts={"items.text": {"e": "A novel"}, "users.profile": {"1": "Likes wit"}},
    edges={
        "interactions": {("1", "e"): {"split": 1, "rating": 4.0}, ("2", "d"): {"split": 0}, ("0", "d"): {"split": 0}},
        "facts": {("d", "LIKE", "e"): {}, ("e", "LIKE", "d"): {}},
        "possesses": {("1", "wit"): {"round": 2}, ("0", "sand"): {"round": 1}},
        "has_interest": {("1", "0"): {"from_evidence": True}},
        "member_of": {("wit", "0"): {}},
    },
    vectors={"intents.lexical_2": {"wit": [0.0, 1.0], "sand": [1.0, 1.0]}},
)


def test_every_change_is_named(tmp_path: Path) -> None:
    found = diff(made(tmp_path, BEFORE), made(tmp_path, AFTER))
    assert found.nodes == {
        "users": Change(1, 0, 1, ("Zoe (0)",), (), ("Benjamin (2)",)),
        "items": Change(0, 0, 1, (), (), ("Emma (e)",)),
        "entities": Change(0, 1, 0, (), ("Austen (a)",)),
        "intents": Change(1, 0, 0, ("sand",)),
    }
    assert found.edges == {
        "interactions": Change(1, 0, 1, ("Zoe (0) → Dune (d)",), (), ("Ann (1) → Emma (e)",)),
        "facts": Change(1, 1, 0, ("Emma (e) LIKE Dune (d)",), ("Emma (e) AUTHOR Austen (a)",)),
        "possesses": Change(1, 0, 1, ("Zoe (0) → sand",), (), ("Ann (1) → wit",)),
    }
    assert found.relations == {
        "AUTHOR": Change(0, 1, 0, (), ("Emma (e) AUTHOR Austen (a)",)),
        "LIKE": Change(1, 0, 0, ("Emma (e) LIKE Dune (d)",)),
    }
    assert found.embeddings == {"intents/lexical_2": Change(1, 0, 1, ("sand",), (), ("wit",))}
    assert json.loads(json.dumps(found.as_dict()))["edges"]["facts"]["removed"] == 1


def test_as_many_examples_as_asked_for(tmp_path: Path) -> None:
    many = Content(nodes={"users": {str(number): f"Reader {number}" for number in range(9)}})
    found = diff(made(tmp_path, Content()), made(tmp_path, many), examples=2)
    assert found.nodes["users"] == Change(9, 0, 0, ("Reader 0 (0)", "Reader 1 (1)"))


IDS = st.sampled_from(["1", "2", "10", "x", "é", "书"])
TEXTS = st.sampled_from(["", "one", "two"])


@st.composite
def contents(draw: st.DrawFn) -> Content:
    """A small dataset; items and entities share no id."""
    nodes = {kind: draw(st.dictionaries(IDS, TEXTS, max_size=4)) for kind in KINDS}
    nodes["entities"] = {f"entity {one}": name for one, name in nodes["entities"].items()}
    nodes["things"] = nodes["items"] | nodes["entities"]
    edges = {}
    for table, (source, target) in ENDS.items():
        ends = [st.sampled_from(sorted(nodes[kind])) for kind in (source, target) if nodes[kind]]
        if table == "facts":
            ends.insert(1, st.sampled_from(["AUTHOR", "LIKE"]))
        said = st.fixed_dictionaries(
            {"round": st.integers(0, 2), "rating": st.sampled_from([1.0, float("nan")]), "split": st.integers(0, 2)}
        )
        if len(ends) == (3 if table == "facts" else 2):
            edges[table] = draw(st.dictionaries(st.tuples(*ends), said, max_size=6))
    vectors = draw(st.dictionaries(st.sampled_from(sorted(nodes["items"]) or [""]), st.just([1.0]), max_size=2))
    del nodes["things"]
    return Content(nodes=nodes, edges=edges, vectors={"items.lexical_1": vectors} if nodes["items"] and vectors else {})


quickly = hypothesis_settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@quickly
@given(first=contents(), second=contents())
def test_a_difference_equals_that_of_sets_and_is_mirrored(tmp_path: Path, first: Content, second: Content) -> None:
    before, after = made(tmp_path, first), made(tmp_path, second)
    found, back = diff(before, after), diff(after, before)
    for kind in KINDS:
        change = found.nodes.get(kind, Change())
        old, new = first.nodes[kind], second.nodes[kind]
        assert (change.added, change.removed) == (len(new.keys() - old.keys()), len(old.keys() - new.keys()))
        assert change.changed == sum(old[one] != new[one] for one in old.keys() & new.keys())
    for table, columns in COLUMNS.items():
        change = found.edges.get(table, Change())
        old, new = first.edges.get(table, {}), second.edges.get(table, {})
        assert (change.added, change.removed) == (len(new.keys() - old.keys()), len(old.keys() - new.keys()))
        assert change.changed == sum(
            any(repr(old[one].get(name)) != repr(new[one].get(name)) for name in columns)
            for one in old.keys() & new.keys()
        )
    facts = found.edges.get("facts", Change())
    assert sum(change.added for change in found.relations.values()) == facts.added
    assert sum(change.removed for change in found.relations.values()) == facts.removed
    for group in fields(found):
        one, other = getattr(found, group.name), getattr(back, group.name)
        assert one.keys() == other.keys()
        for kind in one:
            assert (one[kind].added, one[kind].added_examples) == (other[kind].removed, other[kind].removed_examples)
            assert (one[kind].removed, one[kind].removed_examples) == (other[kind].added, other[kind].added_examples)
            assert one[kind].changed == other[kind].changed


@quickly
@given(content=contents())
def test_a_snapshot_does_not_differ_from_itself(tmp_path: Path, content: Content) -> None:
    snapshot = made(tmp_path / "a", content)
    assert not diff(snapshot, snapshot)
    assert not diff(snapshot, made(tmp_path / "b", content))

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cikg.errors import NotFoundError
from cikg.graph.hetero import to_hetero, to_link_splits
from cikg.graph.snapshot import Snapshot
from tests.unit.graph.planted import Content, made

CONTENT = Content(
    nodes={
        "users": {"0": "Ann", "1": "Ben"},
        "items": {"a": "Emma", "b": "Dune", "c": "Ivanhoe"},
        "entities": {"x": "Austen"},
        "intents": {"wit": "wit", "sand": "sand"},
        "interests": {"t": "manners"},
    },
    edges={
        "interactions": {
            ("0", "a"): {"split": 0, "rating": 5.0, "at": 7}, ("0", "b"): {"split": 1}, ("0", "c"): {"split": 2},
            ("1", "a"): {"split": 2}, ("1", "c"): {"split": 0, "rating": 1.0},
        },
        "facts": {("a", "AUTHOR", "x"): {}, ("x", "WROTE", "a"): {}, ("b", "LIKE", "c"): {}, ("c", "LIKE", "a"): {}},
        "has_interest": {("1", "t"): {"from_evidence": False}},
        "possesses": {("0", "wit"): {"round": 2}, ("1", "sand"): {"round": 1}},
        "satisfies": {("c", "wit"): {"round": 1}},
        "member_of": {("wit", "t"): {}},
    },
    vectors={
        "items.lexical_2": {"a": [1.0, 2.0], "c": [3.0, 4.0]},
        "users.lexical_2": {"1": [5.0, 6.0]},
        "user_profiles.lexical_2": {"0": [7.0, 8.0]},
        "user_profiles.other_1": {"0": [9.0]},
    },
)  # fmt: skip


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return made(tmp_path, CONTENT)


def test_every_edge_has_its_type(snapshot: Snapshot) -> None:
    data = to_hetero(snapshot)
    found = {"/".join(kind): data[kind].edge_index.tolist() for kind in data.edge_types}
    assert found == {
        "user/interacted/item": [[0, 0, 0, 1, 1], [0, 1, 2, 0, 2]],
        "user/has_interest/interest": [[1], [0]],
        "user/possesses/intent": [[0, 1], [1, 0]],
        "item/satisfies/intent": [[2], [1]],
        "intent/member_of/interest": [[1], [0]],
        "item/author/entity": [[0], [0]],
        "entity/wrote/item": [[0], [0]],
        "item/like/item": [[1, 2], [2, 0]],
    }
    assert data["user", "possesses", "intent"].round.tolist() == [2, 1]
    assert {kind: data[kind].num_nodes for kind in data.node_types} == {
        "user": 2, "item": 3, "entity": 1, "intent": 2, "interest": 1,
    }  # fmt: skip
    assert "x" not in data["item"]
    assert data.validate()


def test_an_embedding_becomes_features(snapshot: Snapshot) -> None:
    data = to_hetero(snapshot, "lexical_2")
    assert data["item"].x.tolist() == [[1, 2], [0, 0], [3, 4]]
    assert data["item"].x_mask.tolist() == [True, False, True]
    assert data["user"].x.tolist() == [[0, 0], [5, 6]], "vectors of its own come before those of profiles"
    assert "x" not in data["entity"]
    assert data.validate()
    of_profiles = to_hetero(snapshot, "other_1")
    assert of_profiles["user"].x.tolist() == [[9], [0]]
    assert of_profiles["user"].x_mask.tolist() == [True, False]
    with pytest.raises(NotFoundError, match=r"'absent_3'.*lexical_2, other_1"):
        to_hetero(snapshot, "absent_3")


def test_links_to_predict_pass_no_message(snapshot: Snapshot) -> None:
    splits = to_link_splits(snapshot, "lexical_2")
    passed = {"train": {(0, 0), (1, 2)}, "valid": {(0, 0), (1, 2)}, "test": {(0, 0), (1, 2), (0, 1)}}
    asked = {"train": {(0, 0), (1, 2)}, "valid": {(0, 1)}, "test": {(0, 2), (1, 0)}}
    for name, data in splits._asdict().items():
        edge = data["user", "interacted", "item"]
        assert set(map(tuple, edge.edge_index.T.tolist())) == passed[name]
        assert edge.edge_index.size(1) == len(edge.rating) == len(edge.time) == len(passed[name])
        assert set(map(tuple, edge.edge_label_index.T.tolist())) == asked[name]
        assert torch.equal(edge.edge_label, torch.ones(len(asked[name])))
        assert "train_mask" not in edge
        assert data["item", "like", "item"].edge_index.size(1) == 2
        assert data.validate()
    assert to_hetero(snapshot)["user", "interacted", "item"].edge_index.size(1) == 5

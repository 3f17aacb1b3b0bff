from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from cikg.graph.snapshot import Snapshot
from cikg.recommend.data.views import SymmetricGraph, TrainingData, View, graph_view, pairs, training_data
from cikg.schema import SplitCode
from tests.unit.recommend.planted import write_snapshot

TRAIN, VALID, TEST = SplitCode


@pytest.fixture
def small(tmp_path: Path) -> Snapshot:
    """3 users, 4 items, 2 entities, 2 interests; 4 train, 1 valid, 1 test; 4 facts, two between the same two things."""
    return write_snapshot(
        tmp_path,
        sizes=(3, 4, 2, 2),
        interactions=[(0, 0, TRAIN), (0, 1, VALID), (1, 1, TRAIN), (1, 2, TRAIN), (2, 3, TRAIN), (2, 0, TEST)],
        facts=[(0, 0, 4), (1, 0, 4), (2, 1, 5), (2, 0, 5)],
        has_interest=[(0, 0), (1, 1), (2, 1)],
    )


def edges(graph: SymmetricGraph) -> set[tuple[int, int]]:
    return set(zip(graph.rows.tolist(), graph.neighbours.tolist(), strict=True))


USERS_ITEMS = {(0, 3), (1, 4), (1, 5), (2, 6)}
ITEMS_ENTITIES = {(3, 7), (4, 7), (5, 8)}
USERS_INTERESTS = {(0, 9), (1, 10), (2, 10)}


@pytest.mark.parametrize(
    ("view", "expected", "nodes"),
    [
        (View.CG, USERS_ITEMS, 7),
        (View.CIG, USERS_ITEMS | USERS_INTERESTS, 11),
        (View.CKG, USERS_ITEMS | ITEMS_ENTITIES, 9),
        (View.CIKG, USERS_ITEMS | ITEMS_ENTITIES | USERS_INTERESTS, 11),
    ],
)
def test_each_view_has_exactly_its_edges(small: Snapshot, view: View, expected: set, nodes: int) -> None:
    graph = graph_view(training_data(small, (TRAIN,), VALID), view)
    assert edges(graph) == expected | {(target, source) for source, target in expected}
    assert graph.edges == 2 * len(expected)
    assert graph.nodes == nodes


def test_building_one_view_leaves_another_as_it_was(small: Snapshot) -> None:
    data = training_data(small, (TRAIN,), VALID)
    before = edges(graph_view(data, View.CG))
    graph_view(data, View.CIKG, self_loops=True)
    assert edges(graph_view(data, View.CG)) == before


def test_a_refit_adds_the_valid_edges_alone(small: Snapshot) -> None:
    graph = graph_view(training_data(small, (TRAIN, VALID), None), View.CG)
    assert edges(graph) == {each for a, b in USERS_ITEMS | {(0, 4)} for each in ((a, b), (b, a))}


def test_self_loops_are_one_a_node(small: Snapshot) -> None:
    graph = graph_view(training_data(small, (TRAIN,), VALID), View.CG, self_loops=True)
    assert graph.edges == 2 * len(USERS_ITEMS) + 7
    assert graph.undirected == len(USERS_ITEMS) + 7


def test_the_matrix_is_symmetric_and_normalised() -> None:
    random = np.random.default_rng(0)
    graph = SymmetricGraph.of(9, random.integers(0, 9, 40), random.integers(0, 9, 40))
    dense = np.zeros((9, 9))
    dense[graph.rows.numpy(), graph.neighbours.numpy()] = graph.weights.numpy()
    degree = (dense > 0).sum(1)
    assert np.array_equal(dense, dense.T)
    assert not dense.diagonal().any()
    assert dense[dense > 0] == pytest.approx((degree[:, None] * degree[None, :])[dense > 0] ** -0.5)


def test_both_directions_of_an_edge_share_a_number() -> None:
    random = np.random.default_rng(0)
    graph = SymmetricGraph.of(9, random.integers(0, 9, 40), random.integers(0, 9, 40), self_loops=True)
    ends: dict[int, set[frozenset[int]]] = {}
    for row, column, number in zip(graph.rows.tolist(), graph.neighbours.tolist(), graph.mirror.tolist(), strict=True):
        ends.setdefault(number, set()).add(frozenset((row, column)))
    assert sorted(ends) == list(range(graph.undirected))
    assert all(len(pair) == 1 for pair in ends.values())


def test_training_data_hold_no_test_interaction(small: Snapshot) -> None:
    data = training_data(small, (TRAIN,), VALID)
    held = {(2, 0)}
    for part in (data.fit, data.selection):
        assert not held & set(zip(part.user_index.tolist(), part.item_index.tolist(), strict=True))
    assert not [field.name for field in fields(TrainingData) if "test" in field.name]


def test_pairs_are_sorted_and_cut_by_user(small: Snapshot) -> None:
    everything = pairs(small, *SplitCode)
    assert everything.offsets(3).tolist() == [0, 2, 4, 6]
    assert everything.item_index.tolist() == [0, 1, 1, 2, 0, 3]


@pytest.mark.parametrize("from_evidence", [True, False])
def test_interests_without_evidence_are_warned_of(tmp_path: Path, from_evidence: bool) -> None:
    snapshot = write_snapshot(
        tmp_path,
        sizes=(1, 2, 0, 1),
        interactions=[(0, 0, TRAIN), (0, 1, VALID)],
        has_interest=[(0, 0)],
        from_evidence=from_evidence,
    )
    warnings = training_data(snapshot, (TRAIN,), VALID).warnings
    assert bool(warnings) is not from_evidence

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cikg.graph.snapshot import Snapshot
from cikg.recommend.data.pointwise import Pointwise, pointwise
from cikg.schema import SplitCode
from tests.unit.recommend.planted import write_snapshot

TRAIN, VALID, TEST = SplitCode
READ = [(0, 0, TRAIN), (0, 2, TRAIN), (0, 3, TEST), (1, 1, TRAIN), (1, 0, VALID), *((2, i, TRAIN) for i in range(4))]


@pytest.fixture
def small(tmp_path: Path) -> Snapshot:
    """3 users, 4 items, 2 entities, 2 interests; user 2 has read everything."""
    return write_snapshot(
        tmp_path,
        sizes=(3, 4, 2, 2),
        interactions=READ,
        facts=[(0, 0, 4), (0, 1, 4), (1, 0, 5), (1, 1, 0), (4, 0, 5)],
        has_interest=[(0, 1), (0, 0), (2, 1)],
    )


def drawn(found: Pointwise) -> set[tuple[int, int]]:
    negative = found.label == 0
    return set(zip(found.user_index[negative].tolist(), found.item_index[negative].tolist(), strict=True))


def test_positives_are_the_splits_and_negatives_anything_else(small: Snapshot) -> None:
    found = pointwise(small, (TRAIN,), negatives=50)
    positive = found.label == 1
    assert positive.sum() == 7
    assert list(zip(found.user_index[positive], found.item_index[positive], strict=True)) == sorted(
        (user, item) for user, item, split in READ if split == TRAIN
    )
    assert len(found) == 7 + 50 * 3, "user 2 has all items, and gets no negatives"
    assert drawn(found) == {(0, 1), (0, 3), (1, 0), (1, 2), (1, 3)}, "those of other splits are not spared"
    assert drawn(pointwise(small, (TRAIN, VALID), negatives=50)) == {(0, 1), (0, 3), (1, 2), (1, 3)}
    assert not drawn(pointwise(small, (TRAIN,), negatives=0))


def test_a_draw_is_uniform_and_seeded(small: Snapshot) -> None:
    found = pointwise(small, (TRAIN,), negatives=3000, seed=1)
    of_one = found.item_index[(found.label == 0) & (found.user_index == 1)]
    counts = np.bincount(of_one, minlength=4)
    assert counts[1] == 0
    assert counts[[0, 2, 3]] == pytest.approx(1000, abs=5 * (1000 * 2 / 3) ** 0.5)
    again, other = (pointwise(small, (TRAIN,), negatives=3000, seed=seed) for seed in (1, 2))
    assert np.array_equal(found.item_index, again.item_index)
    assert not np.array_equal(found.item_index, other.item_index)


def test_features_are_interests_and_facts(small: Snapshot) -> None:
    found = pointwise(small, (TRAIN,))
    assert [found.user_features.of(user).tolist() for user in range(3)] == [[0, 1], [], [1]]
    assert found.user_features.total == 2
    features = [found.item_features.of(item).tolist() for item in range(4)]
    assert [len(each) for each in features] == [2, 2, 0, 0], "facts about entities belong to no item"
    assert len({feature for each in features for feature in each}) == found.item_features.total == 4


def test_two_items_share_the_feature_of_an_equal_fact(tmp_path: Path) -> None:
    snapshot = write_snapshot(
        tmp_path, sizes=(1, 2, 1, 0), interactions=[(0, 0, TRAIN)], facts=[(0, 0, 2), (1, 0, 2), (1, 1, 2)]
    )
    features = pointwise(snapshot, (TRAIN,)).item_features
    assert set(features.of(0)) < set(features.of(1))
    assert features.total == 2

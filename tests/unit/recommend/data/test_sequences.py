from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cikg.graph.export import NEVER
from cikg.graph.snapshot import Snapshot
from cikg.recommend.data.sequences import PADDING, sequences
from cikg.schema import SplitCode
from tests.unit.recommend.planted import write_snapshot

TRAIN, VALID, TEST = SplitCode
READ = [(0, 0, TRAIN), (0, 1, TRAIN), (0, 2, VALID), (0, 3, TEST), (0, 4, TEST), (2, 1, TRAIN), (2, 4, TRAIN)]
"""Sorted, as they stand in the columns; user 1 did nothing."""


def planted(folder: Path, at: list[int] | None) -> Snapshot:
    columns = {} if at is None else {"interactions.at": np.array(at)}
    return write_snapshot(folder, sizes=(3, 5, 0, 0), interactions=READ, columns=columns)


def test_histories_and_targets_are_in_the_order_of_time(tmp_path: Path) -> None:
    snapshot = planted(tmp_path, [20, 10, 5, 99, 98, 7, 7])
    found = sequences(snapshot, (TRAIN,), TEST)
    assert len(found) == 3
    assert found.offsets.tolist() == [0, 2, 2, 4]
    assert found.item_index.tolist() == [1, 0, 1, 4], "equal times come in the order of the items"
    assert found.at.tolist() == [10, 20, 7, 7]
    assert found.target_offsets.tolist() == [0, 2, 2, 2]
    assert found.target_index.tolist() == [4, 3]
    assert found.timed
    assert found.history(0).tolist() == [1, 0]
    both = sequences(snapshot, (TRAIN, VALID), None)
    assert both.history(0).tolist() == [2, 1, 0]
    assert not len(both.target_index)


def test_what_was_not_asked_for_is_not_there(tmp_path: Path) -> None:
    found = sequences(planted(tmp_path, None), (TRAIN,), VALID)
    assert not {3} & {*found.item_index.tolist(), *found.target_index.tolist()}, "item 3 is in test alone"
    assert not found.timed
    assert found.at.tolist() == [NEVER] * 4


def test_rows_are_padded_at_their_beginning(tmp_path: Path) -> None:
    found = sequences(planted(tmp_path, [20, 10, 5, 99, 98, 7, 7]), (TRAIN,), TEST)
    assert found.padded(3).tolist() == [[PADDING, 1, 0], [PADDING] * 3, [PADDING, 1, 4]]
    assert found.padded(1).tolist() == [[0], [PADDING], [4]]
    prefixes, following = found.next_items(2)
    assert prefixes.tolist() == [[PADDING, 1], [PADDING, 1]]
    assert following.tolist() == [0, 4]
    assert sequences(planted(tmp_path, None), (), None).padded(2).tolist() == [[PADDING, PADDING]] * 3


@hypothesis_settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    read=st.dictionaries(
        st.tuples(st.integers(0, 3), st.integers(0, 6)), st.tuples(st.sampled_from(SplitCode), st.integers(0, 9))
    ),
    length=st.integers(1, 5),
)
def test_sequences_equal_their_definition(
    tmp_path: Path, read: dict[tuple[int, int], tuple[SplitCode, int]], length: int
) -> None:
    rows = sorted((*pair, split) for pair, (split, _) in read.items())
    at = np.array([read[user, item][1] for user, item, _ in rows], dtype=np.int64)
    snapshot = write_snapshot(
        tmp_path, sizes=(4, 7, 0, 0), interactions=rows, columns={"interactions.at": at} if rows else {}
    )
    found = sequences(snapshot, (TRAIN, VALID), TEST)
    examples = []
    for user in range(4):
        expected = sorted((read[user, item][1], item) for other, item, split in rows if other == user and split != TEST)
        history = [item for _, item in expected]
        assert found.history(user).tolist() == history
        assert found.padded(length)[user].tolist() == ([PADDING] * length + history)[-length:]
        examples += [(([PADDING] * length + history[:end])[-length:], history[end]) for end in range(1, len(history))]
    prefixes, following = found.next_items(length)
    assert list(zip(prefixes.tolist(), following.tolist(), strict=True)) == examples
    assert len(found.target_index) == sum(split == TEST for _, _, split in rows)


@pytest.mark.parametrize("known", [(TRAIN,), (TRAIN, VALID), (TRAIN, VALID, TEST)])
def test_every_interaction_is_counted_once(tmp_path: Path, known: tuple[SplitCode, ...]) -> None:
    found = sequences(planted(tmp_path, None), known, None)
    assert len(found.item_index) == sum(split in known for *_, split in READ) == found.offsets[-1]

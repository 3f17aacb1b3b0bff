from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from cikg.graph.export import Places, _once


@given(
    nodes=st.lists(st.integers(0, 40) | st.integers(0, 2**40), unique=True),
    asked=st.lists(st.integers(0, 45) | st.integers(0, 2**40)),
)
@example(nodes=[5, 3, 4], asked=[3, 4, 5, 6, 2])  # a table
@example(nodes=[10**9, 3, 4], asked=[3, 4, 10**9, 5, 2**40])  # a search
def test_a_place_is_the_position_in_the_list(nodes: list[int], asked: list[int]) -> None:
    found = Places(np.array(nodes, dtype=np.int64)).find(np.array([*asked, *nodes], dtype=np.int64))
    assert found.dtype == np.int32
    assert found.tolist() == [nodes.index(node) if node in nodes else -1 for node in [*asked, *nodes]]


@given(rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2))), ranked=st.booleans())
def test_each_pair_once_and_the_best_of_it(rows: list[tuple[int, int, int]], ranked: bool) -> None:
    first, second, round_ = (np.array(column, dtype=np.int32) for column in zip(*rows, strict=True)) if rows else (
        np.empty(0, dtype=np.int32),
    ) * 3  # fmt: skip
    columns = {"a": first, "b": second, "round": round_}
    found = _once(columns, ("a", "b"), (4, 4), round_ if ranked else None)
    best = {}
    for a, b, value in sorted(rows) if ranked else rows:
        best.setdefault((a, b), value)
    assert list(zip(found["a"].tolist(), found["b"].tolist(), found["round"].tolist(), strict=True)) == [
        (*pair, best[pair]) for pair in sorted(best)
    ]

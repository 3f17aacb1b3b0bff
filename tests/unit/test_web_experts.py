from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.parts.experts import HUES, experts_of, parts_of

shares = st.dictionaries(st.sampled_from(["linear", "graph", "popularity", "other", "one_more"]), st.floats(-5, 5))


def test_experts_come_in_one_order_and_keep_their_colour() -> None:
    both = experts_of([{"zeta": 1.0, "graph": 1.0}, {"linear": 0.5}])
    assert [(expert.name, expert.words) for expert in both] == [
        ("linear", "chosen together"),
        ("graph", "close in the graph"),
        ("zeta", "zeta"),
    ]
    (alone,) = experts_of([{"graph": 1.0}])
    assert alone.hue == both[1].hue
    assert experts_of([{}]) == ()


def test_the_highest_score_fills_the_bar() -> None:
    experts = experts_of([{"linear": 3.0, "graph": 1.0}])
    full = parts_of(experts, {"linear": 3.0, "graph": 1.0}, most=4.0)
    assert [(part.start, part.width, part.share) for part in full] == [(0.0, 75.0, 0.75), (75.0, 25.0, 0.25)]
    half = parts_of(experts, {"linear": 2.0, "graph": -1.0}, most=4.0)
    assert [(part.expert.name, part.start, part.width, part.share) for part in half] == [("linear", 0.0, 50.0, 1.0)]


@given(st.lists(shares, min_size=1))
def test_parts_stand_side_by_side_within_the_bar(lists: list[dict[str, float]]) -> None:
    experts = experts_of(lists)
    assert all(expert.hue < HUES for expert in experts)
    most = max(sum(max(share, 0) for share in each.values()) for each in lists)
    for each in lists:
        made = parts_of(experts, each, most)
        assert sum(part.share for part in made) == pytest.approx(1.0 if made else 0.0)
        for before, after in pairwise(made):
            assert after.start == pytest.approx(before.start + before.width, abs=0.02)
        assert all(part.start + part.width <= 100.01 for part in made)

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from web.api.strict_json import DEEPEST, loads

PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    PLAIN | TEXT, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a machine that has other work, too
@given(VALUES)
def test_what_json_can_say_is_read(value: object) -> None:
    assert loads(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"b": {"a": 1, "a": 1}}',
        "NaN",
        "[Infinity]",
        "-Infinity",
        "1e400",
        str(2**63),
        str(-(2**63) - 1),
        "9" * 5000,
        '"\\ud800"',
        '{"\\udfff": 1}',
        "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1),
        "[" * 200_000,
        "{",
        "",
        "\ufeff1",
    ],
    ids=lambda text: text[:12],
)
def test_what_two_readers_may_take_differently_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        loads(text.encode())

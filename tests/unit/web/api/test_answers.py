from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from web.api.answers import Answers


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 40)), max_size=40))
def test_it_holds_no_more_than_it_may_and_the_newest(kept: list[tuple[str, int]]) -> None:
    answers = Answers(most_bytes=100)
    for number, (name, size) in enumerate(kept):
        answers.keep(name, bytes([number]) * size)
    newest = {name: bytes([number]) * size for number, (name, size) in enumerate(kept)}
    held = {name: found for name in "abcdef" if (found := answers.get(name)) is not None}
    assert all(newest[name] == found for name, found in held.items())
    assert sum(map(len, held.values())) <= 100
    order = list(dict.fromkeys(name for name, _ in reversed(kept)))  # the newest first
    assert set(order[: len(held)]) == set(held)


def test_what_is_used_stays() -> None:
    answers = Answers(most_bytes=3)
    for name in "abc":
        answers.keep(name, b"x")
    answers.get("a")
    answers.keep("d", b"x")
    assert [answers.get(name) for name in "abcd"] == [b"x", None, b"x", b"x"]

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cikg.extraction.job import UnusableAnswerError
from cikg.extraction.jobs.preference_alignment import (
    MOST_OF_A_BATCH,
    Merge,
    PreferenceAlignment,
    apply,
    batches,
    plan,
)

NAMES = st.dictionaries(
    st.text("abcde", min_size=1, max_size=6),
    st.lists(st.sampled_from(["sea", "seas", "castle", "ghost", "rose", "of", "the"]), min_size=1, max_size=4).map(
        " ".join
    ),
    max_size=80,
)


@settings(deadline=None)  # the first example loads scikit-learn
@given(NAMES)
def test_every_intent_is_in_one_batch_at_most_and_batches_are_small(intents: dict[str, str]) -> None:
    found = batches(intents)
    members = [each for batch in found for each in batch.intents]
    assert len(set(members)) == len(members)
    assert set(members) <= set(intents.items())
    assert all(2 <= len(batch.intents) <= MOST_OF_A_BATCH for batch in found)
    assert found == batches(dict(reversed(intents.items()))), "whatever the order in which they come"


def test_near_names_meet_and_others_do_not() -> None:
    names = ["the sea", "tales of the sea", "sea voyages", "castles", "old castles", "cookery"]
    found = {frozenset(name for name, _ in batch.intents) for batch in batches(dict(zip(names, names, strict=True)))}
    assert found == {frozenset(names[:3]), frozenset(names[3:5])}


def test_an_answer_becomes_pairs_and_numbers_that_do_not_fit_are_left_out() -> None:
    (subject,) = plan(batches({each: each for each in ("sea", "the sea", "sea tales", "sea birds")}), "books")
    order = subject.input["intents"]
    answer = PreferenceAlignment(
        merges=[
            Merge(into=1, merged=[2, 2, 9, 1]),
            Merge(into=3, merged=[2]),  # taken already
            Merge(into=7, merged=[4]),  # there is no seventh
        ]
    )
    row = apply(subject, answer, "d")
    assert row["pairs"] == [{"intent": f"d:{order[1]}", "into": f"d:{order[0]}"}]
    assert row["intents"] == [f"d:{each}" for each in order]
    assert apply(subject, PreferenceAlignment(merges=[]), "d")["pairs"] == []
    with pytest.raises(UnusableAnswerError):
        apply(subject, PreferenceAlignment(merges=[Merge(into=8, merged=[9])]), "d")

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cikg.graph.texts import Texts


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]))), data=st.data())
def test_a_column_is_the_list_that_it_was_made_of(texts: list[str], data: st.DataObject) -> None:
    packed = Texts.pack(texts)
    assert len(packed) == len(texts)
    assert list(packed) == texts
    assert packed.content.dtype == np.uint8
    place = data.draw(st.integers(-len(texts) - 2, len(texts) + 1))
    if -len(texts) <= place < len(texts):
        assert packed[place] == texts[place]
    else:
        with pytest.raises(IndexError):
            packed[place]
    part = data.draw(st.slices(len(texts)))
    assert packed[part] == texts[part]


def test_blank_texts_take_no_memory() -> None:
    blank = Texts.blank(10**12)
    assert len(blank) == 10**12
    assert blank[10**11] == ""
    assert list(Texts.blank(2)) == ["", ""]

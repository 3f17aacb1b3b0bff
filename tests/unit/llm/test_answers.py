"""What a model wrote around its JSON, and answers that are nothing but that."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from cikg.llm.answers import read


class Number(BaseModel):
    """A schema."""

    number: int


@pytest.mark.parametrize(
    "text",
    [
        '{"number": 1}',
        '```json\n{"number": 1}\n```',
        ' \n```\n\n{\n"number": 1}\n \n  ``` \n',
        '```json \r\n{"number": 1}\n```',
    ],
)
def test_a_fence_is_taken_off(text: str) -> None:
    assert read(Number, text).number == 1


@pytest.mark.timeout(30)
@pytest.mark.parametrize("end", ["", "x", "```x"])
def test_an_answer_of_nothing_but_lines_is_refused_in_time(end: str) -> None:
    """Models fall into repeating a line's end. Looking for the fence then took minutes, in which no answer was read."""
    with pytest.raises(ValidationError):
        read(Number, "```json\n" + "\n" * 50_000 + end)

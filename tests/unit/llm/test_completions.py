from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from cikg.llm.completions import key
from cikg.llm.prompts import Prompt


class Shape(BaseModel):
    value: int


class OtherShape(BaseModel):
    value: str


PROMPT = Prompt("p", 1, (("system", "s"), ("user", "u")))
ASKED: dict[str, Any] = {"model": "m", "parameters": {"temperature": 0, "seed": 1}, "prompt": PROMPT, "schema": Shape}


def test_the_key_changes_with_everything_that_an_answer_depends_on_and_with_nothing_else() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"model": "n"},
        {"parameters": {"temperature": 1, "seed": 1}},
        {"prompt": Prompt("q", 1, PROMPT.messages)},
        {"prompt": Prompt("p", 2, PROMPT.messages)},
        {"prompt": Prompt("p", 1, (("system", "s"), ("user", "v")))},
        {"schema": OtherShape},
    ]
    keys = [key(**{**ASKED, **change}) for change in changes]
    assert len(set(keys)) == len(changes)
    assert key(**{**ASKED, "parameters": {"seed": 1, "temperature": 0}}) == keys[0]

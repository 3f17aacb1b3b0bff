"""How many tokens a prompt has, roughly: no tokenizer is right for every model."""

from __future__ import annotations

import math

from cikg.llm.prompts import Prompt

FIRST_GUESS = 60
"""Tokens of an answer, where the dataset has none of this prompt yet to take the mean of."""


def prompt_tokens(prompt: Prompt) -> int:
    """Tokens of a prompt: four bytes of UTF-8 each, and three to frame a message."""
    return 3 + sum(3 + math.ceil(len(text.encode()) / 4) for _, text in prompt.messages)

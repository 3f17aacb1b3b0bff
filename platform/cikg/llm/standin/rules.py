"""Every answer schema that the stand-in has a rule for, from all of its modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cikg.llm.standin import comprehension, intents, subgraphs, wording

RULES: Mapping[str, Callable[[Sequence[Mapping[str, str]]], dict[str, Any]]] = {
    **wording.RULES,
    **intents.RULES,
    **subgraphs.RULES,
    **comprehension.RULES,
}
"""The rule for each answer schema, by the schema's name."""

"""JSON as the API takes it: what two readers could understand differently, or Neo4j cannot keep, is refused."""

from __future__ import annotations

import json
import math
from typing import Any

DEEPEST = 64
_LEAST, _MOST = -(2**63), 2**63 - 1


def loads(content: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is no JSON in UTF-8, nests too deeply, names a key twice, or holds a number or text that the
            database cannot keep: NaN, infinity, more than 64 bits, half a surrogate pair.
    """
    try:
        value = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_whole,
            parse_float=_number,
            parse_constant=_constant,
        )
    except RecursionError:
        raise ValueError("it nests too deeply") from None
    if _depth(value) > DEEPEST:
        raise ValueError(f"it nests more than {DEEPEST} levels deep")
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("a text contains half a surrogate pair") from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("an object has a key twice")
    return made


def _whole(text: str) -> int:
    number = int(text) if len(text) < 21 else _MOST + 1
    if not _LEAST <= number <= _MOST:
        raise ValueError("a whole number needs more than 64 bits")
    return number


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is not allowed")


def _depth(value: Any) -> int:
    """How deep a value nests, a level at a time, since recursion would meet its own limit."""
    level, depth = [value], 0
    while level:
        depth += 1
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return depth

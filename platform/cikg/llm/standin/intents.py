"""What the stand-in says about intents of items and users: both rounds of IKGR, and the glossary's explanations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cikg.llm.standin.wording import MOST_INTENTS, UnreadableRequestError, read_line, rows, telling_words


def item_intents(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `ItemIntents`: the genres and subjects of an item as they stand there, or its words where it has none.

    Raises:
        UnreadableRequestError: no user message holds one line of JSON between `<item>` and `</item>`.
    """
    try:
        (row,) = rows(messages, "item")
        topics = read_line({**row, "n": 1}).topics
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableRequestError(f"no user message holds an item between <item> and </item>: {error}") from None
    return {"intents": [{"phrase": topic, "words": topic} for topic in list(topics)[:MOST_INTENTS]]}


def related_intents(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `RelatedIntents`: candidates half of whose words are those of the item's topics, the most alike first.

    Raises:
        UnreadableRequestError: no user message holds an item and, between `<candidates>` and its end, intents.
    """
    try:
        (row,) = rows(messages, "item")
        topics = telling_words(" ".join(read_line({**row, "n": 1}).topics))
        candidates = {int(each["n"]): telling_words(each["intent"]) for each in rows(messages, "candidates")}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableRequestError(f"no user message holds an item and candidates: {error}") from None
    shared = {number: len(words & topics) for number, words in candidates.items()}
    alike = [number for number, words in candidates.items() if words and 2 * shared[number] >= len(words)]
    alike.sort(key=lambda number: (-shared[number] / len(candidates[number]), -shared[number], number))
    return {"related": alike[:MOST_INTENTS]}


RULES: Mapping[str, Callable[[Sequence[Mapping[str, str]]], dict[str, Any]]] = {
    "ItemIntents": item_intents,
    "RelatedIntents": related_intents,
}
"""The rule for each answer schema, by the schema's name."""

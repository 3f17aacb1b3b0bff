"""What the stand-in says in CoLaKG's jobs: the facts of the prompt in sentences, and what most of a history shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cikg.llm.standin.wording import UnreadableRequestError, read_history, rows, strongest_topics

_WORDS = {"ItemComprehension": 200, "UserComprehension": 150}
_MOST_SHARED = 5


def item_comprehension(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `ItemComprehension`: title, facts, what most neighbours share, and text.

    Raises:
        UnreadableRequestError: no user message holds one item between `<item>` and `</item>`, or neighbours.
    """
    try:
        (item,) = rows(messages, "item")
        shared = Counter(name for each in rows(messages, "neighbours") for name in each.get("shares", ()))
        facts = {str(kind): [str(name) for name in names] for kind, names in (item.get("facts") or {}).items()}
        title, text = str(item["title"]), str(item.get("text") or "")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableRequestError(f"no user message holds an item and its neighbours: {error}") from None
    typical = sorted(shared, key=lambda name: (-shared[name], name))[:_MOST_SHARED]
    said = [f"{title}.", *(f"Its {kind}: {', '.join(names)}." for kind, names in facts.items())]
    said.append(f"Others like it share {', '.join(typical)}." if typical else "")
    said.append(text)
    return {"comprehension": _cut(said, "ItemComprehension")}


def user_comprehension(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `UserComprehension`: the topics that explain most of a history, with how much each explains.

    Raises:
        UnreadableRequestError: no user message holds JSON lines between `<history>` and `</history>`.
    """
    lines = read_history(messages)
    topics = list(strongest_topics(lines))
    said = [f"{topic}: {len(evidence)} of {len(lines)} choices." for topic, evidence in topics]
    said.append(f"Next would suit more {' and '.join(topic for topic, _ in topics)}.")
    return {"comprehension": _cut(["This person is drawn to these.", *said], "UserComprehension")}


def _cut(said: Sequence[str], schema: str) -> str:
    return " ".join(" ".join(filter(None, said)).split()[: _WORDS[schema]])


RULES: Mapping[str, Callable[[Sequence[Mapping[str, str]]], dict[str, Any]]] = {
    "ItemComprehension": item_comprehension,
    "UserComprehension": user_comprehension,
}
"""The rule for each answer schema, by the schema's name."""

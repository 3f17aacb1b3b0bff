"""What the stand-in says about intents of items and users: both rounds of IKGR, and the glossary's explanations."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cikg.llm.standin.wording import (
    MOST_INTENTS,
    Line,
    UnreadableRequestError,
    read_history,
    read_line,
    rows,
    telling_words,
    word,
)

MAIN_TOPICS = 3
"""Topics of a history that say what somebody is after: the most frequent ones."""
_DEFINITIONS = (
    r"{term} \((?P<meaning>[^()]{{4,}})\)",
    r"(?P<meaning>[^\W\d_]+(?:[ -][^\W\d_]+){{1,5}}) \({term}\)",
    r"{term},? (?:is|stands for|short for|meaning) (?P<meaning>[^.;()]{{4,}})",
)
"""How a sentence may say what a term means."""
_INTRODUCTION = (
    r"^(?:(?:i|we|really|mostly|also|just|love|like|enjoy|adore|want|am|i'm|looking|for|something|anything|about|with|to|"
    r"read|reading|books|on|of|all|kinds|most)\b\s*)+"
)


def item_intents(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `ItemIntents`: the genres and subjects of an item as they stand there, or its words where it has none.

    Raises:
        UnreadableRequestError: no user message holds one line of JSON between `<item>` and `</item>`.
    """
    try:
        (row,) = rows(messages, "item")
        meanings = _meanings(messages)
        topics = list(read_line({**row, "n": 1}).topics)[:MOST_INTENTS]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableRequestError(f"no user message holds an item between <item> and </item>: {error}") from None
    return {"intents": [{"phrase": _in_full(topic, meanings), "words": topic} for topic in topics]}


def related_intents(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `RelatedIntents`: candidates that name a topic of the item whole, and say nothing that no topic says.

    Those come first that name the most.

    Raises:
        UnreadableRequestError: no user message holds an item and, between `<candidates>` and its end, intents.
    """
    try:
        (row,) = rows(messages, "item")
        topics = [telling_words(topic) for topic in read_line({**row, "n": 1}).topics]
        candidates = _candidates(messages)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableRequestError(f"no user message holds an item and candidates: {error}") from None
    named = {number: _named(words, topics) for number, words in candidates.items()}
    fitting = [number for number, count in named.items() if count]
    return {"related": sorted(fitting, key=lambda number: (-named[number], number))[:MOST_INTENTS]}


def user_intents(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `UserIntents`: the topics of at least two lines of a history, the most frequent first.

    Where no two lines share a topic, the first line's are all there is. How a topic is worded depends on the reader.

    Raises:
        UnreadableRequestError: no user message holds JSON lines between `<history>` and `</history>`.
    """
    lines = read_history(messages)
    meanings = _meanings(messages)
    holders = _holders(lines)
    genres = {topic for line in lines for topic, is_genre in line.topics.items() if is_genre}
    shared = {topic: numbers for topic, numbers in holders.items() if len(numbers) > 1} or {
        topic: holders[topic] for topic in lines[0].topics
    }
    seed = json.dumps(sorted(holders.items()))
    return {
        "intents": [
            {
                "phrase": word(_in_full(topic, meanings), None, topic in genres, seed),
                "words": topic,
                "evidence": shared[topic],
            }
            for topic in sorted(shared, key=lambda topic: (-len(shared[topic]), topic))[:MOST_INTENTS]
        ]
    }


def related_to_user(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `RelatedToUser`: candidates that lines show which are mostly about what the history is about.

    A line shows a candidate that names one of its topics whole, and says nothing that no topic of it says. What the
    history is about are its most frequent topics.

    Raises:
        UnreadableRequestError: no user message holds a history and candidates.
    """
    lines = read_history(messages)
    try:
        candidates = _candidates(messages)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableRequestError(f"no user message holds candidates: {error}") from None
    holders = _holders(lines)
    main = set(sorted(holders, key=lambda topic: (-len(holders[topic]), topic))[:MAIN_TOPICS])
    at_heart = {line.number for line in lines if main & set(line.topics)}
    topics = {line.number: [telling_words(topic) for topic in line.topics] for line in lines}
    fitting = {}
    for number, candidate in candidates.items():
        shown = [line for line in topics if _named(candidate, topics[line])]
        if shown and at_heart.issuperset(shown):
            fitting[number] = shown
    chosen = sorted(fitting, key=lambda number: (-len(fitting[number]), number))[:MOST_INTENTS]
    return {"related": [{"n": number, "evidence": fitting[number]} for number in chosen]}


def taste_intents(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `TasteIntents`: the parts of a sentence between commas, "and" and "or", without what introduces them.

    Raises:
        UnreadableRequestError: no user message holds a taste.
    """
    parts = re.split(r"\s*(?:[,;.!]|\band\b|\bor\b)\s*", _taste(messages))
    named = [re.sub(_INTRODUCTION, "", part, flags=re.IGNORECASE).strip() for part in parts]
    return {"intents": [part for part in dict.fromkeys(named) if part][:MOST_INTENTS] or [_taste(messages)]}


def related_to_taste(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `RelatedToTaste`: candidates that stand in the sentence, or all of whose telling words it has.

    Raises:
        UnreadableRequestError: no user message holds a taste and candidates.
    """
    taste = _taste(messages)
    said = telling_words(taste)
    try:
        offered = {int(row["n"]): str(row["intent"]) for row in rows(messages, "candidates")}
    except (ValueError, TypeError, KeyError) as error:
        raise UnreadableRequestError(f"no user message holds candidates: {error}") from None
    standing = [number for number, intent in offered.items() if intent.casefold() in taste.casefold()]
    alike = [number for number, intent in offered.items() if telling_words(intent) and telling_words(intent) <= said]
    return {"related": list(dict.fromkeys([*standing, *alike]))[:MOST_INTENTS]}


def _taste(messages: Sequence[Mapping[str, str]]) -> str:
    try:
        (row,) = rows(messages, "taste")
        return str(row["taste"])
    except (ValueError, TypeError, KeyError) as error:
        raise UnreadableRequestError(f"no user message holds a taste: {error}") from None


def term_meaning(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `TermMeaning`: what one of the sentences says that the term means, or nothing.

    Raises:
        UnreadableRequestError: no user message holds a term and sentences.
    """
    try:
        (row,) = rows(messages, "term")
        term, sentences = re.escape(row["term"]), [str(each["sentence"]) for each in rows(messages, "sentences")]
    except (ValueError, TypeError, KeyError) as error:
        raise UnreadableRequestError(f"no user message holds a term and sentences: {error}") from None
    for pattern in _DEFINITIONS:
        for sentence in sentences:
            if found := re.search(rf"(?<!\w){pattern.format(term=term)}", sentence):
                return {"meaning": found["meaning"].strip()}
    return {"meaning": None}


def _candidates(messages: Sequence[Mapping[str, str]]) -> dict[int, set[str]]:
    """The words of each candidate by its number."""
    return {int(each["n"]): telling_words(each["intent"]) for each in rows(messages, "candidates")}


def _named(candidate: set[str], topics: Sequence[set[str]]) -> int:
    """How many topics a candidate names whole; none where it says something that no topic says."""
    if not candidate <= set().union(*topics):
        return 0
    return sum(bool(topic) and topic <= candidate for topic in topics)


def _holders(lines: Sequence[Line]) -> dict[str, list[int]]:
    """The numbers of the lines that have each topic."""
    holders: dict[str, list[int]] = {}
    for line in lines:
        for topic in line.topics:
            holders.setdefault(topic, []).append(line.number)
    return holders


def _meanings(messages: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What the prompt's glossary says of terms, by the terms in small letters."""
    return {str(row["term"]).casefold(): str(row["meaning"]) for row in rows(messages, "glossary")}


def _in_full(topic: str, meanings: Mapping[str, str]) -> str:
    """A topic with its terms written out as the glossary explains them."""
    return " ".join(meanings.get(word.casefold(), word) for word in topic.split())[:80]


RULES: Mapping[str, Callable[[Sequence[Mapping[str, str]]], dict[str, Any]]] = {
    "ItemIntents": item_intents,
    "RelatedIntents": related_intents,
    "RelatedToTaste": related_to_taste,
    "RelatedToUser": related_to_user,
    "TasteIntents": taste_intents,
    "TermMeaning": term_meaning,
    "UserIntents": user_intents,
}
"""The rule for each answer schema, by the schema's name."""

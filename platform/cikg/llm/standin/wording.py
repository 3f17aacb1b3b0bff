"""What the stand-in says: one rule for each answer schema it knows, plus its token counts and embeddings.

The rules read the text of the request and nothing else. What stands inside a field of an item is data: it is counted
or ignored, never obeyed.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

EMBEDDING_SIZE = 256
MOST_INTERESTS = 5
MOST_INTENTS = 10
_TOPICAL = re.compile(r"genre|subject|categor|theme|topic|tag|style", re.IGNORECASE)
_GENRE = re.compile(r"genre|style", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{4,}")
_BROAD_TOPICS = """
book books classic classics fiction literature novel novels prose story stories
"""
_COMMON_WORDS = """
about after again against also among because been before being between both could does down each every from have having
here himself into itself just like made make many more most much must never once only other over same should some such
than that their them then there these they this those through under until upon very were what when where which while
whom whose will with without would your
"""
_PROPER_ADJECTIVES = """
african american arabic asian british chinese christian english european french german gothic greek indian irish islamic
italian japanese jewish latin norse persian roman romantic russian scottish spanish victorian welsh
"""
_BROAD = frozenset(_BROAD_TOPICS.split())
_PROPER = frozenset(_PROPER_ADJECTIVES.split())
_STOP_WORDS = frozenset(_COMMON_WORDS.split())


class UnreadableRequestError(ValueError):
    """The request lacks the text that the rule for its schema reads."""


def count_tokens(text: str) -> int:
    """Approximate a tokenizer: one token for every four bytes of UTF-8 begun, as English averages."""
    return math.ceil(len(text.encode()) / 4)


def count_prompt_tokens(messages: Sequence[Mapping[str, str]]) -> int:
    """Tokens of a chat: its texts, 3 to frame each message and 3 that open the reply."""
    return 3 + sum(3 + count_tokens(message["content"]) for message in messages)


def embed(text: str) -> list[float]:
    """Hash words and character trigrams into a unit vector, so that texts sharing words lie close.

    Returns:
        (256,) floats of Euclidean length 1.
    """
    words = re.findall(r"\w+", text.casefold()) or [text]
    features = Counter({f"w:{word}": 2 * count for word, count in Counter(words).items()})
    for word in words:
        padded = f"<{word}>"
        features.update(f"g:{padded[start : start + 3]}" for start in range(max(len(padded) - 2, 1)))
    vector = [0.0] * EMBEDDING_SIZE
    for feature, count in features.items():
        digest = hashlib.blake2b(feature.encode(), digest_size=4).digest()
        vector[digest[0]] += math.copysign(math.sqrt(count), digest[1] - 127.5)
    length = math.sqrt(sum(value * value for value in vector))
    if length == 0:  # opposite signs met in one place: only possible for a handful of features
        return [1.0] + [0.0] * (EMBEDDING_SIZE - 1)
    return [value / length for value in vector]


@dataclass(frozen=True, slots=True)
class Line:
    """One item of a history: its number and the topics it is filed under, told apart as genre or subject."""

    number: int
    topics: Mapping[str, bool]  # topic -> whether it is a genre


def user_interests(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `UserInterests`: what the items of a history have in common, in 1 to 5 phrases with line numbers.

    A topic weighs as many lines as it has that no earlier interest explained, less the more of the whole history it
    covers (what is on every line tells nothing about the reader) and less again when it is as broad as "novel".

    Raises:
        UnreadableRequestError: no user message holds JSON lines between `<history>` and `</history>`.
    """
    lines = read_history(messages)
    seed = json.dumps([[line.number, sorted(line.topics)] for line in lines])
    genres = {topic for line in lines for topic, is_genre in line.topics.items() if is_genre}
    interests = []
    for topic, evidence in strongest_topics(lines):
        companion = _companion(lines, evidence, topic, genres)
        interests.append({"phrase": word(topic, companion, topic in genres, seed), "evidence": evidence})
    return {"interests": interests}


def strongest_topics(lines: Sequence[Line]) -> Iterator[tuple[str, list[int]]]:
    """What most lines of a history have in common, each with the numbers of its lines: 1 to 5, the strongest first."""
    holders: dict[str, list[int]] = {}
    for line in lines:
        for topic in line.topics:
            holders.setdefault(topic, []).append(line.number)
    unexplained = {line.number for line in lines}
    for given in range(MOST_INTERESTS):
        if not holders:
            return
        topic = max(holders, key=lambda name: (_weight(name, holders[name], unexplained, len(lines)), name))
        evidence = holders.pop(topic)
        fresh = unexplained.intersection(evidence)
        if given and len(fresh) < 2:
            return
        yield topic, evidence
        unexplained -= fresh


def _weight(topic: str, evidence: list[int], unexplained: set[int], total: int) -> float:
    breadth = 0.3 if topic.casefold() in _BROAD else 1.0
    return len(unexplained.intersection(evidence)) * (2 - len(evidence) / total) * breadth


def _companion(lines: list[Line], evidence: list[int], topic: str, genres: set[str]) -> str | None:
    """The subject that most often goes with `topic` on the same lines, at least twice; None without one."""
    held = set(evidence)
    beside = Counter(
        other
        for line in lines
        if line.number in held
        for other in line.topics
        if other != topic and other not in genres and other.casefold() not in _BROAD
    )
    common = max(beside.items(), key=lambda pair: (pair[1], pair[0]), default=("", 0))
    return common[0] if common[1] >= 2 else None


_GENRE_WORDINGS = ("{0}", "classic {0}", "{0} about {1}", "{0} with {1}", "{1} in {0}", "{0} and {1}")
_SUBJECT_WORDINGS = ("{0}", "stories about {0}", "books on {0}", "{0} and {1}", "tales of {0} and {1}")


def word(topic: str, companion: str | None, is_genre: bool, seed: str) -> str:
    """Put an interest into words. Which words depends on the reader, as two people's notes differ."""
    wordings = _GENRE_WORDINGS if is_genre else _SUBJECT_WORDINGS
    possible = [wording for wording in wordings if companion or "{1}" not in wording]
    digest = hashlib.sha256(f"{seed}\n{topic}".encode()).digest()
    return possible[int.from_bytes(digest[:4], "big") % len(possible)].format(topic, companion)


def read_history(messages: Sequence[Mapping[str, str]]) -> list[Line]:
    """The items of a history.

    Raises:
        UnreadableRequestError: no user message holds JSON lines between `<history>` and `</history>`.
    """
    try:
        lines = [_line(text) for text in _block(messages, "history")]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableRequestError(f"a line of the history cannot be read: {error}") from None
    if not lines:
        raise UnreadableRequestError("no user message holds JSON lines between <history> and </history>")
    return lines


def _in_running_text(name: str, is_genre: bool) -> str:
    """A name as it stands inside a sentence: `Sea stories` begins small there, `Gothic fiction` and `Rome` do not.

    A first word is taken for a common one in a genre or before small letters, unless it is made of a proper name.
    """
    first, _, rest = " ".join(name.split()).partition(" ")
    capitalised = first[1:] == first[1:].lower() and first.lower() not in _PROPER
    if capitalised and rest == rest.lower() and (rest or is_genre):
        first = first.lower()
    return f"{first} {rest}".strip()


def read_line(row: dict[str, Any]) -> Line:
    """An item that a prompt shows, by its topics: genres and subjects, else its other facts, else its words."""
    facts: Mapping[str, list[str]] = row.get("facts") or {}
    topical = {relation: values for relation, values in facts.items() if _TOPICAL.search(relation)} or facts
    topics = {
        _in_running_text(str(value), bool(_GENRE.search(relation))): bool(_GENRE.search(relation))
        for relation, values in topical.items()
        for value in values
    }
    if not topics:  # nothing is known about the item but its words
        text = f"{row['title']} {row.get('text') or ''}".casefold()
        topics = {word: False for word in _WORD.findall(text) if word not in _STOP_WORDS}
    return Line(int(row["n"]), topics or {str(row["title"]): False})


@lru_cache(maxsize=10_000)
def _line(text: str) -> Line:
    """An item of a history from its line of JSON. Readers have read the same, so that many lines come again."""
    return read_line(json.loads(text))


def rows(messages: Sequence[Mapping[str, str]], block: str) -> list[dict[str, Any]]:
    """What the lines of JSON in a block say."""
    return [json.loads(text) for text in _block(messages, block)]


def _block(messages: Sequence[Mapping[str, str]], block: str) -> list[str]:
    """The lines in a block of the last user message that has it."""
    opening, closing = f"<{block}>", f"</{block}>"
    blocks = [
        message["content"].partition(opening)[2].rpartition(closing)[0]
        for message in messages
        if message["role"] == "user" and opening in message["content"]
    ]
    return [text for text in (blocks[-1] if blocks else "").splitlines() if text.strip()]


def telling_words(text: str) -> set[str]:
    """The words of a text that tell something."""
    return set(_WORD.findall(text.casefold())) - _STOP_WORDS - _BROAD - {"tales"}


RULES: Mapping[str, Callable[[Sequence[Mapping[str, str]]], dict[str, Any]]] = {"UserInterests": user_interests}
"""The rule for each answer schema, by the schema's name; `rules` gathers those of all modules."""

"""Terms of a dataset: what its texts write as one writes what has to be known, not looked up in a dictionary.

Two kinds are found by their looks: abbreviations and codes ("RPG", "R&B", "4K", "WiFi"), and names that stand within
sentences of several items ("Metroidvania", "the Fronde"). Which of them need an explanation is for a model to say.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

MOST_TERMS = 300
"""Terms that are asked about, abbreviations first, then the most frequent."""
FEWEST_ITEMS = 3
"""Items whose sentences a name has to stand in; an abbreviation needs one."""
MOST_SENTENCES = 3
"""Sentences that a term is shown in, each of another item."""
LONGEST_SENTENCE = 300
LONGEST_ABBREVIATION = 15

_SENTENCE = re.compile(r"(?<=[.!?…])\s+|\n+")
_WORD = re.compile(r"[^\W_](?:[\w&'’/+.-]*[\w+])?")
_NUMBERING = re.compile(r"[IVXLC]+|(?:[A-Z]\.)*[A-Z]\.?")  # Roman numbers and initials


@dataclass(frozen=True, slots=True)
class Term:
    """A term and sentences that it stands in, with the ids of their items."""

    name: str
    sentences: tuple[tuple[str, str], ...]


def find(texts: Iterable[tuple[str, str]]) -> list[Term]:
    """The terms in the texts of items, in the order of their names.

    Args:
        texts: id and text of each item, in an order that stays.
    """
    shown: dict[str, list[tuple[str, str]]] = defaultdict(list)
    items: dict[str, int] = defaultdict(int)
    ordinary: set[str] = set()
    for item, text in texts:
        here: set[str] = set()
        for sentence in filter(None, _SENTENCE.split(text)):
            for term in _candidates(sentence, ordinary):
                if term not in here and len(shown[term]) < MOST_SENTENCES:
                    shown[term].append((item, _cut(sentence, term)))
                here.add(term)
        for term in here:
            items[term] += 1
    chosen = list(_chosen(items, ordinary))[:MOST_TERMS]
    return [Term(name, tuple(shown[name])) for name in sorted(chosen)]


def _candidates(sentence: str, ordinary: set[str]) -> Iterator[str]:
    """Words of a sentence that look like terms; those written small are noted as ordinary."""
    words = [found[0] for found in _WORD.finditer(sentence)]
    if sum(word.isupper() for word in words) * 2 > len(words):
        return  # a line in capitals says nothing about its words
    for place, word in enumerate(words):
        if word.islower():
            ordinary.add(word)
        elif _is_abbreviation(word) or (place and word.istitle() and len(word) > 3 and word.isalpha()):
            yield word


def _is_abbreviation(word: str) -> bool:
    """Whether a word has two capitals or digits, or a capital within, as in RPG, 4K, WiFi and iPad."""
    if len(word) > LONGEST_ABBREVIATION or re.search(r"[-'’/]", word) or _NUMBERING.fullmatch(word):
        return False
    capitals, digits = sum(map(str.isupper, word)), sum(map(str.isdigit, word))
    return capitals > 0 and (capitals + digits > 1 or not word[0].isupper())


def _chosen(items: Mapping[str, int], ordinary: set[str]) -> Iterator[str]:
    """Abbreviations, then names, each the most frequent first."""
    for term in sorted(items, key=lambda name: (not _is_abbreviation(name), -items[name], name)):
        if _is_abbreviation(term) or (items[term] >= FEWEST_ITEMS and term.casefold() not in ordinary):
            yield term


def _cut(sentence: str, term: str) -> str:
    """A long sentence as the part of it around a term."""
    if len(sentence) <= LONGEST_SENTENCE:
        return sentence.strip()
    start = max(0, sentence.find(term) - LONGEST_SENTENCE // 2)
    return f"… {sentence[start : start + LONGEST_SENTENCE].partition(' ')[2].rpartition(' ')[0]} …"

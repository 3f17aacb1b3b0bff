"""What jobs that find intents share: how an answer's phrases are checked, and how a prompt shows an item.

Users' and items' intents are one pool: phrases that differ only in case and spaces are the same node.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator

from cikg.extraction.parts.histories import Card
from cikg.schema import uid

LONGEST_PHRASE = 80


def _phrase(value: str) -> str:
    phrase = " ".join(value.split()).strip(" .\"'")
    if not 2 <= len(phrase) <= LONGEST_PHRASE or not phrase.isprintable():
        raise ValueError(f"a phrase has 2 to {LONGEST_PHRASE} printable characters")
    return phrase


Phrase = Annotated[str, AfterValidator(_phrase)]
"""A phrase of an answer: its spaces and the punctuation around it put right, or refused."""


def line(card: Card, longest_text: int, number: int | None = None) -> str:
    """One line of JSON about an item, without what is not known.

    Args:
        card: the item.
        longest_text: characters of its text that are shown; a longer one ends at a word.
        number: of the line among others.
    """
    text = card.text if len(card.text) <= longest_text else card.text[:longest_text].rsplit(" ", 1)[0] + " …"
    return data_line({"n": number, "title": card.name, "facts": card.facts, "text": text})


def data_line(row: dict[str, Any]) -> str:
    """One line of JSON for a prompt's block of data, without empty values."""
    # An escaped `<` is the same character to a JSON reader, and cannot close the block that holds the line.
    return json.dumps({name: value for name, value in row.items() if value}, ensure_ascii=False).replace("<", "\\u003c")


def intent(phrase: str, dataset: str, evidence: list[str]) -> dict[str, Any]:
    """An intent as the statements take it. Phrases that differ only in case are one intent."""
    identifier = phrase.casefold()
    return {"uid": uid(dataset, identifier), "id": identifier, "name": phrase, "evidence": evidence}


def cited(found: Iterable[tuple[str, Sequence[int]]], items: Sequence[str], dataset: str) -> list[dict[str, Any]]:
    """Intents that cite lines of a history, sorted; those that cite none that exists are left out.

    Phrases that differ only in case and spaces are one intent, and their evidence is joined.

    Args:
        found: phrases with the numbers of the lines that show each, from 1.
        items: the id of each line's item.
        dataset: the dataset's name.
    """
    shown = ((phrase, [items[n - 1] for n in numbers if 1 <= n <= len(items)]) for phrase, numbers in found)
    return pooled(((phrase, evidence) for phrase, evidence in shown if evidence), dataset)


def pooled(found: Iterable[tuple[str, Iterable[str]]], dataset: str) -> list[dict[str, Any]]:
    """Phrases with the ids of their evidence as intents of the pool, each once, in the order of their ids."""
    intents: dict[str, dict[str, Any]] = {}
    for phrase, evidence in found:
        each = intent(phrase, dataset, [])
        kept = intents.setdefault(each["id"], each)
        kept["evidence"] = sorted({*kept["evidence"], *evidence})
    return [intents[identifier] for identifier in sorted(intents)]


def stands_in(words: str, shown: Iterable[str]) -> bool:
    """Whether lines of JSON, as a prompt showed them, say these words: within one text, name or fact.

    Case, spaces and the marks around the words do not count.
    """
    wanted = _plain(words)
    return bool(wanted) and any(wanted in _plain(text) for line in shown for text in _texts(json.loads(line)))


def _texts(shown: Any) -> Iterator[str]:
    """The texts within what a prompt shows: the title, each fact by itself, the text."""
    if isinstance(shown, str):
        yield shown
    elif not isinstance(shown, int):
        for value in shown.values() if isinstance(shown, dict) else shown:
            yield from _texts(value)


def _plain(words: str) -> str:
    return " ".join(words.casefold().split()).strip(" .,;:!?…\"'“”‘’")

"""What jobs that find intents share: how an answer's phrases are checked, and how a prompt shows an item."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator

from cikg.extraction.histories import Card
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

"""What a score is made of, as a bar: one part for each expert of a mixture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

WORDS = {
    "linear": "chosen together",
    "interests": "shared interests",
    "texts": "similar descriptions",
    "graph": "close in the graph",
    "factors": "similar tastes",
    "spectral": "broad patterns",
    "popularity": "popular",
    "corrections": "corrected",
}
"""What an expert goes by, as a reader understands it."""
HUES = 8
"""Colours that the stylesheet has for experts."""


@dataclass(frozen=True)
class Expert:
    """An expert.

    Attributes:
        name: the model's name for it.
        words: what it goes by.
        hue: its colour's number.
    """

    name: str
    words: str
    hue: int


@dataclass(frozen=True)
class Part:
    """What one expert adds to a score.

    Attributes:
        expert: whose it is.
        share: of what is added in all, from 0 to 1.
        start: where its part of the bar begins, from 0 to 100.
        width: how wide that is.
    """

    expert: Expert
    share: float
    start: float
    width: float


def experts_of(lists: Iterable[Mapping[str, float]]) -> tuple[Expert, ...]:
    """The experts behind some scores; those with words first, each always in its own colour."""
    found = dict.fromkeys(name for shares in lists for name in shares)
    known = [name for name in WORDS if name in found]
    names = [*known, *sorted(found.keys() - WORDS.keys())]
    return tuple(
        Expert(name, WORDS.get(name, name.replace("_", " ")), (list(WORDS) + names[len(known) :]).index(name) % HUES)
        for name in names
    )


def parts_of(experts: Iterable[Expert], shares: Mapping[str, float], most: float) -> tuple[Part, ...]:
    """The parts of a score's bar, side by side; what an expert takes away has none.

    Args:
        experts: in the order of the bar.
        shares: what each adds.
        most: the score that fills the bar.
    """
    whole = sum(share for share in shares.values() if share > 0)
    made, start = [], 0.0
    for expert in experts:
        share = shares.get(expert.name, 0.0)
        if share > 0 and most > 0:
            width = min(100 * share / most, 100 - start)
            made.append(Part(expert, share / whole, round(start, 2), round(width, 2)))
            start += width
    return tuple(made)

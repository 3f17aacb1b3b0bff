"""The Yelp Open Dataset: a folder, unpacked, of files with one JSON object per line.

========================================  =============================================================================
`yelp_academic_dataset_business.json`     items, and what is known of them: `category` and `city` (with its state)
`yelp_academic_dataset_user.json`         users and their names; needs not be there
`yelp_academic_dataset_review.json`       interactions: stars as the rating, and the date, taken to be in UTC
========================================  =============================================================================

Files without `yelp_academic_dataset_` in their names are found too. Not read: tips, which have no stars and would take
the place of the same user's review; check-ins, which name no user; photos, and a business's hours and attributes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cikg.datasets.reading.source import Source
from cikg.datasets.reading.values import Entities, date_seconds, needed, words
from cikg.datasets.records import Format, Interaction, Item, Record, User

EXPECTED = (
    "the unpacked folder, with yelp_academic_dataset_business.json, yelp_academic_dataset_review.json and optionally "
    "yelp_academic_dataset_user.json"
)


def read(source: Source) -> Iterator[Record]:
    """Yield businesses and what is known of them, users, and reviews.

    Raises:
        InputError: the path is no folder, or has no businesses or no reviews.
    """
    businesses, reviews = (needed(source, *_names(kind), expected=EXPECTED) for kind in ("business", "review"))
    entities = Entities()
    for row in source.json_lines(businesses):
        match row:
            case {"business_id": str(identifier), "name": str(name)}:
                yield Item(identifier, words(name) or identifier)
                yield from entities.facts(identifier, "category", _categories(row.get("categories")))
                yield from entities.facts(identifier, "city", _city(row))
            case _:
                source.reject("expected a business with business_id and name")
    known: set[str] = set()
    users = source.optional(*_names("user"))
    for row in source.json_lines(users) if users else ():
        match row:
            case {"user_id": str(user), "name": str(name)}:
                known.add(user)
                yield User(user, words(name) or None)
            case _:
                source.reject("expected a user with user_id and name")
    for row in source.json_lines(reviews):
        try:
            interaction = _interaction(row)
        except ValueError:
            source.reject("expected a review with user_id, business_id, stars and date")
            continue
        if interaction.user not in known:
            known.add(interaction.user)
            yield User(interaction.user)
        yield interaction


def _interaction(row: dict[str, Any]) -> Interaction:
    """A review as an interaction.

    Raises:
        ValueError: something of it is missing.
    """
    match row:
        case {"user_id": str(user), "business_id": str(business), "stars": int() | float() as stars, "date": str(date)}:
            return Interaction(user, business, rating=float(stars), at=date_seconds(date))
    raise ValueError


def _names(kind: str) -> tuple[str, str]:
    return f"yelp_academic_dataset_{kind}.json", f"{kind}.json"


def _categories(value: Any) -> list[str]:
    """Old releases have a list, later ones a text with commas; either may be null."""
    if isinstance(value, str):
        return value.split(", ")
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _city(row: dict[str, Any]) -> list[str]:
    """The city and its state, since many states have a Springfield."""
    parts = (row.get(key) for key in ("city", "state"))
    return [", ".join(part.strip() for part in parts if isinstance(part, str) and part.strip())]


FORMAT = Format(
    name="yelp",
    help="The unpacked folder of the Yelp Open Dataset: its files of businesses, reviews and, optionally, users.",
    read=read,
    field="businesses",
)

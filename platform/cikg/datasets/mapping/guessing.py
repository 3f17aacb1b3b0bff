"""Guesses what the columns of a table are: by their names, in the spellings that datasets use, and by their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from cikg.datasets.mapping.inspection import HALF, Column, Look
from cikg.datasets.mapping.model import SPLIT_NAMES
from cikg.schema import relation_in_words

USER = "user userid uid reviewerid customerid customer memberid member visitorid accountid readerid listenerid playerid"
ITEM = (
    "item itemid iid movieid movie productid product asin parentasin bookid book isbn businessid gameid game appid "
    "trackid track songid song articleid article newsid sku artistid recipeid venueid filmid film animeid courseid"
)
RATING = "rating ratings score stars star overall bookrating userrating grade playcount plays weight"
TIME = "timestamp time date datetime unixreviewtime createdat ts when reviewtime reviewdate ratedat lastplayed"
NAME = "title name itemname movietitle producttitle producname productname booktitle originaltitle gamename trackname"
USER_NAME = "username nickname displayname reviewername profilename"
TEXT = "description text summary plot overview synopsis about abstract blurb"
SPLIT = "split fold subset partition"
FACTS = (
    "genre genres category categories maincategory brand author authors bookauthor director directors actor actors "
    "cast tag tags publisher publishers language languages country countries year decade artist artists album studio "
    "developer developers series subject subjects keywords manufacturer store platform platforms type city"
)
_PLURALS = {"movie": "movies", "film": "films", "book": "books", "isbn": "books", "game": "games", "app": "games",
         "product": "products", "asin": "products", "track": "tracks", "song": "songs", "article": "articles",
         "news": "articles", "artist": "artists", "recipe": "recipes", "venue": "venues", "business": "businesses",
         "anime": "series", "course": "courses", "sku": "products"}  # fmt: skip


def role_of(found: Look) -> str:
    """What a file among several holds: interactions, items, users or facts."""
    names = {_plain(column.name) for column in found.columns}
    if {"head", "tail"} <= names or {"subject", "object"} <= names:
        return "facts"
    user, item = by_name(found.columns, USER), by_name(found.columns, ITEM)
    if user and item:
        return "interactions"
    if user:
        return "users" if user.is_unique else "interactions"
    described = item is not None and by_name(found.columns, NAME) is not None
    return "items" if described or (item or found.meant[0]).is_unique else "interactions"


def roles_of(looks: Sequence[Look]) -> list[str]:
    """What each of several files holds. Where no column's name tells, whose ids it lists does."""
    roles = [role_of(found) for found in looks]
    if "interactions" not in roles:
        roles[0] = "interactions"
    chosen = [Interacting(found) for found, role in zip(looks, roles, strict=True) if role == "interactions"]
    users = {value for each in chosen if each.user for value in each.user.counts}
    items = {value for each in chosen if each.item for value in each.item.counts}
    for place, (found, role) in enumerate(zip(looks, roles, strict=True)):
        key = next((column for column in found.meant if column.is_unique), None)
        if role == "items" and key is not None and by_name(found.columns, ITEM) is None:
            ids = set(key.counts)
            roles[place] = "users" if len(ids & users) > len(ids & items) else "items"
    return roles


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def by_name(columns: Sequence[Column], words: str) -> Column | None:
    """The column whose name is one of these words, the earlier word first; else the one that contains the first."""
    known = words.split()
    named = [column for column in columns if _plain(column.name) in known]
    if named:
        return min(named, key=lambda column: known.index(_plain(column.name)))
    return next((column for column in columns if known[0] in _plain(column.name) and len(known[0]) > 3), None)


class Interacting:
    """The likeliest columns of a file of interactions: by their names, and else by what their values look like."""

    def __init__(self, found: Look) -> None:
        left = found.meant

        def take(column: Column | None) -> Column | None:
            if column is not None:
                left.remove(column)
            return column

        def first(fits: Callable[[Column], bool]) -> Column | None:
            return next((column for column in left if fits(column)), None)

        self.user = take(by_name(left, USER))
        self.item = take(by_name(left, ITEM))
        self.split = take(by_name(left, SPLIT) or first(_is_split))
        self.time = take(_named_time(left) or first(_is_time))
        self.rating = take(_named_rating(left) or first(_is_rating))
        self.user = self.user or take(first(_is_key))
        self.item = self.item or take(first(_is_key))


def _is_split(column: Column) -> bool:
    return bool(column.counts) and all(value.lower() in SPLIT_NAMES for value in column.counts)


def _named_time(columns: Sequence[Column]) -> Column | None:
    return by_name([column for column in columns if column.time[1] >= HALF], TIME)


def _is_time(column: Column) -> bool:
    return column.is_time


def _named_rating(columns: Sequence[Column]) -> Column | None:
    return by_name([column for column in columns if column.numbers >= HALF], RATING)


def _is_rating(column: Column) -> bool:
    few = 1 < len(column.counts) <= 21 and len(column.counts) < len(column.filled)
    return few and column.is_number and all(-10 <= float(value) <= 100 for value in column.counts if _is_float(value))


def _is_float(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _is_key(column: Column) -> bool:
    """Whether a column may hold ids: short, nearly always there, and no fractions."""
    there = len(column.filled) >= 0.9 * len(column.values)
    return there and column.length <= 64 and (column.is_whole or not column.is_number) and not column.is_list


def belongs_to(column: Column, item: Column) -> bool:
    """Whether a column says the same of an item in nearly every row, so that it is about the item."""
    said: dict[str, str] = {}
    agreeing = repeated = 0
    for key, value in zip(item.values, column.values, strict=True):
        if key in said:
            repeated += 1
            agreeing += said[key] == value
        said.setdefault(key, value)
    named = any(by_name([column], words) for words in (NAME, TEXT, FACTS))
    return agreeing >= 0.98 * repeated if repeated else named


def is_name(column: Column) -> bool:
    """Whether a column may hold names: text that hardly recurs, longer than ids are."""
    if _plain(column.name) in FACTS.split():
        return False
    return not column.is_number and 5 < column.length <= 80 and len(column.counts) > 0.8 * len(column.filled)


def is_fact(column: Column) -> bool:
    """Whether a column may say what items have to do with: by its name, or because its values recur."""
    if _plain(column.name) in FACTS.split():
        return True
    recurs = 1 < len(column.counts) <= 0.5 * len(column.filled)
    return column.is_list or (not column.is_number and not column.is_time and column.length <= 60
                              and (recurs or column.separator == "|"))  # fmt: skip


def relation_of(name: str) -> str:
    """A relation of one thing: `genre` for a column `genres`."""
    words = relation_in_words(name)
    if words.endswith("ies") and words not in ("series", "species"):
        return words.removesuffix("ies") + "y"
    plural = words.endswith("s") and not words.endswith(("ss", "us", "series", "species"))
    return words.removesuffix("s") if plural else words


def many_of(names: Sequence[str], files: Sequence[str]) -> str:
    """What the items are, in the plural, from the names of columns and files; else the name of the file of items."""
    for name in map(_plain, names):
        for word, many in _PLURALS.items():
            if word in name:
                return many
    listed = (file.partition(".")[0].lower() for file in files)
    return next((name for name in listed if name.isalpha() and name.endswith("s")), "items")
